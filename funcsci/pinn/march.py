"""Marching: a long time is solved in slabs, each going on from the end of the one before."""

import time
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from funcsci import progress, tree
from funcsci.autodiff import partials
from funcsci.optim import Status
from funcsci.pinn.interface import State
from funcsci.pinn.judging import EXPLAINED
from funcsci.pinn.network import NetworkSettings
from funcsci.pinn.outcome import Outcome, Tried
from funcsci.pinn.parts import Part, slab, solve_part, state_after
from funcsci.pinn.problem import Problem
from funcsci.pinn.propagation import Carried
from funcsci.pinn.settings import Settings
from funcsci.pinn.task import make_task
from funcsci.pinn.verdict import Residual, Verdict

FIRST = 0.5
"""The first slab that is tried where the whole was too long, as a share of it."""
SHORTEST, SHORTEST_WAVES, SHORTEST_NONLINEAR = 1 / 512, 1 / 64, 1 / 16
"""The shortest slab, as a share of the whole, before marching gives up: for a line or a linear equation, for
other equations in a box by waves, and by other features. Of the last, sixteen slabs of the widest layer take
as long as training all parameters does, measured on Burgers' equation."""
EASY = 0.1
"""A slab was easy, where slopes are searched for, if its error, or its residual where no error is estimated,
is at most this share of what is asked."""
GROW, SHRINK = 1.5, 0.5
"""What the length of a slab is multiplied by after one that was solved easily, and after one that was not."""


STEEPENED, HALTED = 10.0, 1 / 4096
"""A slope that has grown by this factor may belong to a solution that ends; then slabs are tried down to
this share of the shortest, which a steep passage needs, and at which a solution that ends has ended."""


class BlowUp(Exception):
    """A solution steepens without bound before the domain ends; the message says where."""


class Unfinished(Exception):
    """A march that was stopped before its end; what stopped it is the message."""


