"""One step of Levenberg-Marquardt: trials along the linear model, more damped after each failure."""

import torch
from torch import Tensor

from funcsci.optim.linear_solvers import Factor
from funcsci.optim.problem import Point, Problem, half_sum, point
from funcsci.optim.status import Status
from funcsci.optim.stopping import UNTOLD, Attempt, Tolerances, attempt

SHRINK, GROW, RESCUE = 0.1, 2.0, 10.0
"""Factors of the damping: after a step is taken, a trial fails, or the equations cannot be solved."""
FIRST_DAMPING, LEAST_DAMPING, MOST_DAMPING = 1e-2, 1e-20, 1e12
TRUSTED_DAMPING = 1.0
"""Up to this damping a tiny step tells that the point is a minimum, not that the damping is large."""
PROBE = 0.1
"""The length, in steps, at which the residual's curvature along a step is probed."""
CURVED = 0.75
r"""A step $v$ is corrected by $a$ only while $2 \lVert a \rVert / \lVert v \rVert$ is at most this."""
UPHILL = 10.0
"""No step may raise the value by more than this factor."""


def step(
    problem: Problem, now: Point, scale: Tensor, damping: float, tolerances: Tolerances
) -> tuple[Point | Status, float]:
    """The next point and damping; or a status where the steps have become too small to go on.

    Args:
        problem: the residuals.
        now: where to start from.
        scale: of the parameters, positive.
        damping: to begin with.
        tolerances: when a step is too small.
    """
    damped = now.linear.factorize(scale)
    first: Attempt | None = None
    while damping <= MOST_DAMPING:
        factor = damped(damping)
        if bool(factor.failed):
            damping *= RESCUE
            continue
        v = factor.solve(now.residual)
        if first is None:
            trusted = damping <= TRUSTED_DAMPING
            first = attempt(now, scale, damping, v, tolerances) if trusted else UNTOLD
            small = first.small(tolerances)
            if small is not None:
                return small, damping
        elif _short(now, scale, v, tolerances):
            break
        found = _trial(problem, now, scale, factor, v)
        if found is not None:
            return found, max(damping * SHRINK, LEAST_DAMPING)
        damping *= GROW
    return (first or UNTOLD).exhausted(tolerances), damping


def _short(now: Point, scale: Tensor, v: Tensor, tolerances: Tolerances) -> bool:
    reach = torch.linalg.vector_norm(scale * now.params)
    return bool(torch.linalg.vector_norm(v) <= tolerances.step * reach)


def _trial(problem: Problem, now: Point, scale: Tensor, factor: Factor, v: Tensor) -> Point | None:
    """The point at the end of the step `v`, corrected along the geodesic, if it is acceptable."""
    probe = problem.evaluate(now.params + PROBE * v / scale)
    curvature = (2 / PROBE) * ((probe - now.residual) / PROBE - now.linear.apply(v / scale))
    acceleration = 0.5 * factor.solve(curvature)
    length = torch.linalg.vector_norm(v)
    corrected = v
    if bool(2 * torch.linalg.vector_norm(acceleration) <= CURVED * length):  # false for nan
        corrected = v + acceleration
    params = now.params + corrected / scale
    value = half_sum(problem.evaluate(params))
    if not (value < now.value or _bold(now, scale, v, value)):  # both false for nan
        return None
    found = point(problem, params, v / scale)
    return found if found.linear.finite else None


def _bold(now: Point, scale: Tensor, v: Tensor, value: float) -> bool:
    r"""Whether an uphill step passes for keeping the last direction, $(1 - \cos) f' \le f$."""
    before = now.direction * scale
    turn = float(torch.linalg.vector_norm(before) * torch.linalg.vector_norm(v))
    kept = float(before @ v) / turn if turn > 0 else 0.0
    return kept > 0 and (1 - kept) * value <= now.value and value <= UPHILL * now.value
