"""One step of Levenberg-Marquardt: the linear model of a residual, and the trials along it."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import jacrev, vmap

from funcsci.optim.status import Status
from funcsci.tree import Params, PyTree

SHRINK, GROW, RESCUE = 0.1, 2.0, 10.0
"""Factors of the damping: after a step is taken, after a trial fails, after Cholesky fails."""
FIRST_DAMPING, LEAST_DAMPING, MOST_DAMPING = 1e-2, 1e-20, 1e12
TRUSTED_DAMPING = 1.0
"""Up to this damping a tiny step tells that the point is a minimum, not that the damping is large."""
PROBE = 0.1
"""The length, in steps, at which the residual's curvature along a step is probed."""
CURVED = 0.75
r"""A step $v$ is corrected by $a$ only while $2 \lVert a \rVert / \lVert v \rVert$ is at most this."""
UPHILL = 10.0
"""No step may raise the value by more than this factor."""


class Problem(NamedTuple):
    """The residuals as functions of the flat parameters.

    Attributes:
        evaluate: all residuals, shape `(residuals,)`.
        linearize: the residuals, and their Jacobian, shape `(residuals, parameters)`.
    """

    evaluate: Callable[..., Tensor]
    linearize: Callable[..., tuple[Tensor, Tensor]]


class Tolerances(NamedTuple):
    """When a point counts as a minimum; as in `least_squares`."""

    residual: float
    gradient: float
    value: float
    step: float


class Point(NamedTuple):
    """Where the search stands.

    Attributes:
        params: the flat parameters.
        residual: the residuals there.
        jacobian: their derivatives by the parameters.
        value: half the sum of squares.
        direction: the undamped part of the step that led here, in units of the parameters; zero
            at a start, where there is no direction to keep.
    """

    params: Float[Tensor, "parameters"]
    residual: Float[Tensor, "residuals"]
    jacobian: Float[Tensor, "residuals parameters"]
    value: float
    direction: Float[Tensor, "parameters"]

    @property
    def finite(self) -> bool:
        """Whether a step can start here."""
        return bool(torch.isfinite(self.residual).all()) and bool(torch.isfinite(self.jacobian).all())

    @property
    def rms(self) -> float:
        """The root mean square of the residuals."""
        return math.sqrt(2 * self.value / self.residual.numel())


class Model(NamedTuple):
    """A point's linear model in scaled parameters: everything a trial needs.

    Attributes:
        jacobian: with its columns divided by `scale`.
        scale: the running maximum of the columns' norms, 1 for a column that was always zero.
        gram: $J J^T$ where residuals are fewer than parameters (the dual form), else $J^T J$.
    """

    jacobian: Float[Tensor, "residuals parameters"]
    scale: Float[Tensor, "parameters"]
    gram: Float[Tensor, "smaller smaller"]


def problem(residual: Callable[..., Tensor], unravel: Callable[[Tensor], Params]) -> Problem:
    """All residuals as one vector, and their Jacobian; with points, sample by sample."""

    def at_point(flat: Tensor, *point: PyTree) -> Tensor:
        return residual(unravel(flat), *point).reshape(-1)

    def twice(flat: Tensor, *point: PyTree) -> tuple[Tensor, Tensor]:
        r = at_point(flat, *point)
        return r, r

    def evaluate(flat: Tensor, *points: PyTree) -> Tensor:
        if points:
            return vmap(lambda point: at_point(flat, point))(*points).reshape(-1)
        return at_point(flat)

    def linearize(flat: Tensor, *points: PyTree) -> tuple[Tensor, Tensor]:
        transformed = jacrev(twice, has_aux=True)
        if points:
            jacobian, r = vmap(lambda point: transformed(flat, point))(*points)
        else:
            jacobian, r = transformed(flat)
        return r.reshape(-1), jacobian.reshape(-1, flat.numel())

    return Problem(evaluate, linearize)


def half_sum(r: Tensor) -> float:
    """Half the sum of squares, summed in float64."""
    return 0.5 * float(r.double() @ r.double())


def point(problem: Problem, params: Tensor, direction: Tensor) -> Point:
    """The residual and its Jacobian at some parameters."""
    r, jacobian = problem.linearize(params)
    return Point(params, r, jacobian, half_sum(r), direction)


def model(now: Point, norms: Tensor) -> Model:
    """The linear model at a point, scaled by the norms that the columns have had at most."""
    scale = torch.where(norms > 0, norms, torch.ones_like(norms))
    scaled = now.jacobian / scale
    dual = scaled.shape[0] < scaled.shape[1]
    return Model(scaled, scale, scaled @ scaled.mT if dual else scaled.mT @ scaled)


