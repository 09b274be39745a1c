"""A layer of random features: points for its equations, its last layer, and the estimate of its error."""

import math
from collections.abc import Callable
from functools import cached_property, partial

import torch
from torch import Tensor
from torch.func import jacrev, vmap

from funcsci import random
from funcsci.pinn.assess import Features
from funcsci.pinn.domain import constant
from funcsci.pinn.last_layer import (
    Columns,
    Gauge,
    LastLayer,
    evaluate,
    evaluate_at_once,
    programs,
    solve_last_layer,
)
from funcsci.pinn.network import NetworkSettings
from funcsci.pinn.task import Task, Training
from funcsci.random import Key
from funcsci.tree import Params

MakeTask = Callable[[NetworkSettings], Task]
"""The task of a network; the stage and the slab are chosen already."""

LINE_POINTS, BOX_POINTS = 2, 3
"""Collocation points for each feature."""
LEAST_POINTS = 128
LINE_CORRECTION = 128
"""Half the number of features that estimate the error of a trained network on a line."""
CORRECTED_BY, OF_ALL = 512, 1_024
"""The most features of a field by which its error is estimated, where no line needs more and the features are
no waves; and in a box, where the solution has fewer, those of all fields together."""
FINER = 2
"""On a line an error is estimated by so many times as many features, up to `CORRECTED_BY` or as many as there
are: they follow what the others missed."""
SHORTER = 1.4
"""The waves by which an error is estimated are up to so many times as short as the solution's own."""
RESOLVED = 2.0
"""Points that lie on the slope of the steepest feature by which an error is estimated, along a coordinate."""
CORRECTION = 0xC0
"""What is folded into the key for features by which an error is estimated."""
HELD_OUT = 0x4E1D
"""What is folded into the key for points on which nothing is found."""


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
        if not self.several:
            width = min(FINER * width, max(width, CORRECTED_BY))
        elif shape.activation != "waves":
            width = min(max(width, most), CORRECTED_BY)
        by = shape._replace(hidden=(*shape.hidden[:-1], width))
        self.by = task if by == shape else make(by)  # whose features estimate the error
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
        """Parameters for the estimate of an error: drawn by another key, waves with larger numbers."""
        if slopes is not None and self.task.shape.activation == "waves":
            slopes = SHORTER * slopes
        return self._drawn(self.by, slopes, random.fold_in(self.task.settings.key, CORRECTION))

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
            (training, held_out), self.features = found[0], found[1][1] if len(found) > 1 else None
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
        return Features(self.by, params, blocks)


def correcting(make: MakeTask, task: Task) -> Attempts:
    """A layer of features for the correction of any network: a sum of waves in a box by as many waves."""
    problem = task.problem
    if _sums_waves(task):
        return Attempts(make, task.shape)
    width = LINE_CORRECTION if problem.domain.dimensions == 1 else OF_ALL // len(problem.fields)
    return Attempts(make, NetworkSettings((min(width, CORRECTED_BY),), harmonics=task.shape.harmonics))


def steepness(task: Task, params: Params, inputs: int) -> Tensor | None:
    r"""The slopes of features that are as steep as a function, for each input of a network.

    A feature $\tanh w s$ has the slope $w / 2$ over its range; so $w_i = 2 \max |\partial u / \partial s_i|$
    over the range of $u$, and at least 2. Features are never so steep that they are constant between points:
    they would pass for functions that can be added. Waves have their own largest weights. None on a line:
    there the number of features decides.
    """
    if task.problem.domain.dimensions == 1:
        return None
    if _sums_waves(task):
        weight: Tensor = params["layers"][0]["weight"]
        return weight.abs().amax(0).double().cpu()
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


def _sums_waves(task: Task) -> bool:
    """Whether a function of several coordinates is a sum of waves: one layer of them."""
    shape = task.shape
    return task.problem.domain.dimensions > 1 and shape.activation == "waves" and len(shape.hidden) == 1
