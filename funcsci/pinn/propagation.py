r"""The error of a march: what is missed in a slab, and what it hands on to the next.

In slab $k$ the correction solves $F'(u_k)\, e_k = -F(u_k)$ and begins with what was missed until then,
$e_k = u_{k-1} + e_{k-1} - u_k$ with as many derivatives as the start needs.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.func import vmap

from funcsci.compile import jit
from funcsci.pinn.assess import Assessment, assess
from funcsci.pinn.domain import along
from funcsci.pinn.hard import Built, build
from funcsci.pinn.last_layer import evaluate, jets, weights_of
from funcsci.pinn.network import NetworkSettings
from funcsci.pinn.parts import Part
from funcsci.pinn.problem import Problem
from funcsci.pinn.random_features import correcting, steepness
from funcsci.pinn.requirements import Points, of_terms
from funcsci.pinn.task import Task, edge_points, make_task

STARTS = 128
"""Points at which the start of a slab is compared with the end of the one before."""

Fields = Callable[[Tensor], Tensor]
"""All fields at a point."""


def carried(
    problem: Problem, parts: Sequence[Part], tasks: Sequence[Task], name: str
) -> tuple[dict[str, float], float]:
    """The relative error of each field over all slabs, and the largest share of a residual left unexplained.

    Args:
        problem: on the whole domain.
        parts: the slabs in order.
        tasks: of the last network of each.
        name: of the coordinate that was marched along.
    """
    index = problem.domain.index(name)
    errors, sizes, worst = [], [], 0.0
    before: Fields | None = None
    for part, task in zip(parts, tasks, strict=True):
        found, correction = _of_slab(part, task, index, before)
        x, share = task.even_points(), part.problem.domain.length(name) / problem.domain.length(name)
        with torch.no_grad():
            errors.append(share * vmap(correction)(x).square().mean(0))
            sizes.append(share * vmap(part.function)(x).square().mean(0))
        if not found.noisy:
            worst = max(worst, found.explained)
        before = partial(_sum, part.function, correction)
    relative = torch.stack(errors).sum(0).sqrt() / torch.stack(sizes).sum(0).sqrt()
    return dict(zip(problem.fields, relative.tolist(), strict=True)), worst


def _of_slab(part: Part, task: Task, index: int, before: Fields | None) -> tuple[Assessment, Fields]:
    """The correction of one slab, and what the linearized problem says of it.

    Args:
        part: the slab.
        task: of its last network.
        index: of the coordinate that is marched along.
        before: the corrected fields of the slab before.
    """
    domain, settings, fields = task.problem.domain, task.settings, task.problem.fields
    scale = dict(zip(fields, task.scales.fields, strict=True))
    starts = []
    for face in [one for one in task.problem.edges.hard if one.index == index]:
        ((_, order),) = face.terms
        size = scale[face.field] / domain.lengths[index] ** order
        x, target = edge_points(face, domain, STARTS, settings.key, "sobol", settings.where)
        if before is not None:
            place = fields.index(face.field)
            target = vmap(lambda x: along(lambda x: before(x)[place], x, index, order))(x)  # noqa: B023
        term = of_terms(face.describe(domain), face.field, index, face.terms, size, fields)
        starts.append((term, Points(x, target.detach(), x.new_full((len(x),), 1 / len(x)))))
    mode, params = settings.derivatives, part.stages[-1].params
    own = [one for one, _ in starts]
    programs = [
        jit(jets(task.trial, one, fields, mode), backend="eager") for one in (*task.requirements, *own)
    ]
    attempts = correcting(_without_start(task, index), task)
    inputs = attempts.drawn(None)["layers"][0]["weight"].shape[1]
    features = attempts.correction(steepness(task, params, inputs))
    more = [jit(jets(features.task.trial, one, fields, mode), backend="eager") for one in own]
    blocks = evaluate(programs, params, (*attempts.held_out, *starts), fields)
    found = assess(
        task,
        blocks,
        weights_of(params),
        features._replace(blocks=[*features.blocks, *evaluate(more, features.params, starts, fields)]),
    )
    return found, partial(features.task.trial.homogeneous().apply, found.correction)


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
