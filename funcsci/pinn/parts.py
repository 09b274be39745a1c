"""Parts of a solution: one network after another, in slabs of time and in stages that correct each other."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import vmap

from funcsci import random, tree
from funcsci.optim import Status
from funcsci.pinn.interface import Interface, State
from funcsci.pinn.methods import judged_at, run
from funcsci.pinn.network import NetworkSettings
from funcsci.pinn.outcome import Outcome, Tried
from funcsci.pinn.problem import Problem
from funcsci.pinn.settings import Settings
from funcsci.pinn.task import make_task
from funcsci.pinn.trial import Trial
from funcsci.tree import Params

GAIN = 0.5
"""A further stage is kept if it lowers the residual to this share."""


class Stage(NamedTuple):
    """One network of a part.

    Attributes:
        shape: of the network.
        amplitude: what the network's output for each field is multiplied by.
        params: its parameters.
    """

    shape: NetworkSettings
    amplitude: tuple[float, ...]
    params: Params


class Part(NamedTuple):
    """The solution on one slab of the domain.

    Attributes:
        problem: on that slab.
        stages: the networks, each correcting the sum of those before.
        trial: the function of the last stage's parameters.
        state: what it begins with; None where that is the problem's own conditions.
    """

    problem: Problem
    stages: tuple[Stage, ...]
    trial: Trial
    state: State | None = None

    def function(self, x: Float[Tensor, "dimensions"]) -> Float[Tensor, "fields"]:
        """All fields at a point."""
        return self.trial.apply(self.stages[-1].params, x)


def rebuilt(problem: Problem, settings: Settings, stages: Sequence[Stage]) -> Part:
    """The part that some stages make."""
    trial, before = None, None
    for stage in stages:
        task = make_task(problem, settings, stage.shape, before=before, amplitude=stage.amplitude)
        trial = task.trial
        before = partial(trial.apply, stage.params)
    assert trial is not None
    return Part(problem, tuple(stages), trial)


def solve_part(
    problem: Problem, settings: Settings, stages: int, start: Part | None = None
) -> tuple[Part, Outcome]:
    """Solve a problem by one network, then by others that correct it until `tol` is met.

    Args:
        problem: on a slab.
        settings: of the solver.
        stages: the most networks.
        start: a solution to start from.

    Source: Wang and Lai (2023), arXiv:2307.08934 (stages).
    """
    first = None if start is None else _outcome_of(problem, settings, start)
    outcome = run(partial(make_task, problem, settings), settings, first)
    part = Part(problem, (_stage(outcome),), outcome.task.trial)
    for number in range(1, stages):
        if outcome.residual <= settings.aim or outcome.stopped:
            break
        # What is left is finer than what was found: each network is twice as wide as the one before.
        wider = tuple(2**number * width for width in settings.network.hidden)
        again = settings._replace(
            key=random.fold_in(settings.key, number),
            network=settings.network._replace(hidden=wider),
            chosen=None,
        )
        amplitude = tuple(outcome.residual * size for size in _sizes(part, outcome))
        make = partial(make_task, problem, again, before=part.function, amplitude=amplitude)
        found = run(make, again)
        both = _joined(outcome, found)
        if found.residual > GAIN * outcome.residual:
            outcome = outcome._replace(**both)
            break
        part = Part(problem, (*part.stages, _stage(found)), found.task.trial)
        outcome = found._replace(**both, chosen=outcome.chosen)
    return part, outcome


def owned(part: Part, settings: Settings) -> Part:
    """A part with each tensor in memory of its own: views of one vector round otherwise than loaded ones."""

    def own(leaf: Tensor) -> Tensor:
        return leaf.detach().clone(memory_format=torch.contiguous_format)

    stages = tuple(stage._replace(params=tree.map(own, stage.params)) for stage in part.stages)
    if len(stages) == 1:
        return part._replace(stages=stages)
    return rebuilt(part.problem, settings, stages)._replace(state=part.state)


def _stage(outcome: Outcome) -> Stage:
    """The network of an outcome."""
    return Stage(outcome.network, outcome.task.trial.amplitude, outcome.params)


def _joined(first: Outcome, second: Outcome) -> dict[str, Any]:
    """The history of two outcomes."""
    elapsed = first.seconds[-1] if first.seconds else 0.0
    later = [one._replace(seconds=elapsed + one.seconds) for one in second.candidates]
    return {
        "losses": first.losses + second.losses,
        "seconds": first.seconds + [elapsed + one for one in second.seconds],
        "candidates": (*first.candidates, *later),
        "steps": first.steps + second.steps,
    }


def _outcome_of(problem: Problem, settings: Settings, start: Part) -> Outcome | None:
    """A given solution as an outcome to go on from: where it is one network for the same fields."""
    stage = start.stages[0]
    if len(start.stages) > 1 or start.problem.fields != problem.fields:
        return None
    make = partial(make_task, problem, settings)
    task = make(stage.shape)
    task = task._replace(trial=task.trial._replace(amplitude=stage.amplitude))
    verdict = judged_at(make, task, stage.params, estimate=settings.estimate)
    status = Status(verdict.meets(settings.tol), f"the start: {verdict}")
    tried = Tried("start", stage.shape.hidden, verdict.worst_residual, verdict.error, 0.0)
    return Outcome("start", task, stage.params, verdict, [], [], status, "eager", 1, (tried,))


def _sizes(part: Part, outcome: Outcome) -> list[float]:
    """The root mean square of each field on its slab."""
    with torch.no_grad():
        values = vmap(part.function)(outcome.task.even_points())
    least = torch.finfo(values.dtype).tiny
    return values.square().mean(0).sqrt().clamp(min=least).tolist()


def assemble(
    problem: Problem,
    settings: Settings,
    spans: Sequence[tuple[float, float]],
    stages: Sequence[Sequence[Stage]],
    states: Sequence[State | None],
) -> tuple[Part, ...]:
    """The parts that some stages make, slab after slab.

    Args:
        problem: on the whole domain.
        settings: of the solver.
        spans: the range of each slab; for one part on the whole domain there may be none.
        stages: those of each part.
        states: what each part begins with.
    """
    if len(stages) == 1:
        return (rebuilt(problem, settings, stages[0]),)
    name = problem.marches
    assert name is not None
    return tuple(
        rebuilt(slab(problem, name, *span, state), settings, those)._replace(state=state)
        for span, those, state in zip(spans, stages, states, strict=True)
    )


def slab(problem: Problem, name: str, start: float, end: float, state: State | None) -> Problem:
    """The problem on a range of the marching coordinate.

    Args:
        problem: on the whole domain.
        name: of the coordinate.
        start: where the range begins.
        end: where it ends.
        state: what it begins with; None where that is the problem's own conditions.
    """
    equations = replace(problem.equations, domain=problem.domain.part(name, start, end))
    conditions = problem.conditions
    if state is not None:
        hard, soft = ({id(face.source) for face in faces} for faces in problem.edges)
        index = problem.domain.index(name)
        begins = {id(face.source) for face in problem.edges.hard if face.index == index}
        # What is built in stays so, though a state has other functions than the problem's own start.
        kept = [
            one._replace(hard=True) if id(one) in hard - soft else one
            for one in conditions
            if id(one) not in begins
        ]
        conditions = (*kept, *Interface.of(problem, name, start).conditions(state))
    return replace(problem, equations=equations, conditions=conditions)


def state_after(problem: Problem, name: str, part: Part, settings: Settings) -> State:
    """The state where a part ends, for the next to begin with."""
    start, end = part.problem.domain.ranges[name]
    return Interface.of(problem, name, end).stored(part.function, end - start, settings)
