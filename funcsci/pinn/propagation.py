r"""The error of a march: what is missed in a slab, and what it hands on to the next.

In slab $k$ the correction solves $F'(u_k)\, e_k = -F(u_k)$ and begins with what was missed until then,
$e_k = u_{k-1} + e_{k-1} - u_k$ with as many derivatives as the start needs.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.func import vmap

from funcsci.compile import jit
from funcsci.pinn.assess import Assessment, Features, assess
from funcsci.pinn.attempts import correcting, steepness
from funcsci.pinn.domain import along
from funcsci.pinn.edges import edge_places
from funcsci.pinn.faces import Face
from funcsci.pinn.hard import Built, build
from funcsci.pinn.last_layer import Columns, evaluate, jets, programs, weights_of
from funcsci.pinn.network import NetworkSettings
from funcsci.pinn.outcome import Outcome
from funcsci.pinn.parts import Part
from funcsci.pinn.problem import Problem
from funcsci.pinn.requirements import Points, Requirement, of_terms
from funcsci.pinn.task import Task, make_task

STARTS = 128
"""The fewest points at which the start of a slab is compared with the end of the one before."""

Fields = Callable[[Tensor], Tensor]
"""All fields at a point."""


class Carried:
    """The error of slabs that are solved one after the other.

    Args:
        problem: on the whole domain.
        name: of the coordinate that is marched along.
    """

    def __init__(self, problem: Problem, name: str) -> None:
        self.problem, self.name = problem, name
        self.unexplained = 0.0  # the largest share of a slab's residual that its correction leaves
        self._errors: list[Tensor] = []
        self._sizes: list[Tensor] = []
        self._before: Fields | None = None

    def add(self, part: Part, outcome: Outcome) -> None:
        """Solve for the correction of the next slab.

        Args:
            part: the slab.
            outcome: of its last network.
        """
        ranges, task = self.problem.domain.ranges, outcome.task
        start, end = ranges[self.name]
        lower, upper = part.problem.domain.ranges[self.name]
        share, x = (upper - lower) / (end - start), task.even_points()
        found, correction = _of_slab(part, outcome, self.problem.domain.index(self.name), self._before)
        self._before = partial(_sum, part.function, correction)
        with torch.no_grad():
            self._errors.append(share * vmap(correction)(x).square().mean(0))
            self._sizes.append(share * vmap(self._before)(x).square().mean(0))
        if not found.noisy:
            self.unexplained = max(self.unexplained, found.explained)

    def errors(self) -> dict[str, float]:
        """The relative error of each field over all slabs."""
        relative = torch.stack(self._errors).sum(0).sqrt() / torch.stack(self._sizes).sum(0).sqrt()
        return dict(zip(self.problem.fields, relative.tolist(), strict=True))


def _of_slab(part: Part, outcome: Outcome, index: int, before: Fields | None) -> tuple[Assessment, Fields]:
    """The correction of one slab, and what the linearized problem says of it.

    Args:
        part: the slab.
        outcome: of its last network.
        index: of the coordinate that is marched along.
        before: the corrected fields of the slab before.
    """
    task, params = outcome.task, part.stages[-1].params
    fields, mode = task.problem.fields, task.settings.derivatives
    make = _without_start(task, index)
    attempts = correcting(make, task)
    own = outcome.held_out or evaluate(programs(task), params, attempts.held_out, fields)
    inputs = attempts.drawn(None)["layers"][0]["weight"].shape[1]
    drawn = attempts.others(steepness(task, params, inputs))
    by, free = attempts.by, attempts.by.trial
    faces = [face for face in task.problem.edges.hard if face.index == index]
    count = max(STARTS, by.shape.hidden[-1] // 2)  # a start has one coordinate less than a slab
    x = edge_places(faces[0], task.problem.domain, count, task.settings.key, "sobol", task.settings.where)
    starts = [_start(task, face, x, before) for face in faces]
    requests = tuple(dict.fromkeys(request for term, _, _ in starts for request in term.requests))
    features = attempts.evaluate(drawn, tuple((block.requirement, block.points) for block in own))
    found = jit(jets(free, requests, fields, mode), backend="eager")([drawn], x)
    there = dict(zip(requests, found, strict=True))
    features += [
        Columns(term, points, fields, {one: there[one] for one in term.requests})
        for term, points, _ in starts
    ]
    weights = weights_of(params)
    nothing = x.new_zeros(len(x), weights.shape[1])  # no weight changes how a slab begins
    begun = [
        Columns(term, points, fields, dict.fromkeys(term.requests, torch.cat([known[:, None], nothing], 1)))
        for term, points, known in starts
    ]
    assessed = assess(task, [*own, *begun], weights, Features(by, drawn, features))
    return assessed, partial(free.homogeneous().apply, assessed.correction)


def _start(task: Task, face: Face, x: Tensor, before: Fields | None) -> tuple[Requirement, Points, Tensor]:
    """What the start of a slab must be, on points, and what it is there."""
    domain, fields = task.problem.domain, task.problem.fields
    ((_, order),) = face.terms
    place = fields.index(face.field)
    size = task.scales.fields[place] / domain.lengths[face.index] ** order
    term = of_terms(face.describe(domain), face.field, face.index, face.terms, size, fields)
    if before is None:
        known = target = x.new_zeros(len(x))
    else:
        known = vmap(face.at)(x).detach()
        target = vmap(lambda x: along(lambda x: before(x)[place], x, face.index, order))(x).detach()
    return term, Points(x, target, x.new_full((len(x),), 1 / len(x))), known


def _without_start(task: Task, index: int) -> Callable[[NetworkSettings], Task]:
    """What makes the task of a network that is free where the slab begins."""
    hard = [face for face in task.problem.edges.hard if face.index != index]
    rates = [1 / length for length in task.problem.domain.lengths]
    built = tuple(
        Built(None, build([face for face in hard if face.field == one], task.problem.domain, rates).distance)
        for one in task.problem.fields
    )

    def make(shape: NetworkSettings) -> Task:
        made = make_task(task.problem, task.settings, shape)
        return made._replace(trial=made.trial._replace(built=built))

    return make


def _sum(first: Fields, second: Fields, x: Tensor) -> Tensor:
    return first(x) + second(x)