class Marched(NamedTuple):
    """The result of a solve: one part or several.

    Attributes:
        parts: the slabs in order.
        spans: their ranges of the coordinate that was marched along; empty if there is none.
        verdict: what is known of their quality together.
        losses: the history of the loss of all of them, one after the other.
        seconds: when each entry was known.
        status: whether `tol` was met.
        steps: how many were taken in all.
        backend: what they ran on.
        method: the name of that of the worst.
        candidates: all that were tried.
        stopped: what ended it before its time.
    """

    parts: tuple[Part, ...]
    spans: tuple[tuple[float, float], ...]
    verdict: Verdict
    losses: list[float]
    seconds: list[float]
    status: Status
    steps: int
    backend: str
    method: str
    candidates: tuple[Tried, ...]
    stopped: str = ""

    @property
    def rank(self) -> tuple[bool, float]:
        """What is least for the best of several, as for an outcome."""
        return not self.status.converged, self.verdict.worst_residual

    def ended(self, why: str) -> "Marched":
        """The same, stopped before its time."""
        reason = f"{why}; {self.status.reason}"
        return self._replace(status=self.status._replace(reason=reason), stopped=why)

    def after(self, before: "Marched") -> "Marched":
        """The better of two, with the history of both; this one came after the other."""
        best = self if self.rank <= before.rank else before
        elapsed = max([*before.seconds, *(one.seconds for one in before.candidates)], default=0.0)
        later = [one._replace(seconds=elapsed + one.seconds) for one in self.candidates]
        return best._replace(
            losses=before.losses + self.losses,
            seconds=before.seconds + [elapsed + one for one in self.seconds],
            candidates=(*before.candidates, *later),
            steps=before.steps + self.steps,
            stopped=self.stopped,
        )


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
    carried = Carried(problem, name)
    with progress.bar(count, "slabs", shown=settings.progress) as bar:
        for number in range(count):
            state = state_after(problem, name, parts[-1], settings) if parts else None
            part, outcome = _solved(
                problem, name, (edges[number], edges[number + 1]), state, settings, stages
            )
            if settings.estimate:
                carried.add(part, outcome)
            parts.append(part)
            outcomes.append(_since(outcome, begun))
            settings = settings._replace(chosen=outcome.chosen)
            bar.update()
            bar.set_postfix_str(f"residual {outcome.residual:.1e}", refresh=False)
            if outcome.stopped and settings.expired:  # one network, the narrowest, for each slab that is left
                settings = settings._replace(chosen=None)
            elif outcome.stopped:
                raise KeyboardInterrupt
    found = _marched(parts, outcomes, settings, name, carried)
    return found.ended(outcomes[-1].stopped) if outcomes[-1].stopped else found


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

    Raises:
        BlowUp: if the solution ends before the domain does.
        Unfinished: if the march was stopped.
    """
    settings = _for_slabs(problem, settings)
    start, end = problem.domain.ranges[name]
    shortest = SHORTEST * (end - start)
    if problem.domain.dimensions > 1 and not linear:
        waves = settings.network.activation == "waves"
        shortest = (SHORTEST_WAVES if waves else SHORTEST_NONLINEAR) * (end - start)
        settings = settings._replace(aim=settings.enough)
    # Linear solutions do not blow up; a slope that thin data cause ends behind them.
    may_end = not linear and problem.domain.dimensions == 1 and not problem.foci
    least = HALTED * shortest if may_end else shortest
    now, length, begun, state = start, FIRST * (end - start), time.perf_counter(), None
    parts: list[Part] = []
    outcomes: list[Outcome] = []
    carried = Carried(problem, name)
    with progress.bar(1_000, "marching", shown=settings.progress) as bar:
        while now < end:
            stop = end if now + 1.01 * length >= end else now + length
            part, outcome = _solved(problem, name, (now, stop), state, settings, stages)
            if outcome.stopped:
                raise Unfinished(outcome.stopped)
            if not outcome.status.converged:
                length *= SHRINK
                if length < shortest and least < shortest and _blows_up(parts, length):
                    shortest = least
                elif length < shortest:
                    if may_end and _blows_up(parts, length):
                        raise BlowUp(f"{name} = {now:.6g}")
                    return None
                continue
            if settings.estimate:
                carried.add(part, outcome)
            parts.append(part)
            outcomes.append(_since(outcome, begun))
            bar.update(int(1_000 * (stop - now) / (end - start)))
            bar.set_postfix_str(f"{name} = {stop:.3g}", refresh=False)
            now = stop
            if now < end:
                state = state_after(problem, name, part, settings)
            settings = settings._replace(chosen=outcome.chosen)
            easy = outcome.chosen is None or outcome.verdict.error <= EASY * settings.enough
            if easy and outcome.network.hidden[-1] == min(_widths(outcomes)):
                length *= GROW
    return _marched(parts, outcomes, settings, name, carried)


def _blows_up(parts: list[Part], length: float) -> bool:
    """Whether a field's slope on a line grew much, and goes on growing within so short a time."""
    if not parts:
        return False

    def slopes(part: Part, place: float) -> tuple[Tensor, ...]:  # the first and the second, shape (fields,)
        (weight, *_) = tree.leaves(part.stages[0].params)
        x = torch.tensor([place], dtype=weight.dtype, device=weight.device)
        return partials(part.function, (((0,),), ((0, 0),)), derivatives="nested")(x)

    begun = torch.stack([slopes(part, part.problem.domain.lower[0])[0].abs() for part in parts]).amin(0)
    slope, growth = slopes(parts[-1], parts[-1].problem.domain.upper[0])
    return bool(((slope.abs() > STEEPENED * begun) & (slope * growth * length > slope**2 / STEEPENED)).any())


def whole(part: Part, outcome: Outcome, name: str | None) -> Marched:
    """The result of one part for the whole domain."""
    spans = () if name is None else (part.problem.domain.ranges[name],)
    return Marched(
        (part,), spans, outcome.verdict, outcome.losses, outcome.seconds, outcome.status, outcome.steps,
        outcome.backend, outcome.method, outcome.candidates, outcome.stopped,
    )  # fmt: skip


