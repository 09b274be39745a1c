"""Variable projection: the parameters that residuals are affine in, eliminated by linear least squares."""

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from funcsci import checks, random, tree
from funcsci.optim.linear_least_squares import RidgeFactor
from funcsci.optim.linear_solvers import DENSE
from funcsci.optim.linearization import Linearization, dense
from funcsci.optim.problem import Kind, Problem, Setup, planned, residuals_of
from funcsci.optim.residuals import Residuals, in_parts
from funcsci.tree import Params

Choice: TypeAlias = str | Callable[[str, Tensor], bool]
"""The path that the chosen leaves' paths begin with, or a predicate of a path and its leaf."""


def chosen(choice: Choice, params: Params) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The leaves to eliminate, and the others, each by its path.

    Raises:
        ValueError: if either is empty.
    """
    predicate = (lambda path, leaf: _begins(path, choice)) if isinstance(choice, str) else choice
    affine, others = tree.partition(predicate, params)
    if not tree.size(affine) or not tree.size(others):
        which = "none" if not tree.size(affine) else "all"
        must = "choose some of the parameters and leave others"
        remedy = f"It chooses {which}. The paths are {', '.join(tree.paths(params)[:6])}."
        raise ValueError(checks.message(must, "variable_projection", choice, remedy))
    return affine, others


def _begins(path: str, prefix: str) -> bool:
    """Whether a path is in the subtree of another: `['a'][1]` is not in that of `['a'][10]`."""
    return path.startswith(prefix) and path[len(prefix) :][:1] in ("", "[", ".")


def separated(
    kinds: Sequence[Kind],
    params: Params,
    choice: Choice,
    *,
    solver: str,
    memory: int | None,
    **how: Any,
) -> Setup:
    r"""The problem in the other parameters $a$, with those that the residual is affine in at their best.

    With $r = r_0(a) + \Phi(a) c$ the reduced residual is $r_0 + \Phi c^*$, where $c^*$ minimizes its norm.
    Its Jacobian is Kaufman's: the part of $\partial r / \partial a$ at $c^*$ that the columns of $\Phi$
    cannot reach. This gives the exact gradient, and leaves out a term that costs more than it is worth.

    Args:
        kinds: of residuals.
        params: where to start; the values of those to eliminate do not matter.
        choice: which parameters to eliminate.
        solver: a dense one.
        memory: as in `least_squares`.
        **how: as in `jit`.

    Raises:
        ValueError: if the residual is not affine in the chosen parameters, none or all are chosen, or
            the solver is matrix-free.
        TypeError: if the residual has another dtype than the parameters.

    Source: Golub and Pereyra (1973), doi:10.1137/0710036; Kaufman (1975), doi:10.1007/BF01932995.
    """
    if solver not in DENSE:
        must = f"be one of {', '.join(map(repr, DENSE))} with variable_projection"
        raise ValueError(checks.message(must, "solver", solver, "Try solver='cholesky'."))
    affine, others = chosen(choice, params)
    start, unravel_others = tree.ravel(others)
    given, unravel_affine = tree.ravel(affine)
    start, given = start.detach(), given.detach()

    def joined(a: Tensor, c: Tensor) -> Params:
        return tree.combine(params, unravel_others(a), unravel_affine(c))

    def of_others(residual: Callable[..., Tensor]) -> Callable[..., Tensor]:
        return lambda a, *point_and_c: residual(joined(a, point_and_c[-1]), *point_and_c[:-1])

    def of_affine(residual: Callable[..., Tensor]) -> Callable[..., Tensor]:
        return lambda c, *point_and_a: residual(joined(point_and_a[-1], c), *point_and_a[:-1])

    inside, outside = ([of(kind.function) for kind in kinds] for of in (of_others, of_affine))
    points = [kind.points for kind in kinds]
    parts = [in_parts(function, start, some, given) for function, some in zip(inside, points, strict=True)]
    sizes = planned(parts, len(start) + len(given), start, solver, memory, keeping=("matrix",)).sizes
    inner = residuals_of(inside, parts, sizes, **how)
    parts = [in_parts(function, given, some, start) for function, some in zip(outside, points, strict=True)]
    outer = residuals_of(outside, parts, sizes, **how)
    _check_affine(outer, start, given, choice)

    def solved(a: Tensor) -> tuple[Tensor, Tensor, RidgeFactor]:
        """The reduced residual, the parameters that make it least, and the factor of their columns."""
        offset, columns = outer.rows(torch.zeros_like(given), a)
        factor = RidgeFactor.of(columns)
        c = factor.solve(-offset)
        return offset + columns @ c, c, factor

    def linearize(a: Tensor) -> Linearization:
        r, c, factor = solved(a)
        return dense((r, factor.outside(inner.rows(a, c)[1])), solver)

    problem = Problem(lambda a: solved(a)[0], linearize)
    return Setup(problem, start, lambda a: joined(a, solved(a)[1]))


def _check_affine(outer: Residuals, a: Tensor, given: Tensor, choice: Choice) -> None:
    """Compare with the linear model at a point far away; affine functions meet it to round-off."""
    offset, columns = outer.rows(torch.zeros_like(given), a)
    away = random.normal(random.key(0), given.shape, dtype=given.dtype).to(given.device) * (1 + given.abs())
    found, _ = outer.rows(away, a)  # by the program that the search runs, not by one for this alone
    size = torch.linalg.vector_norm(offset) + torch.linalg.vector_norm(columns, dim=0) @ away.abs()
    miss = float(torch.linalg.vector_norm(found - offset - columns @ away) / size)
    if not miss <= math.sqrt(torch.finfo(given.dtype).eps):
        raise ValueError(
            "variable_projection must choose parameters that the residual is affine in. "
            f"Got {choice!r}, along which the residual leaves its tangent by {miss:.1e} of its size. "
            "Choose a last layer without activation, or leave variable_projection out."
        )
