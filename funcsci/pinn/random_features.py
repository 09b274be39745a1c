"""The method of random features: hidden layers as drawn, the last by least squares, wider until it fits."""

import math
import time
from typing import NamedTuple

import torch
from torch import Tensor

from funcsci.optim import Status
from funcsci.pinn.attempts import Attempts, MakeTask
from funcsci.pinn.judging import judged, left, measured
from funcsci.pinn.last_layer import (
    Columns,
    Gauge,
    LastLayer,
    weights_of,
)
from funcsci.pinn.network import NetworkSettings
from funcsci.pinn.outcome import Outcome, Tried
from funcsci.pinn.settings import Chosen, Settings
from funcsci.pinn.verdict import Verdict

LINE_WIDTHS = (128, 256, 512, 1024)
BOX_WIDTHS = (256, 512, 1024, 2048)
"""Features that are tried on one coordinate and on several, until one number of them is enough."""
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
"""Slopes are kept from slab to slab while the residual is at most so many times the first one with them;
those of waves, while the estimated error is small enough."""
USELESS = 0.5
"""Where there are many solutions or none, a wider layer must lower the residual to this share."""


def random_features(make: MakeTask, settings: Settings, steps: int | None = None) -> Outcome:
    """Solve for the last layer alone.

    Args:
        make: makes the task of a network.
        settings: `network.hidden=()` tries one layer of so many features as `tol` needs.
        steps: the most steps of Gauss-Newton for each layer.

    Returns:
        The outcome with the least residual on held-out points.
    """
    search = Search(make, settings, steps)
    try:
        for shape in search.shapes():
            if search.enough(shape):
                break
            search.attempt(shape)
        return search.outcome()
    except KeyboardInterrupt:
        if search.best is None:
            raise
        return search.outcome(stopped="interrupted")


class Found(NamedTuple):
    """The last layer that was found for one network.

    Attributes:
        attempts: at the network.
        chosen: the slopes of its features; None where the width decides.
        solved: the last layer.
        held_out: each requirement at points on which it was not found.
        verdict: what is known of it.
    """

    attempts: Attempts
    chosen: Chosen | None
    solved: LastLayer
    held_out: list[Columns]
    verdict: Verdict

    @property
    def residual(self) -> float:
        """The largest relative residual."""
        return self.verdict.worst_residual

    @property
    def slopes(self) -> Tensor | None:
        """The slopes as a tensor."""
        return None if self.chosen is None else self.chosen.tensor()


