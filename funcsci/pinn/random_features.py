"""The method of random features: hidden layers as drawn, the last by least squares, wider until it fits."""

import math
import time
from collections.abc import Callable

import torch
from torch import Tensor

from funcsci import random
from funcsci.compile import jit
from funcsci.optim import Status
from funcsci.pinn.last_layer import LastLayer, jets, solve_last_layer
from funcsci.pinn.network import NetworkSettings
from funcsci.pinn.settings import Chosen, Outcome, Settings
from funcsci.pinn.task import Task
from funcsci.tree import Params

MakeTask = Callable[[NetworkSettings], Task]
"""The task of a network; the stage and the slab are chosen already."""

LINE_WIDTHS = (128, 256, 512, 1024)
BOX_WIDTHS = (256, 512, 1024, 2048)
"""Features that are tried on one coordinate and on several, until one number of them is enough."""
LINE_POINTS, BOX_POINTS = 2, 3
"""Collocation points for each feature."""
LEAST_POINTS = 128
SEARCHED_POINTS = 512
"""Held-out points that judge a choice of slopes."""
SEARCHED_BEYOND = 0.1
"""Waves are searched for until they leave this share of what is aimed at, so that they serve some slabs."""
FACTORS = (2.0, 0.5)
"""What a slope is tried to be changed by."""
FINE_FACTORS = (1.4, 1 / 1.4)
HOPE = 0.1
"""Wider layers are tried for a nonlinear equation while the residual falls to this share, of 1 at first."""
WORTH = 0.9
"""A change of slopes is kept if it lowers the residual to this share."""
NEARLY = 3.0
"""Slopes are kept from slab to slab while the residual is at most so many times the first one with them."""


def random_features(make: MakeTask, settings: Settings) -> Outcome:
    """Solve for the last layer alone.

    Args:
        make: makes the task of a network.
        settings: `network.hidden=()` tries one layer of so many features as `tol` needs.

    Returns:
        The outcome with the least residual on held-out points.
    """
    begun = time.perf_counter()
    best: Outcome | None = None
    losses: list[float] = []
    seconds: list[float] = []
    chosen = settings.chosen
    for shape in _shapes(make, settings):
        attempts = Attempts(make(shape))
        searched = attempts.several and attempts.task.trial.network.spreads
        if searched and (chosen is None or chosen is settings.chosen or shape.activation == "waves"):
            chosen = chosen_slopes(attempts, chosen)
        found = attempts.solve(None if chosen is None else torch.tensor(chosen.slopes, dtype=torch.float64))
        error = attempts.task.error(found.params)
        elapsed = time.perf_counter() - begun - found.seconds[-1]
        losses += [2 * loss for loss in found.losses]
        seconds += [elapsed + one for one in found.seconds]
        reason = (
            f"the last layer alone, by least squares on {shape.hidden[-1]} random features, "
            f"leaves a relative residual of {error:.1e} (tol {settings.tol:.1e}); {found.status.reason}"
        )
        status = Status(error <= settings.tol, reason)
        last = math.inf if best is None else best.error
        if best is None or error < last:
            best = Outcome(
                "random_features", shape, found.params, error, losses, seconds, status, "eager", 0, chosen
            )
        if error <= settings.aim or (error > HOPE * min(last, 1.0) and not attempts.task.affine):
            break
    assert best is not None
    return best._replace(losses=losses, seconds=seconds)


def _shapes(make: MakeTask, settings: Settings) -> list[NetworkSettings]:
    """The network that was asked for, or one of each width."""
    if settings.network.hidden:
        return [settings.network]
    one = make(settings.network._replace(hidden=(1,)))
    widths = LINE_WIDTHS if one.problem.domain.dimensions == 1 else BOX_WIDTHS
    least = 0 if settings.chosen is None else settings.chosen.width
    return [
        settings.network._replace(hidden=(width,)) for width in widths if least <= width <= settings.widest
    ]


class Attempts:
    """Solves for the last layer of one network, with hidden layers drawn on various scales.

    Args:
        task: what is asked of the network.
    """

    def __init__(self, task: Task) -> None:
        self.task, settings = task, task.settings
        self.several = task.problem.domain.dimensions > 1
        width = task.shape.hidden[-1]
        share, name = (BOX_POINTS, "sobol") if self.several else (LINE_POINTS, "chebyshev")
        count = settings.points or max(share * width, LEAST_POINTS)
        params = self.drawn(None)
        key = random.fold_in(settings.key, 1)
        self.training = task.balanced(params).training(count, key, settings.sampling or name)
        # On a line there is one attempt; a search among many is worth a program.
        self.backend = "trace" if self.several else "eager"
        self.programs = [
            jit(jets(task.trial, one, task.problem.fields, settings.derivatives), backend=self.backend)
            for one, _ in self.training
        ]

    def drawn(self, slopes: Tensor | None) -> Params:
        """Parameters with hidden layers of these slopes."""
        settings = self.task.settings
        if slopes is None and not self.several:  # a feature overlaps a dozen neighbours, whatever the width
            slopes = torch.tensor([max(2.0, self.task.shape.hidden[-1] / 8)])
        scales = None if slopes is None else slopes.to(**settings.where)
        return self.task.trial.init(settings.key, scales=scales, **settings.where)

    def solve(self, slopes: Tensor | None) -> LastLayer:
        """The last layer for hidden layers of these slopes."""
        return solve_last_layer(self.programs, self.drawn(slopes), self.training, self.task.problem.fields)


def chosen_slopes(attempts: Attempts, before: Chosen | None = None) -> Chosen:
    """The largest slopes of features along each input that leave the least residual, by coordinate search.

    Args:
        attempts: at the width at which to search.
        before: what was chosen for the slab before, or at the width before: where the search begins. If it
            serves nearly as well as it did there, there is none.

    Source: Dong and Yang (2022), arXiv:2110.14121, who search for one such number.
    """
    width, inputs = attempts.drawn(None)["layers"][0]["weight"].shape
    judge = attempts.task.judge(SEARCHED_POINTS, backend=attempts.backend)

    def error(slopes: Tensor) -> float:
        return judge(attempts.solve(slopes).params)

    slopes = torch.tensor((2.0,) * inputs if before is None else before.slopes, dtype=torch.float64)
    least = error(slopes)
    if before is not None and before.width == width and least <= NEARLY * before.error:
        return before
    waves = attempts.task.shape.activation == "waves"
    enough = attempts.task.settings.aim * (SEARCHED_BEYOND if waves else 1.0)
    everywhere = [torch.full_like(slopes, factor) for factor in FACTORS]
    for factors in (FACTORS, FINE_FACTORS) if before is None else (FINE_FACTORS,):
        ways = everywhere if factors is FACTORS else []
        ways = ways + [
            torch.where(torch.arange(len(slopes)) == place, factor, 1.0).to(slopes)
            for place in range(len(slopes))
            for factor in factors
        ]
        for way in ways:
            while least > enough and (found := error(slopes * way)) < WORTH * least:
                slopes, least = slopes * way, found
    return Chosen(width, tuple(slopes.tolist()), least)
