"""The method of random features: hidden layers as drawn, the last by least squares, wider until it fits."""

import math
import time
from collections.abc import Callable
from functools import cached_property, partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.func import jacrev, vmap

from funcsci import random
from funcsci.optim import Status
from funcsci.pinn.assess import Features
from funcsci.pinn.domain import constant
from funcsci.pinn.judging import judged, left, measured
from funcsci.pinn.last_layer import (
    Columns,
    Gauge,
    LastLayer,
    evaluate,
    evaluate_at_once,
    programs,
    solve_last_layer,
    weights_of,
)
from funcsci.pinn.network import NetworkSettings
from funcsci.pinn.outcome import Outcome, Tried
from funcsci.pinn.settings import Chosen, Settings
from funcsci.pinn.task import Task, Training
from funcsci.pinn.verdict import Verdict
from funcsci.random import Key
from funcsci.tree import Params

MakeTask = Callable[[NetworkSettings], Task]
"""The task of a network; the stage and the slab are chosen already."""

LINE_WIDTHS = (128, 256, 512, 1024)
BOX_WIDTHS = (256, 512, 1024, 2048)
"""Features that are tried on one coordinate and on several, until one number of them is enough."""
LINE_POINTS, BOX_POINTS = 2, 3
"""Collocation points for each feature."""
LEAST_POINTS = 128
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
CORRECTED_BY, OF_ALL = 512, 1_024
"""The most features of a field by which its error is estimated; and in a box, where the solution has fewer,
those of all fields together."""
FINER = 2
"""On a line an error is estimated by so many times as many features, which follow what the others missed."""
RESOLVED = 2.0
"""Points that lie on the slope of the steepest feature by which an error is estimated, along a coordinate."""
CORRECTION = 0xC0
"""What is folded into the key for features by which an error is estimated."""
HELD_OUT = 0x4E1D
"""What is folded into the key for points on which nothing is found."""
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
        slopes: of its features; None where the width decides.
        solved: the last layer.
        held_out: each requirement at points on which it was not found.
        verdict: what is known of it.
    """

    attempts: "Attempts"
    slopes: Tensor | None
    solved: LastLayer
    held_out: list[Columns]
    verdict: Verdict

    @property
    def residual(self) -> float:
        """The largest relative residual."""
        return self.verdict.worst_residual


class Search:
    """Wider and wider layers, until one is enough; arguments as for `random_features`."""

    def __init__(self, make: MakeTask, settings: Settings, steps: int | None) -> None:
        self.make, self.settings, self.steps = make, settings, steps
        self.best: Found | None = None
        self.latest: Found | None = None
        self.gauge: Gauge | None = None
        self.chosen = settings.chosen
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
        before = self.tried[-2].residual if len(self.tried) > 1 else 1.0
        if self.best.residual <= self.settings.aim:
            if not self.settings.estimate:
                return True
            self.best = self._estimated(self.best)
            verdict, useless = self.best.verdict, self.latest.residual > USELESS * before
            return useless or bool(verdict.ill_posed) or verdict.meets(self.settings.tol)
        if self.gauge is not None:
            return self.latest.residual > USELESS * before
        return self.latest.residual > HOPE * min(before, 1.0) and not self.latest.attempts.task.affine

    def attempt(self, shape: NetworkSettings) -> None:
        """Solve for the last layer of one network."""
        attempts = Attempts(self.make, shape, self.steps, self.gauge)
        searched = attempts.several and attempts.task.trial.network.spreads
        fresh = self.chosen is None or self.chosen is self.settings.chosen
        if searched and (fresh or shape.activation == "waves"):
            self.chosen = chosen_slopes(attempts, self.chosen)
        found = self._solved(attempts)
        if not self.tried and self.settings.estimate and attempts.task.affine:
            found = self._judged(found)
            if found.verdict.nulls and found.verdict.ill_posed:
                self.gauge = attempts.gauge = Gauge(found.verdict.nulls, attempts.task)
                found = self._solved(attempts)
        elapsed = time.perf_counter() - self.begun - found.solved.seconds[-1]
        self.losses += [2 * loss for loss in found.solved.losses]
        self.seconds += [elapsed + one for one in found.solved.seconds]
        error = found.verdict.error if found.verdict.errors else math.nan
        now = time.perf_counter() - self.begun
        self.tried.append(Tried("random_features", shape.hidden, found.residual, error, now))
        self.latest = found
        if self.best is None or found.residual < self.best.residual:
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
            best.attempts.backend, 0, tuple(candidates), stopped, self.chosen, best.held_out,
        )  # fmt: skip

    def _solved(self, attempts: "Attempts") -> Found:
        chosen = self.chosen
        slopes = None if chosen is None else torch.tensor(chosen.slopes, dtype=torch.float64)
        solved, held_out = attempts.solve(slopes)
        verdict = measured(attempts.task, held_out, weights_of(solved.params))
        return Found(attempts, slopes, solved, held_out, verdict)

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


class Attempts:
    """Solves for the last layer of one network, with hidden layers drawn on various scales.

    Args:
        make: makes the task of a network.
        shape: of the network.
        steps: the most steps of Gauss-Newton.
        gauge: what chooses one of many solutions.
    """

    def __init__(
        self, make: MakeTask, shape: NetworkSettings, steps: int | None = None, gauge: Gauge | None = None
    ) -> None:
        self.task = task = make(shape)
        settings = task.settings
        self.several = task.problem.domain.dimensions > 1
        width, most = shape.hidden[-1], OF_ALL // len(task.problem.fields)
        width = min(max(width, most) if self.several else FINER * width, CORRECTED_BY)
        self.by = make(
            shape._replace(hidden=(*shape.hidden[:-1], width))
        )  # whose features estimate the error
        self.steps, self.gauge = steps, gauge
        self.features: list[Columns] | None = None
        # On a line there is one attempt; a search among many is worth a program.
        self.backend = settings.backend or ("trace" if self.several else "eager")
        self.balanced = task.balanced(self.drawn(None))
        self.training = self.points(random.fold_in(settings.key, 1))
        self.programs = programs(task, self.backend)

    def points(self, key: Key) -> Training:
        """Collocation points, some for each feature."""
        name = self.task.settings.sampling or ("sobol" if self.several else "chebyshev")
        return self.balanced.training(self.count, key, name)

    @property
    def count(self) -> int:
        """How many collocation points there are for the equations."""
        share = BOX_POINTS if self.several else LINE_POINTS
        return self.task.settings.points or max(share * self.task.shape.hidden[-1], LEAST_POINTS)

    @cached_property
    def held_out(self) -> Training:
        """Points on which no layer is found: Sobol's shifted by another key; on a line half as many more.

        On a line they are Chebyshev's, whose sums are integrals to many digits: a residual that features do
        not follow then changes no correction. They coincide with those of training where both numbers
        are divisible by the same power of two, and by no higher one.
        """
        key = random.fold_in(self.task.settings.key, HELD_OUT)
        if self.several:  # more than features, also where the user asks for fewer to train on
            count = max(self.count, BOX_POINTS * self.task.shape.hidden[-1])
            return self.balanced.training(count, key, "sobol")
        count = max(self.count + self.count // 2, 2 * self.by.shape.hidden[-1]) + 1
        while count & -count == self.count & -self.count:
            count += 1
        return self.balanced.training(count, key, "chebyshev")

    def evaluate(self, params: Params, points: Training) -> list[Columns]:
        """All requirements at points, as far as they are linear in the last layer."""
        return evaluate(self.programs, params, points, self.task.problem.fields)

    def drawn(self, slopes: Tensor | None) -> Params:
        """Parameters with hidden layers of these slopes."""
        return self._drawn(self.task, slopes, self.task.settings.key)

    def others(self, slopes: Tensor | None) -> Params:
        """Parameters for the estimate of an error: drawn by another key."""
        task = self.task if self.several else self.by
        return self._drawn(task, slopes, random.fold_in(task.settings.key, CORRECTION))

    def _drawn(self, task: Task, slopes: Tensor | None, key: Key) -> Params:
        if slopes is None and not self.several:  # a feature overlaps a dozen neighbours, whatever the width
            steep = max(2.0, task.shape.hidden[-1] / 8)
            if task.problem.periodic:  # harmonics are steeper than the coordinate
                steep /= math.sqrt(sum(number**2 for number in range(1, task.shape.harmonics + 1)))
            slopes = torch.tensor([steep])
        scales = None if slopes is None else slopes.to(**task.settings.where)
        return task.trial.init(key, scales=scales, **task.settings.where)

    def solve(self, slopes: Tensor | None) -> tuple[LastLayer, list[Columns]]:
        """The last layer for hidden layers of these slopes, and all requirements at the held-out points."""
        params = self.drawn(slopes)
        if self.several:
            training, held_out = (self.evaluate(params, one) for one in (self.training, self.held_out))
        else:  # one pass for all
            several = (params, self.others(slopes)) if self.task.settings.estimate else (params,)
            found = evaluate_at_once(
                self.programs, several, (self.training, self.held_out), self.task.problem.fields
            )
            (training, held_out), self.features = found[0], found[-1][1]
        return solve_last_layer(training, params, steps=self.steps, gauge=self.gauge), held_out

    def beside(self, params: Params, slopes: Tensor | None) -> tuple[list[Columns], list[Columns]]:
        """All requirements at the held-out points: for another network, and for the estimate of its error."""
        several = (params, self.others(slopes))
        ((ours,), (others,)) = evaluate_at_once(
            programs(self.task), several, (self.held_out,), self.task.problem.fields
        )
        return ours, others

    def correction(self, slopes: Tensor | None) -> Features:
        """Features for the estimate of an error, at the held-out points."""
        params = self.others(slopes)
        blocks = self.evaluate(params, self.held_out) if self.features is None else self.features
        return Features(self.task if self.several else self.by, params, blocks)


def correcting(make: MakeTask, task: Task) -> Attempts:
    """A layer of features for the correction of any network."""
    problem = task.problem
    width = LINE_WIDTHS[0] if problem.domain.dimensions == 1 else OF_ALL // len(problem.fields)
    return Attempts(make, NetworkSettings((min(width, CORRECTED_BY),), harmonics=task.shape.harmonics))


def steepness(task: Task, params: Params, inputs: int) -> Tensor | None:
    r"""The slopes of features that are as steep as a function, for each input of a network.

    A feature $\tanh w s$ has the slope $w / 2$ over its range; so $w_i = 2 \max |\partial u / \partial s_i|$
    over the range of $u$, and at least 2. Features are never so steep that they are constant between points:
    they would pass for functions that can be added. On a line the number of features decides, which is None.
    """
    if task.problem.domain.dimensions == 1:
        return None
    x = task.even_points()
    with torch.no_grad():
        values = vmap(partial(task.trial.apply, params))(x)  # (n, fields)
        slopes = vmap(jacrev(partial(task.trial.apply, params)))(x)  # (n, fields, dimensions)
    lengths = constant(task.problem.domain.lengths, x) / 2
    ranges = (values.amax(0) - values.amin(0)).clamp(min=torch.finfo(x.dtype).tiny)
    steep = (2 * slopes.abs().amax(0) * lengths / ranges[:, None]).amax(0).nan_to_num(2.0, 2.0, 2.0)
    most = (BOX_POINTS * CORRECTED_BY) ** (1 / x.shape[1]) / RESOLVED
    steep = steep.clamp(2.0, max(most, 2.0)).double().cpu()
    return steep if inputs == len(steep) else torch.full((inputs,), float(steep.max())).double()


def chosen_slopes(attempts: Attempts, before: Chosen | None = None) -> Chosen:
    """The largest slopes of features along each input that leave the least residual, by coordinate search.

    Args:
        attempts: at the width at which to search.
        before: what was chosen for the slab before, or at the width before: where the search begins. If it
            serves nearly as well as it did there, there is none.

    Source: Dong and Yang (2022), arXiv:2110.14121, who search for one such number.
    """
    width, inputs = attempts.drawn(None)["layers"][0]["weight"].shape

    def error(slopes: Tensor) -> float:
        solved, held_out = attempts.solve(slopes)
        found = left(attempts.task, held_out, weights_of(solved.params))
        return max(one.relative for one in found)

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
