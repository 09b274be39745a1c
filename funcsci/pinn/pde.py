"""Partial differential equations, as a user states them."""

from collections.abc import Mapping, Sequence
from typing import Any

from funcsci import checks
from funcsci.pinn.conditions import Condition
from funcsci.pinn.domain import Span
from funcsci.pinn.equations import Equation
from funcsci.pinn.problem import Problem, Reference, make_problem
from funcsci.pinn.solution import Solution
from funcsci.pinn.solve import solve


@checks.named_options()
def pde(
    equation: Equation | Sequence[Equation],
    domain: Mapping[str, Span],
    conditions: Condition | Sequence[Condition],
    *,
    fields: Sequence[str] | None = None,
    reference: Reference | None = None,
    well_posed: bool = True,
    text: str = "",
) -> Problem:
    """A partial differential equation, or a system, on a box with its conditions.

    Args:
        equation: `lambda u: u.t + u * u.x - 0.01 * u.xx`: a function of fields and coordinates by name that
            returns what is left of the equation at one point; a tuple for a system, or a sequence of such
            functions. Functions are torch's, `torch.sin(u)`.
        domain: the range of each coordinate, `{"x": (-1, 1), "t": (0, 1)}`, in the order in which the
            solution takes them.
        conditions: made by `initial`, `dirichlet`, `neumann`, `robin`, `periodic` and `point`.
        fields: the names of the unknown functions; None takes those of the conditions, or whatever the
            equation takes besides coordinates.
        reference: the exact solution, where it is known, as a function of the coordinates by name;
            a tuple for several fields. Errors are measured against it, and no solver sees it.
        well_posed: whether to check that there are as many conditions as the equations' orders need.
        text: the problem in a line, for titles.

    Returns:
        The problem, for `solve`.

    Raises:
        TypeError: if something has the wrong type.
        ValueError: if a name is unknown, a condition is off the domain, or conditions are missing
            (under-determined), too many or contradictory.

    Example:
        >>> import torch
        >>> from funcsci import pinn
        >>> heat = pinn.pde(
        ...     lambda u: u.t - u.xx,
        ...     {"x": (0.0, 1.0), "t": (0.0, 1.0)},
        ...     [pinn.initial(lambda x: torch.sin(torch.pi * x)), pinn.dirichlet("x", 0.0)],
        ... )
        >>> heat.fields, heat.domain.names
        (('u',), ('x', 't'))
    """
    return make_problem(
        equation, domain, conditions, fields=fields, reference=reference, well_posed=well_posed, text=text
    )


@checks.named_options(solve)
def solve_pde(
    equation: Equation | Sequence[Equation],
    domain: Mapping[str, Span],
    conditions: Condition | Sequence[Condition],
    *,
    fields: Sequence[str] | None = None,
    reference: Reference | None = None,
    well_posed: bool = True,
    text: str = "",
    **options: Any,
) -> Solution:
    """Solve a partial differential equation: `solve(pde(...), **options)`.

    Args:
        equation: as in `pde`.
        domain: as in `pde`.
        conditions: as in `pde`.
        fields: as in `pde`.
        reference: as in `pde`.
        well_posed: as in `pde`.
        text: as in `pde`.
        **options: as in `solve`.

    Returns:
        The solution.

    Raises:
        TypeError: as in `pde` and `solve`.
        ValueError: as in `pde` and `solve`.

    Example:
        >>> import torch
        >>> from funcsci import pinn
        >>> exact = lambda x, y: torch.sin(torch.pi * x) * torch.sin(torch.pi * y)
        >>> solution = pinn.solve_pde(
        ...     lambda u, x, y: u.laplacian() + 2 * torch.pi**2 * exact(x, y),
        ...     domain={"x": (0.0, 1.0), "y": (0.0, 1.0)},
        ...     conditions=[pinn.dirichlet(("x", "y"), 0.0)],
        ...     reference=exact, tol=1e-6, progress=False,
        ... )
        >>> solution.relative_l2 < 1e-7
        True
    """
    problem = pde(
        equation, domain, conditions, fields=fields, reference=reference, well_posed=well_posed, text=text
    )
    return solve(problem, **options)
