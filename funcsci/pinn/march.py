"""Marching: a long time is solved in slabs, each going on from the end of the one before."""

import time
from typing import NamedTuple

from funcsci import progress
from funcsci.optim import Status
from funcsci.pinn.interface import State
from funcsci.pinn.network import NetworkSettings
from funcsci.pinn.parts import Part, slab, solve_part, state_after
from funcsci.pinn.problem import Problem
from funcsci.pinn.settings import Outcome, Settings
from funcsci.pinn.task import make_task

FIRST = 0.5
"""The first slab that is tried where the whole was too long, as a share of it."""
SHORTEST, SHORTEST_SEARCHED = 1 / 512, 1 / 64
"""The shortest slab, as a share of the whole, before marching gives up; the second for an equation in a box
that is not linear, where training all parameters may cost less."""
EASY = 0.1
"""A slab was easy, where slopes are searched for, if its residual is at most this share of `tol`."""
GROW, SHRINK = 1.5, 0.5
"""What the length of a slab is multiplied by after one that was solved easily, and after one that was not."""


class Marched(NamedTuple):
    """What marching hands on.

    Attributes:
        parts: the slabs in order.
        spans: their ranges of the coordinate that was marched along; empty if there is none.
        error: the largest relative residual among them.
        losses: the history of the loss of all of them, one after the other.
        seconds: when each entry was known.
        status: whether all met `tol`.
        steps: how many were taken in all.
        backend: what they ran on.
        method: the name of that of the worst.
    """

    parts: tuple[Part, ...]
    spans: tuple[tuple[float, float], ...]
    error: float
    losses: list[float]
    seconds: list[float]
    status: Status
    steps: int
    backend: str
    method: str


def in_equal_slabs(problem: Problem, settings: Settings, count: int, stages: int, name: str) -> Marched:
    """Solve so many slabs of one length.

    Args:
        problem: on the whole domain.
        settings: of the solver.
        count: of the slabs.
        stages: as in `solve_part`.
        name: of the coordinate to march along.
    """
    # Conditions are checked on the whole: what a slab begins with is not the user's.
    make_task(problem, settings, settings.network._replace(hidden=(1,)))
    settings = _for_slabs(problem, settings)
    start, end = problem.domain.ranges[name]
    edges = [start + (end - start) * number / count for number in range(count)] + [end]
    begun = time.perf_counter()
    parts: list[Part] = []
    outcomes: list[Outcome] = []
    with progress.bar(count, "slabs", shown=settings.progress) as bar:
        for number in range(count):
            state = state_after(problem, name, parts[-1], settings) if parts else None
            part, outcome = _solved(
                problem, name, (edges[number], edges[number + 1]), state, settings, stages
            )
            parts.append(part)
            outcomes.append(_since(outcome, begun))
            settings = settings._replace(chosen=outcome.chosen)
            bar.update()
            bar.set_postfix_str(f"residual {outcome.error:.1e}", refresh=False)
    return _marched(parts, outcomes, settings.tol, name)


def adaptively(
    problem: Problem, settings: Settings, stages: int, name: str, *, linear: bool
) -> Marched | None:
    """Solve slabs as long as `tol` allows; None where even the shortest are too long.

    Args:
        problem: on the whole domain.
        settings: of the solver.
        stages: as in `solve_part`.
        name: of the coordinate to march along.
        linear: whether the equations are.
    """
    settings = _for_slabs(problem, settings)
    start, end = problem.domain.ranges[name]
    shortest = SHORTEST * (end - start)
    if problem.domain.dimensions > 1 and not linear:
        shortest = SHORTEST_SEARCHED * (end - start)
        settings = settings._replace(aim=settings.tol)
    now, length, begun, state = start, FIRST * (end - start), time.perf_counter(), None
    parts: list[Part] = []
    outcomes: list[Outcome] = []
    with progress.bar(1_000, "marching", shown=settings.progress) as bar:
        while now < end:
            stop = end if now + 1.01 * length >= end else now + length
            part, outcome = _solved(problem, name, (now, stop), state, settings, stages)
            if not outcome.status.converged:
                length *= SHRINK
                if length < shortest:
                    return None
                continue
            parts.append(part)
            outcomes.append(_since(outcome, begun))
            bar.update(int(1_000 * (stop - now) / (end - start)))
            bar.set_postfix_str(f"{name} = {stop:.3g}", refresh=False)
            now = stop
            if now < end:
                state = state_after(problem, name, part, settings)
            settings = settings._replace(chosen=outcome.chosen)
            easy = outcome.chosen is None or outcome.error <= EASY * settings.tol
            if easy and outcome.network.hidden[-1] == min(_widths(outcomes)):
                length *= GROW
    return _marched(parts, outcomes, settings.tol, name)


def whole(part: Part, outcome: Outcome, name: str | None) -> Marched:
    """What one part for the whole domain amounts to."""
    spans = () if name is None else (part.problem.domain.ranges[name],)
    return Marched(
        (part,), spans, outcome.error, outcome.losses, outcome.seconds, outcome.status, outcome.steps,
        outcome.backend, outcome.method,
    )  # fmt: skip


def _solved(
    problem: Problem,
    name: str,
    span: tuple[float, float],
    state: State | None,
    settings: Settings,
    stages: int,
) -> tuple[Part, Outcome]:
    """One slab. What its state misses of the end of the one before counts as its own error."""
    one = slab(problem, name, *span, state)
    part, outcome = solve_part(one, settings._replace(progress=False), stages)
    if state is not None and state.error > outcome.error:
        reason = f"the state at {name} = {span[0]:.3g} is stored with a relative error of {state.error:.1e}"
        status = Status(state.error <= settings.tol, f"{reason} (tol {settings.tol:.1e})")
        outcome = outcome._replace(error=state.error, status=status)
    return part._replace(state=state), outcome


def _for_slabs(problem: Problem, settings: Settings) -> Settings:
    """Waves for a periodic problem, where nothing else was asked for: a state changes little in a slab."""
    if not problem.periodic or settings.network != NetworkSettings(()):
        return settings
    return settings._replace(network=NetworkSettings((), activation="waves"), aim=settings.tol)


def _widths(outcomes: list[Outcome]) -> list[int]:
    return [outcome.network.hidden[-1] for outcome in outcomes]


def _since(outcome: Outcome, begun: float) -> Outcome:
    """The outcome with its history in the time of the whole march."""
    offset = time.perf_counter() - begun - (outcome.seconds[-1] if outcome.seconds else 0.0)
    return outcome._replace(seconds=[offset + one for one in outcome.seconds])


def _marched(parts: list[Part], outcomes: list[Outcome], tol: float, name: str) -> Marched:
    worst = max(outcomes, key=lambda outcome: outcome.error)
    missed = [number for number, outcome in enumerate(outcomes, 1) if not outcome.status.converged]
    many = f"{len(parts)} slab{'s' * (len(parts) > 1)} of {name}"
    reason = f"{many}, of which the worst: {worst.status.reason}"
    if missed:
        reason = (
            f"{len(missed)} of {many} missed tol, slab {missed[0]} first; the worst: {worst.status.reason}"
        )
    return Marched(
        tuple(parts),
        tuple(part.problem.domain.ranges[name] for part in parts),
        worst.error,
        [loss for outcome in outcomes for loss in outcome.losses],
        [second for outcome in outcomes for second in outcome.seconds],
        Status(not missed, reason),
        sum(outcome.steps for outcome in outcomes),
        worst.backend,
        worst.method,
    )
