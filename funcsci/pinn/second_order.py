"""Searches that use curvature, on fixed points: Gauss-Newton methods and quasi-Newton methods."""

import math
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from funcsci import optim, random, tree
from funcsci.compile import choose
from funcsci.optim import Status
from funcsci.pinn.task import Task, Training
from funcsci.tree import Params

LEVENBERG_STEPS, QUASI_NEWTON_STEPS = 300, 5_000
WORK = 8e11
"""Multiplications after which fewer steps are taken by default, so that none takes many minutes."""
ROUNDS = 3
"""Times that points are drawn for a nonlinear equation on a box: evenly, then also where it is missed."""
ENOUGH = 0.1
"""The share of `aim` at which a search ends."""
LEAST_POINTS, MOST_POINTS = 128, 8_192
LINE_SHARE, BOX_SHARE = 3, 6
"""Collocation points for each parameter, within those bounds."""


STOPPED = ("interrupted", "the time limit")
"""How the reason of a search begins that did not come to its own end."""


class Found(NamedTuple):
    """What a search on all parameters hands on; fields as in `Outcome`."""

    params: Params
    losses: Tensor
    seconds: Tensor
    status: Status
    backend: str


def fixed_points(task: Task, params: Params) -> Training:
    """The points that a search with curvature trains on."""
    settings = task.settings
    line = task.problem.domain.dimensions == 1
    share = LINE_SHARE if line else BOX_SHARE
    count = settings.points or min(max(share * tree.size(params), LEAST_POINTS), MOST_POINTS)
    name = settings.sampling or ("chebyshev" if line else "sobol")
    return task.training(count, random.fold_in(settings.key, 1), name)


def least_squares(name: str, task: Task, params: Params, steps: int | None) -> Found:
    """Levenberg-Marquardt or Gauss-Newton; where equations are linear, with the last layer projected out.

    Args:
        name: as in `optim.least_squares`.
        task: what is asked.
        params: where to start.
        steps: the most steps; None is 300, fewer where they would take minutes.
    """
    training = fixed_points(task, params)
    rows = sum(len(points.x) * one.count for one, points in training)
    if steps is None:
        steps = min(LEVENBERG_STEPS, max(10, int(WORK / (rows * tree.size(params) ** 2))))
    backend = task.settings.backend or "trace"
    affine, dimensions = task.problem.affine, task.problem.domain.dimensions
    rounds = 1 if affine or dimensions == 1 else min(ROUNDS, max(steps, 1))
    losses: list[Tensor] = []
    seconds: list[Tensor] = []
    for number in range(rounds):
        if number:
            training = task.refined(training, params, random.fold_in(task.settings.key, 5 + number))
        result = optim.least_squares(
            [task.residual(one) for one, _ in training],
            params,
            [points for _, points in training],
            method=name,
            variable_projection=f"['layers'][{len(task.shape.hidden)}]" if affine else None,
            steps=steps // rounds + (number < steps % rounds),
            residual_tol=ENOUGH * task.settings.aim * task.size(params) / math.sqrt(rows),
            backend=backend,
            progress_bar=task.settings.progress,
            time_limit=task.settings.remaining,
            warn=False,
        )
        params = result.params
        # A round begins where the one before ended, on other points.
        losses.append(2 * result.history[bool(number) :])
        seconds.append(result.seconds[bool(number) :] + (seconds[-1][-1] if number else 0.0))
        if result.status.reason.startswith(STOPPED):
            break
    return Found(params, torch.cat(losses), torch.cat(seconds), result.status, choose(backend, steps=steps))


def quasi_newton(name: str, task: Task, params: Params, steps: int | None) -> Found:
    """Self-scaled Broyden, BFGS or L-BFGS on the loss.

    Args:
        name: as in `optim.minimize`.
        task: what is asked.
        params: where to start.
        steps: the most steps; None is 5,000.
    """
    training = fixed_points(task, params)
    steps = QUASI_NEWTON_STEPS if steps is None else steps
    result = optim.minimize(
        task.loss,
        params,
        tuple(points for _, points in training),
        method=name,
        steps=steps,
        value_target=(ENOUGH * task.settings.aim * task.size(params)) ** 2,
        backend=task.settings.backend or "trace",
        progress_bar=task.settings.progress,
        time_limit=task.settings.remaining,
        warn=False,
    )
    backend = choose(task.settings.backend or "trace", steps=steps)
    return Found(result.params, result.history, result.seconds, result.status, backend)


SECOND_ORDER = {
    "levenberg_marquardt": partial(least_squares, "levenberg_marquardt"),
    "gauss_newton": partial(least_squares, "gauss_newton"),
    "ssbroyden": partial(quasi_newton, "ssbroyden"),
    "bfgs": partial(quasi_newton, "bfgs"),
    "lbfgs": partial(quasi_newton, "lbfgs"),
}
"""Each search by its name."""