def _solved(
    problem: Problem,
    name: str,
    span: tuple[float, float],
    state: State | None,
    settings: Settings,
    stages: int,
) -> tuple[Part, Outcome]:
    """One slab, judged by its residual or its error, and by what its state misses of the end before."""
    by_error = settings.estimate and settings.network.activation == "waves"
    alone = settings._replace(progress=False, estimate=by_error, tol=settings.enough)
    part, outcome = solve_part(slab(problem, name, *span, state), alone, stages)
    verdict = outcome.verdict
    near = verdict.trusted and not verdict.ill_posed and verdict.error <= settings.enough
    if near and not outcome.status.converged:  # it began so near to a solution that little could be gained
        outcome = outcome._replace(status=outcome.status._replace(converged=True))
    if state is not None and state.error > max(verdict.error, settings.enough):
        reason = f"the state at {name} = {span[0]:.3g} is stored with a relative error of {state.error:.1e}"
        outcome = outcome._replace(status=Status(False, reason))
    return part._replace(state=state), outcome


def _for_slabs(problem: Problem, settings: Settings) -> Settings:
    """Waves for a periodic problem, where nothing else was asked for: a state changes little in a slab."""
    if not problem.periodic or settings.network != NetworkSettings(()):
        return settings
    return settings._replace(network=NetworkSettings((), activation="waves"), aim=settings.enough)


def _widths(outcomes: list[Outcome]) -> list[int]:
    return [outcome.network.hidden[-1] for outcome in outcomes]


def _since(outcome: Outcome, begun: float) -> Outcome:
    """The outcome with its history in the time of the whole march, without what only its estimate needs."""
    offset = time.perf_counter() - begun - (outcome.seconds[-1] if outcome.seconds else 0.0)
    return outcome._replace(seconds=[offset + one for one in outcome.seconds], held_out=None)


def _marched(
    parts: list[Part], outcomes: list[Outcome], settings: Settings, name: str, carried: Carried
) -> Marched:
    """All slabs together, with the error that each hands on to the next."""
    worst = max(outcomes, key=lambda outcome: outcome.residual)
    missed = [number for number, outcome in enumerate(outcomes, 1) if not outcome.status.converged]
    verdict = _worst(outcomes)
    if settings.estimate:
        verdict = verdict._replace(errors=carried.errors())
        if carried.unexplained > EXPLAINED:
            left = f"{carried.unexplained:.0%} of the residual"
            doubt = f"in a slab a correction by other features leaves {left}"
            verdict = verdict._replace(trusted=False, doubt=doubt)
    many = f"{len(parts)} slab{'s' * (len(parts) > 1)} of {name}"
    reason = f"{many}: {verdict} (tol {settings.tol:.1e}); the worst slab: {worst.status.reason}"
    if missed:
        reason = f"{len(missed)} of {many} missed what was asked of a slab, slab {missed[0]} first; {reason}"
    met = verdict.meets(settings.tol) if settings.estimate else not missed
    return Marched(
        tuple(parts),
        tuple(part.problem.domain.ranges[name] for part in parts),
        verdict,
        [loss for outcome in outcomes for loss in outcome.losses],
        [second for outcome in outcomes for second in outcome.seconds],
        Status(met, reason),
        sum(outcome.steps for outcome in outcomes),
        worst.backend,
        worst.method,
        tuple(one for outcome in outcomes for one in outcome.candidates),
    )


def _worst(outcomes: list[Outcome]) -> Verdict:
    """The worst of the slabs' residuals; each slab has the first one's equations and conditions."""
    verdicts = [outcome.verdict for outcome in outcomes]
    residuals = {
        name: _largest(row)
        for name, *row in zip(
            verdicts[0].residuals, *(one.residuals.values() for one in verdicts), strict=True
        )
    }
    doubt = next((one.doubt for one in verdicts if one.doubt), "")
    return Verdict(residuals, {}, all(one.trusted for one in verdicts), doubt)


def _largest(row: Sequence[Residual]) -> Residual:
    """The largest residual of all slabs, over the largest one at the built-in part."""
    largest = max(one.relative for one in row)
    starts = [one.relative / one.fall for one in row if one.fall > 0]
    return Residual(largest, largest / max(starts) if starts else row[0].fall)
