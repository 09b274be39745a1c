"""What a step of nonlinear least squares sees of a problem, and how much memory it may take."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from funcsci import checks, tree
from funcsci.optim.jacobian import bytes_of
from funcsci.optim.linear_solvers import DENSE
from funcsci.optim.linearization import MATRIX_FREE, Linearization, dense, matrix_free, normal
from funcsci.optim.micro_batches import fitting
from funcsci.optim.residuals import Parts, Residuals, in_parts, parted, together
from funcsci.tree import Params, PyTree

SOLVERS = (*DENSE, *MATRIX_FREE)
"""All that solve the damped equations."""
MEMORY = 2**32
"""Bytes that matrices may take where no bound is given."""
JACOBIANS = {"cholesky": 3, "qr": 5, "svd": 6}
"""Matrices of the Jacobian's size that live at once: those of a step, its factor, and the next point's."""
SQUARES = 5
"""Square matrices of the normal equations that live at once."""


class Problem(NamedTuple):
    """The residuals as functions of the flat parameters.

    Attributes:
        evaluate: all residuals, shape `(residuals,)`.
        linearize: their linear model.
    """

    evaluate: Callable[[Tensor], Tensor]
    linearize: Callable[[Tensor], Linearization]


class Setup(NamedTuple):
    """A problem to be searched.

    Attributes:
        problem: in flat parameters.
        start: where to begin.
        finish: the tree of all parameters that belongs to flat ones.
    """

    problem: Problem
    start: Float[Tensor, "parameters"]
    finish: Callable[[Tensor], Params]


class Point(NamedTuple):
    """Where a search stands.

    Attributes:
        params: the flat parameters.
        linear: the linear model there.
        value: half the sum of squared residuals.
        direction: the part of the step that led here whose direction is kept, in units of the
            parameters; zero at a start, where there is none.
    """

    params: Float[Tensor, "parameters"]
    linear: Linearization
    value: float
    direction: Float[Tensor, "parameters"]

    @property
    def residual(self) -> Float[Tensor, "residuals"]:
        """The residuals here."""
        return self.linear.residual

    @property
    def rms(self) -> float:
        """The root mean square of the residuals."""
        return math.sqrt(2 * self.value / self.residual.numel())


def point(problem: Problem, params: Tensor, direction: Tensor | None = None) -> Point:
    """The problem's linear model at some parameters."""
    linear = problem.linearize(params)
    kept = torch.zeros_like(params) if direction is None else direction
    return Point(params, linear, half_sum(linear.residual), kept)


def half_sum(r: Tensor) -> float:
    """Half the sum of squares, summed in float64."""
    return 0.5 * float(r.double() @ r.double())


class Plan(NamedTuple):
    """What is kept of a Jacobian, and in how large parts it is computed.

    Attributes:
        kept: `"matrix"`, `"normal"` (the normal equations) or `"nothing"`.
        sizes: parts in a micro-batch, for each kind of residual.
    """

    kept: str
    sizes: tuple[int, ...]


class Kind(NamedTuple):
    """One kind of residual: a function, and the points at which it is asked to vanish.

    Attributes:
        function: `function(params, point)`; without points `function(params)`, all residuals.
        points: a pytree of tensors, or None.
    """

    function: Callable[..., Tensor]
    points: PyTree | None


def kinds_of(residual: Callable[..., Tensor] | Sequence[Callable[..., Tensor]], points: Any) -> list[Kind]:
    """Each residual with its points.

    Raises:
        ValueError: if there are not as many functions as sets of points, or none.
    """
    if callable(residual):
        return [Kind(residual, points)]
    sets = [None] * len(residual) if points is None else list(points)
    if not residual or len(sets) != len(residual):
        came = f"{len(residual)} functions and {len(sets)} sets of points"
        raise ValueError(
            "residual and points must be of one length, at least 1, where residual is a sequence. "
            f"Got {came}. Pass one set of points for each function, or one function."
        )
    return [Kind(function, some) for function, some in zip(residual, sets, strict=True)]


def planned(
    kinds: Sequence[Parts],
    columns: int,
    flat: Tensor,
    solver: str,
    memory: int | None,
    *,
    keeping: tuple[str, ...] = ("matrix", "normal", "nothing"),
) -> Plan:
    """The plan that keeps most of the Jacobian within a memory bound.

    Args:
        kinds: of residuals, each in its parts.
        columns: of the Jacobian.
        flat: a tensor of its dtype and device.
        solver: a name in `SOLVERS`.
        memory: the bound in bytes, or None for `MEMORY`.
        keeping: what may be kept.

    Raises:
        ValueError: if there is none.
    """
    rows = sum(parts.residuals for parts in kinds)
    one = max(parts.cost.one for parts in kinds)
    matrix = bytes_of(rows, columns, dtype=flat.dtype)
    square = bytes_of(columns, columns, dtype=flat.dtype)
    needs = {"nothing": 0} if solver in MATRIX_FREE else {}
    if solver in DENSE:
        copies = JACOBIANS[solver] + (len(kinds) > 1)  # several kinds are put together from their own
        needs["matrix"] = copies * matrix + SQUARES * min(square, matrix)
    if solver == "cholesky":
        needs["normal"] = SQUARES * square
    bound = MEMORY if memory is None else memory
    for kept in keeping:
        if kept in needs and needs[kept] + one <= bound:
            left, where = bound - needs[kept], flat.device.type
            return Plan(kept, tuple(fitting(parts.total, parts.cost, left, where) for parts in kinds))
    least = one + min(need for kept, need in needs.items() if kept in keeping)
    shape = (rows, columns)
    must = f"hold at least {least} bytes for solver={solver!r} and a Jacobian of shape {shape}"
    remedy = f"Try memory={2 * least}" + (", or solver='lsmr'." if solver in DENSE else ".")
    raise ValueError(checks.message(must, "memory", bound, remedy))


def residuals_of(
    functions: Sequence[Callable[..., Tensor]], kinds: Sequence[Parts], sizes: Sequence[int], **how: Any
) -> Residuals:
    """All residuals of several kinds as functions of flat parameters; `how` as in `jit`."""
    own = [
        parted(function, parts, size, **how)
        for function, parts, size in zip(functions, kinds, sizes, strict=True)
    ]
    return together(own, [parts.residuals for parts in kinds])


def full(
    kinds: Sequence[Kind],
    params: Params,
    *,
    solver: str,
    solver_tol: float,
    memory: int | None,
    **how: Any,
) -> Setup:
    """The problem in all parameters of residuals; arguments as in `least_squares`, and `how` as in `jit`."""
    start, unravel = tree.ravel(params)
    start = start.detach()

    def of_flat(residual: Callable[..., Tensor]) -> Callable[..., Tensor]:
        return lambda flat, *point: residual(unravel(flat), *point)

    functions = [of_flat(kind.function) for kind in kinds]
    parts = [in_parts(function, start, kind.points) for function, kind in zip(functions, kinds, strict=True)]
    plan = planned(parts, len(start), start, solver, memory)
    residuals = residuals_of(functions, parts, plan.sizes, **how)

    def linearize(flat: Tensor) -> Linearization:
        if plan.kept == "matrix":
            return dense(residuals.rows(flat), solver)

        def apply(v: Tensor) -> Tensor:
            return residuals.apply(flat, v)

        def transpose(w: Tensor) -> Tensor:
            return residuals.transpose(flat, w)

        if plan.kept == "normal":
            return normal(residuals.blocks(flat), apply, transpose)
        return matrix_free(residuals.blocks(flat), apply, transpose, solver, solver_tol)

    return Setup(Problem(residuals.evaluate, linearize), start, unravel)