def velocity(model: Model, factor: Tensor, r: Tensor) -> Tensor:
    r"""The scaled step $-(J^\top J + \lambda)^{-1} J^\top r$, by a Cholesky factor of `gram` + $\lambda$."""
    j = model.jacobian
    if j.shape[0] < j.shape[1]:
        return -j.mT @ torch.cholesky_solve(r[:, None], factor)[:, 0]
    return -torch.cholesky_solve((j.mT @ r)[:, None], factor)[:, 0]


def cosine(now: Point) -> float:
    """The largest cosine of the angle between the residual and a column of the Jacobian."""
    norms = torch.linalg.vector_norm(now.jacobian, dim=0)
    columns = now.jacobian / torch.where(norms > 0, norms, torch.ones_like(norms))
    unit = now.residual / torch.linalg.vector_norm(now.residual)
    return float((columns.mT @ unit).abs().max())


def step(
    problem: Problem, now: Point, model: Model, damping: float, tolerances: Tolerances
) -> tuple[Point | Status, float]:
    """The next point and damping; or a status where the steps have become too small to go on."""
    identity = torch.eye(model.gram.shape[0], dtype=model.gram.dtype, device=model.gram.device)
    reach = float(torch.linalg.vector_norm(model.scale * now.params))
    first: tuple[float, float] | None = None
    while damping <= MOST_DAMPING:
        factor, failed = torch.linalg.cholesky_ex(model.gram + damping * identity)
        if int(failed):
            damping *= RESCUE
            continue
        v = velocity(model, factor, now.residual)
        length = float(torch.linalg.vector_norm(v))
        if first is None:
            trusted = damping <= TRUSTED_DAMPING
            first = (length, _promise(now, model, v, damping)) if trusted else (math.inf, math.inf)
            if first[0] <= tolerances.step * reach:
                return Status(True, f"the step is at most {tolerances.step:.1e} of the parameters"), damping
            if first[1] <= tolerances.value:
                return Status(True, f"steps promise at most {tolerances.value:.1e} of the value"), damping
        elif length <= tolerances.step * reach:
            break
        found = _trial(problem, now, model, factor, v)
        if found is not None:
            return found, max(damping * SHRINK, LEAST_DAMPING)
        damping *= GROW
    if first is not None and first[0] <= math.sqrt(tolerances.step) * reach:
        reason = f"no step lowers the value, and the first is {first[0] / reach:.1e} of the parameters"
        return Status(True, reason), damping
    if first is not None and first[1] <= math.sqrt(tolerances.value):
        return Status(True, f"no step lowers the value, and the first promises {first[1]:.1e} of it"), damping
    return Status(False, "no step lowers the value: round-off is reached"), damping


def _promise(now: Point, model: Model, v: Tensor, damping: float) -> float:
    r"""The share of the value that the linear model promises to a step, or to any one parameter.

    A step takes $(\lVert J v \rVert^2 + 2 \lambda \lVert v \rVert^2) / \lVert r \rVert^2$, a parameter
    alone the square of its cosine.
    """
    gain = half_sum(model.jacobian @ v) + damping * 2 * half_sum(v)
    return max(gain / now.value, cosine(now) ** 2)


def _trial(problem: Problem, now: Point, model: Model, factor: Tensor, v: Tensor) -> Point | None:
    """The point at the end of the step `v`, corrected along the geodesic, if it is acceptable."""
    probe = problem.evaluate(now.params + PROBE * v / model.scale)
    curvature = (2 / PROBE) * ((probe - now.residual) / PROBE - model.jacobian @ v)
    acceleration = 0.5 * velocity(model, factor, curvature)
    length = torch.linalg.vector_norm(v)
    corrected = v
    if bool(2 * torch.linalg.vector_norm(acceleration) <= CURVED * length):  # false for nan
        corrected = v + acceleration
    params = now.params + corrected / model.scale
    value = half_sum(problem.evaluate(params))
    if not (value < now.value or _bold(now, model, v, value)):  # both false for nan
        return None
    found = point(problem, params, v / model.scale)
    return found if found.finite else None


def _bold(now: Point, model: Model, v: Tensor, value: float) -> bool:
    r"""Whether an uphill step passes for keeping the last direction, $(1 - \cos) f' \le f$."""
    before = now.direction * model.scale
    turn = float(torch.linalg.vector_norm(before) * torch.linalg.vector_norm(v))
    kept = float(before @ v) / turn if turn > 0 else 0.0
    return kept > 0 and (1 - kept) * value <= now.value and value <= UPHILL * now.value
