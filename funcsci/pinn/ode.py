"""Ordinary differential equations, as a user states them or as SciPy takes them."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from funcsci import checks
from funcsci.pinn.conditions import Condition, initial
from funcsci.pinn.domain import Span, listed
from funcsci.pinn.equations import Equation, arguments
from funcsci.pinn.problem import Problem, Reference, make_problem
from funcsci.pinn.solution import Solution
from funcsci.pinn.solve import solve

Number: TypeAlias = float | np.generic | Tensor
"""A real number of Python, NumPy or torch."""
Start: TypeAlias = Number | Sequence[Number] | Mapping[str, Number] | NDArray[Any]
"""A number for one field; one for each in order, or by name, for several."""


@checks.named_options()
def ode(
    equation: Equation | Sequence[Equation],
    t_span: Span,
    u0: Start | None = None,
    du0: Start | None = None,
    *,
    conditions: Condition | Sequence[Condition] = (),
    coordinate: str = "t",
    fields: Sequence[str] | None = None,
    reference: Reference | None = None,
    well_posed: bool = True,
    text: str = "",
) -> Problem:
    """An ordinary differential equation of any order, or a system, with initial or boundary values.

    Args:
        equation: `lambda u: u.tt + torch.sin(u)`, as in `pde`.
        t_span: start and end of the coordinate.
        u0: the fields at the start; a number, or for several fields one for each, in order or by name.
        du0: their first derivatives at the start; as `u0`.
        conditions: others: `initial(value, order=2)`, or `dirichlet`, `neumann` and the like for boundary
            values.
        coordinate: the name of the coordinate, `"x"` perhaps.
        fields: as in `pde`.
        reference: as in `pde`.
        well_posed: as in `pde`.
        text: as in `pde`.

    Returns:
        The problem, for `solve`.

    Raises:
        TypeError: if something has the wrong type.
        ValueError: as in `pde`, or if `u0` has not one number for each field.

    Example:
        >>> from funcsci import pinn
        >>> beam = pinn.ode(
        ...     lambda u: u.xxxx - 1, (0.0, 1.0), coordinate="x",
        ...     conditions=[pinn.dirichlet("x", 0.0), pinn.neumann("x", 0.0)],
        ... )
        >>> len(beam.edges.hard)
        4
    """
    checks.interval(t_span=listed(t_span))
    named = _fields(equation, coordinate, fields)
    if not isinstance(conditions, Condition | Sequence):
        must = "be a condition, or a list of them"
        raise TypeError(checks.message(must, "conditions", conditions, "Try conditions=[]."))
    given = (conditions,) if isinstance(conditions, Condition) else tuple(conditions)
    for order, (name, values) in enumerate((("u0", u0), ("du0", du0))):
        for field, value in _by_field(name, values, named).items():
            given += (initial(value, order=order, coordinate=coordinate, field=field),)
    return make_problem(
        equation,
        {coordinate: t_span},
        given,
        fields=named,
        reference=reference,
        well_posed=well_posed,
        text=text,
    )


@checks.named_options(solve)
def solve_ode(
    equation: Equation | Sequence[Equation],
    t_span: Span,
    u0: Start | None = None,
    du0: Start | None = None,
    *,
    conditions: Condition | Sequence[Condition] = (),
    coordinate: str = "t",
    fields: Sequence[str] | None = None,
    reference: Reference | None = None,
    well_posed: bool = True,
    text: str = "",
    **options: Any,
) -> Solution:
    """Solve an ordinary differential equation: `solve(ode(...), **options)`.

    Args:
        equation: as in `ode`.
        t_span: as in `ode`.
        u0: as in `ode`.
        du0: as in `ode`.
        conditions: as in `ode`.
        coordinate: as in `ode`.
        fields: as in `ode`.
        reference: as in `ode`.
        well_posed: as in `ode`.
        text: as in `ode`.
        **options: as in `solve`.

    Returns:
        The solution.

    Raises:
        TypeError: as in `ode` and `solve`.
        ValueError: as in `ode` and `solve`.

    Example:
        >>> import torch
        >>> from funcsci import pinn
        >>> pendulum = pinn.solve_ode(
        ...     lambda u: u.tt + torch.sin(u), t_span=(0.0, 5.0), u0=2.0, du0=0.0, progress=False
        ... )
        >>> pendulum.status.converged
        True
        >>> predators = pinn.solve_ode(
        ...     lambda u, v: (u.t - u + u * v, v.t + v - u * v), (0.0, 2.0), [1.5, 1.0], progress=False
        ... )
        >>> u, v = predators(1.0)
    """
    problem = ode(
        equation, t_span, u0, du0, conditions=conditions, coordinate=coordinate, fields=fields,
        reference=reference, well_posed=well_posed, text=text,
    )  # fmt: skip
    return solve(problem, **options)


@checks.named_options()
def ivp(
    function: Callable[[Tensor, Tensor], Any],
    t_span: Span,
    y0: ArrayLike,
    *,
    reference: Reference | None = None,
    text: str = "",
) -> Problem:
    """An initial value problem in the form that SciPy takes, `y' = f(t, y)`.

    Args:
        function: `f(t, y)` with `t` of shape () and `y` of shape `(n,)`; it returns `n` numbers, as a
            tensor, a list or a tuple. Its functions are torch's.
        t_span: start and end.
        y0: `y` at the start, shape `(n,)`.
        reference: the exact solution, as a function of `t`.
        text: the problem in a line.

    Returns:
        The problem, for `solve`, with the fields `y0`, `y1`, and so on; `y` where there is one.

    Raises:
        TypeError: if `y0` is no sequence of numbers, or `f` returns something else.
        ValueError: if `f` does not return one number for each.
    """
    try:
        start = np.asarray(y0, dtype=np.float64).reshape(-1).tolist()
    except (TypeError, ValueError):
        start = []
    if not start:
        raise TypeError(checks.message("be a sequence of numbers", "y0", y0, "Try y0=[1.0]."))
    names = tuple(f"y{place}" for place in range(len(start))) if len(start) > 1 else ("y",)

    def equation(*given: Any) -> tuple[Tensor, ...]:
        *fields, t = given
        found = function(t, torch.stack([field.value for field in fields]))
        slopes = list(found.reshape(-1)) if isinstance(found, Tensor) else found
        slopes = list(slopes) if isinstance(slopes, tuple | list) else [slopes]
        if not all(isinstance(slope, Tensor | int | float) for slope in slopes):
            raise TypeError(checks.message("return numbers", "function", found, "Return y' as a list."))
        if len(slopes) != len(fields):
            must = f"return {len(fields)} numbers, one for each in y0"
            raise ValueError(checks.message(must, "function", len(slopes), "Return y' as a list."))
        return tuple(field.t - slope for field, slope in zip(fields, slopes, strict=True))

    parameters = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in (*names, "t")]
    equation.__name__ = getattr(function, "__name__", "function")
    equation.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return ode(
        equation, t_span, dict(zip(names, start, strict=True)), fields=names, reference=reference, text=text
    )


@checks.named_options(solve)
def solve_ivp(
    function: Callable[[Tensor, Tensor], Any],
    t_span: Span,
    y0: ArrayLike,
    *,
    reference: Reference | None = None,
    text: str = "",
    **options: Any,
) -> Solution:
    """Solve an initial value problem as SciPy takes it: `solve(ivp(...), **options)`.

    Args:
        function: as in `ivp`.
        t_span: as in `ivp`.
        y0: as in `ivp`.
        reference: as in `ivp`.
        text: as in `ivp`.
        **options: as in `solve`.

    Returns:
        The solution.

    Example:
        >>> from funcsci import pinn
        >>> solution = pinn.solve_ivp(lambda t, y: [y[1], -y[0]], (0.0, 3.0), [1.0, 0.0], progress=False)
        >>> [round(value, 10) for value in solution(0.0)]
        [1.0, 0.0]

    Differs from `scipy.integrate.solve_ivp`, which is faster: this solution is a function with derivatives
    of every order, and what it solves may as well be a boundary value problem.
    """
    return solve(ivp(function, t_span, y0, reference=reference, text=text), **options)


def _fields(
    equation: Equation | Sequence[Equation], coordinate: str, fields: Sequence[str] | None
) -> tuple[str, ...] | None:
    """The names of the unknown functions, in the order in which equations take them."""
    if fields is not None:
        return tuple(fields)
    return tuple(name for name in arguments(equation) if name != coordinate) or None


def _by_field(name: str, values: Start | None, fields: tuple[str, ...] | None) -> dict[str, float]:
    """Initial values by field."""
    fields = fields or ("u",)
    if values is None:
        return {}
    if isinstance(values, Mapping):
        for key in values:
            checks.one_of(fields, **{f"{name}, a field": key})
        given = dict(values)
    else:
        found = listed(values)
        parts = list(found) if isinstance(found, Sequence) and not isinstance(found, str) else [found]
        if len(parts) != len(fields):
            must = f"have one number for each of {', '.join(fields)}"
            raise ValueError(checks.message(must, name, values, f"Try {name}={[0.0] * len(fields)}."))
        given = dict(zip(fields, parts, strict=True))
    given = {key: listed(value) for key, value in given.items()}
    checks.finite(**{f"{name}[{key!r}]" if len(fields) > 1 else name: value for key, value in given.items()})
    return {key: float(value) for key, value in given.items()}
