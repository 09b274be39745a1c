"""What a step of nonlinear least squares sees of a problem, and how much memory it may take."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from funcsci import checks, tree
from funcsci.optim.jacobian import bytes_of
from funcsci.optim.linear_solvers import DENSE
from funcsci.optim.linearization import MATRIX_FREE, Linearization, dense, matrix_free, normal
from funcsci.optim.micro_batches import fitting
from funcsci.optim.residuals import Parts, in_parts, parted
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
        size: parts in a micro-batch.
    """

    kept: str
    size: int


def planned(
    parts: Parts,
    columns: int,
    flat: Tensor,
    solver: str,
    memory: int | None,
    *,
    kinds: tuple[str, ...] = ("matrix", "normal", "nothing"),
) -> Plan:
    """The plan that keeps most of the Jacobian within a memory bound.

    Args:
        parts: of the residuals.
        columns: of the Jacobian.
        flat: a tensor of its dtype and device.
        solver: a name in `SOLVERS`.
        memory: the bound in bytes, or None for `MEMORY`.
        kinds: what may be kept.

    Raises:
        ValueError: if there is none.
    """
    matrix = bytes_of(parts.residuals, columns, dtype=flat.dtype)
    square = bytes_of(columns, columns, dtype=flat.dtype)
    needs = {"nothing": 0} if solver in MATRIX_FREE else {}
    if solver in DENSE:
        needs["matrix"] = JACOBIANS[solver] * matrix + SQUARES * min(square, matrix)
    if solver == "cholesky":
        needs["normal"] = SQUARES * square
    bound = MEMORY if memory is None else memory
    for kind in kinds:
        if kind in needs and needs[kind] + parts.cost.one <= bound:
            left = bound - needs[kind]
            return Plan(kind, fitting(parts.total, parts.cost, left, flat.device.type))
    least = parts.cost.one + min(need for kind, need in needs.items() if kind in kinds)
    shape = (parts.residuals, columns)
    must = f"hold at least {least} bytes for solver={solver!r} and a Jacobian of shape {shape}"
    remedy = f"Try memory={2 * least}" + (", or solver='lsmr'." if solver in DENSE else ".")
    raise ValueError(checks.message(must, "memory", bound, remedy))


def full(
    residual: Callable[..., Tensor],
    params: Params,
    points: PyTree | None,
    *,
    solver: str,
    solver_tol: float,
    memory: int | None,
    **how: Any,
) -> Setup:
    """The problem in all parameters of a residual; arguments as in `least_squares`, and `how` as in `jit`."""
    start, unravel = tree.ravel(params)
    start = start.detach()

    def of_flat(flat: Tensor, *point: PyTree) -> Tensor:
        return residual(unravel(flat), *point)

    parts = in_parts(of_flat, start, points)
    plan = planned(parts, len(start), start, solver, memory)
    residuals = parted(of_flat, parts, plan.size, **how)

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