class Search:
    """Wider and wider layers, until one is enough; arguments as for `random_features`."""

    def __init__(self, make: MakeTask, settings: Settings, steps: int | None) -> None:
        self.make, self.settings, self.steps = make, settings, steps
        self.best: Found | None = None
        self.latest: Found | None = None
        self.gauge: Gauge | None = None
        self.chosen = settings.chosen
        self.missed: list[float] = []
        self.losses: list[float] = []
        self.seconds: list[float] = []
        self.tried: list[Tried] = []
        self.begun = time.perf_counter()

    def shapes(self) -> list[NetworkSettings]:
        """The network that was asked for, or one of each width."""
        settings = self.settings
        if settings.network.hidden:
            return [settings.network]
        one = self.make(settings.network._replace(hidden=(1,)))
        widths = LINE_WIDTHS if one.problem.domain.dimensions == 1 else BOX_WIDTHS
        least = 0 if settings.chosen is None else settings.chosen.width
        return [
            settings.network._replace(hidden=(width,))
            for width in widths
            if least <= width <= settings.widest
        ]

    def enough(self, shape: NetworkSettings) -> bool:
        """Whether the next network is not worth its time."""
        if self.best is None or self.latest is None:
            return False
        if self.settings.expired:
            return True
        before = self.missed[-2] if len(self.missed) > 1 else 1.0
        latest, small = self.missed[-1], self.best.residual <= self.settings.aim
        if small and not self.settings.estimate:
            return True
        if small or self._by_error(shape):
            self.best = self._estimated(self.best)
            verdict, useless = self.best.verdict, latest > USELESS * before
            if verdict.ill_posed or verdict.meets(self.settings.tol) or (small and useless):
                return True
        if self.gauge is not None:
            return latest > USELESS * before
        nonlinear = not self.latest.attempts.task.problem.affine
        return not small and nonlinear and latest > HOPE * min(before, 1.0)

    def attempt(self, shape: NetworkSettings) -> None:
        """Solve for the last layer of one network."""
        attempts = Attempts(self.make, shape, self.steps, self.gauge)
        found = self._found(attempts)
        task, first = attempts.task, self.settings.estimate and not self.tried
        if first and not task.starts_regularly and task.problem.affine:
            found = self._estimated(found)
            if found.verdict.nulls and found.verdict.ill_posed:
                self.gauge = attempts.gauge = Gauge(found.verdict.nulls, task)
                found = self._solved(attempts)
        elapsed = time.perf_counter() - self.begun - found.solved.seconds[-1]
        self.losses += [2 * loss for loss in found.solved.losses]
        self.seconds += [elapsed + one for one in found.solved.seconds]
        error = found.verdict.error if found.verdict.errors else math.nan
        now = time.perf_counter() - self.begun
        self.tried.append(Tried("random_features", shape.hidden, found.residual, error, now))
        self.latest = found
        self.missed.append(found.verdict.error if self._by_error(shape) else found.residual)
        if self.best is None or self.missed[-1] < min(self.missed[:-1]):
            self.best = found

    def outcome(self, stopped: str = "") -> Outcome:
        """The best that was found."""
        best, settings = self.best, self.settings
        assert best is not None
        if settings.estimate and not stopped:
            best = self._estimated(best)
        task, params, verdict = best.attempts.task, best.solved.params, best.verdict
        if not stopped and settings.expired:
            stopped = "the time limit was reached"
        reason = (
            f"the last layer alone, by least squares on {task.shape.hidden[-1]} random features: "
            f"{verdict} (tol {settings.tol:.1e}); {best.solved.status.reason}"
        )
        status = Status(verdict.meets(settings.tol), f"{stopped}; {reason}" if stopped else reason)
        candidates = [
            one._replace(error=verdict.error) if one.hidden == task.shape.hidden and verdict.errors else one
            for one in self.tried
        ]
        return Outcome(
            "random_features", task, params, verdict, self.losses, self.seconds, status,
            best.attempts.backend, 0, tuple(candidates), stopped, best.chosen, best.held_out,
        )  # fmt: skip

    def _found(self, attempts: Attempts) -> Found:
        """The last layer for slopes that were chosen before, where they serve, or that are searched for."""
        before, shape = self.chosen, attempts.task.shape
        searched = attempts.several and attempts.task.trial.network.spreads
        if not searched or (before is not self.settings.chosen and shape.activation != "waves"):
            return self._solved(attempts)
        least = None
        if before is not None:
            if self._by_error(shape) and shape.hidden[-1] > before.width:  # more of them may be finer
                slopes = tuple(FINE_FACTORS[0] * slope for slope in before.slopes)
                self.chosen = before = Chosen(shape.hidden[-1], slopes, before.error)
            found = self._solved(attempts)
            if self._serves(found, before):
                return found
            least = found.residual
        self.chosen = chosen_slopes(attempts, before, least)
        return self._solved(attempts)

    def _solved(self, attempts: Attempts) -> Found:
        slopes = None if self.chosen is None else self.chosen.tensor()
        solved, held_out = attempts.solve(slopes)
        verdict = measured(attempts.task, held_out, weights_of(solved.params))
        found = Found(attempts, self.chosen, solved, held_out, verdict)
        return self._judged(found) if self._by_error(attempts.task.shape) else found

    def _by_error(self, shape: NetworkSettings) -> bool:
        """Whether the estimated error decides that a network is wide enough: where features are waves.

        They serve equations with many derivatives, which magnify short waves: an error is far below its
        residual.
        """
        return self.settings.estimate and shape.activation == "waves"

    def _serves(self, found: Found, before: Chosen) -> bool:
        """Whether slopes that were chosen before need no search."""
        shape = found.attempts.task.shape
        if self._by_error(shape):
            return found.verdict.meets(self.settings.tol)
        return shape.hidden[-1] == before.width and found.residual <= NEARLY * before.error

    def _estimated(self, found: Found) -> Found:
        return found if found.verdict.errors else self._judged(found)

    def _judged(self, found: Found) -> Found:
        """The same with an estimate of its error, by features that are drawn anew at the same slopes."""
        attempts, held_out, params = found.attempts, found.held_out, found.solved.params
        if attempts.several and attempts.by.shape != attempts.task.shape:
            attempts = Attempts(self.make, attempts.by.shape)
            held_out, attempts.features = attempts.beside(params, found.slopes)
        features, weights = attempts.correction(found.slopes), weights_of(params)
        verdict = judged(found.attempts.task, held_out, weights, features, self.gauge)
        return found._replace(verdict=verdict._replace(residuals=found.verdict.residuals))  # on more points


def chosen_slopes(attempts: Attempts, before: Chosen | None = None, least: float | None = None) -> Chosen:
    """The largest slopes of features along each input that leave the least residual, by coordinate search.

    Args:
        attempts: at the width at which to search.
        before: what was chosen for the slab before, or at the width before: where the search begins.
        least: the residual there, where it is known.

    Source: Dong and Yang (2022), arXiv:2110.14121, who search for one such number.
    """
    inputs = attempts.drawn(None)["layers"][0]["weight"].shape[1]

    def error(slopes: Tensor) -> float:
        solved, held_out = attempts.solve(slopes)
        found = left(attempts.task, held_out, weights_of(solved.params))
        return max(one.relative for one in found)

    slopes = torch.full((inputs,), 2.0).double() if before is None else before.tensor()
    least = error(slopes) if least is None else least
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
    return Chosen(attempts.task.shape.hidden[-1], tuple(slopes.tolist()), least)
