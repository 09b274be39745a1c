"""One step of Gauss-Newton: the minimum of the linear model, halved until it lowers the value."""

import torch
from torch import Tensor

from funcsci.optim.levenberg_marquardt import MOST_DAMPING, RESCUE
from funcsci.optim.problem import Point, Problem, half_sum, point
from funcsci.optim.status import Status
from funcsci.optim.stopping import Tolerances, attempt

SUFFICIENT = 1e-4
"""The share of the decrease that the slope promises which a step must give, as usual in line searches."""


def step(
    problem: Problem, now: Point, scale: Tensor, ridge: float, tolerances: Tolerances
) -> tuple[Point | Status, float]:
    r"""The next point, and the ridge; or a status where the steps have become too small to go on.

    The ridge is damping at the level of round-off. It takes the place of a rank that would have to be
    decided upon: along directions in which the residuals do not change no step is taken.

    Args:
        problem: the residuals.
        now: where to start from.
        scale: of the parameters, positive.
        ridge: the least to use, at least the dtype's round-off times the larger side of the Jacobian.
        tolerances: when a step is too small.
    """
    rows, columns = len(now.residual), len(now.params)
    ridge = max(ridge, max(rows, columns) * torch.finfo(scale.dtype).eps)
    damped = now.linear.factorize(scale)
    factor = damped(ridge)
    while bool(factor.failed) and ridge < MOST_DAMPING:
        ridge *= RESCUE
        factor = damped(ridge)
    v = factor.solve(now.residual)
    first = attempt(now, scale, ridge, v, tolerances)
    small = first.small(tolerances)
    if small is not None:
        return small, ridge
    slope = float(now.linear.slope @ (v / scale)) * (2 * now.value) ** 0.5
    share, least = 1.0, torch.finfo(scale.dtype).eps ** 2
    while slope < 0 and share > least and share * first.share > tolerances.step:
        params = now.params + share * v / scale
        value = half_sum(problem.evaluate(params))
        if value <= now.value + SUFFICIENT * share * slope and value < now.value:  # both false for nan
            found = point(problem, params)
            if found.linear.finite:
                return found, ridge
        share /= 2
    return first.exhausted(tolerances), ridge
