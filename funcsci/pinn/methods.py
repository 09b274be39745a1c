"""How a task is solved: methods by name, and sequences of them."""

import math
import time
from collections.abc import Callable

import torch

from funcsci.optim import Status
from funcsci.pinn.attempts import MakeTask, correcting, steepness
from funcsci.pinn.first_order import FIRST_ORDER
from funcsci.pinn.judging import judged, measured
from funcsci.pinn.last_layer import evaluate, programs, weights_of
from funcsci.pinn.network import NetworkSettings
from funcsci.pinn.outcome import Outcome, Tried
from funcsci.pinn.random_features import random_features
from funcsci.pinn.second_order import SECOND_ORDER, STOPPED, Found
from funcsci.pinn.settings import Settings
from funcsci.pinn.task import Task
from funcsci.pinn.verdict import Verdict
from funcsci.tree import Params, size

LINE_HIDDEN, BOX_HIDDEN = (32,), (20, 20, 20)
"""Hidden widths where none are asked for, for one coordinate and for several."""

ON_ALL_PARAMETERS: dict[str, Callable[[Task, Params, int | None], Found]] = {**SECOND_ORDER, **FIRST_ORDER}
METHODS = ("random_features", *ON_ALL_PARAMETERS)
"""The names of all methods."""
TITLES = {
    "levenberg_marquardt": "Levenberg-Marquardt",
    "gauss_newton": "Gauss-Newton",
    "ssbroyden": "self-scaled Broyden",
    "bfgs": "BFGS",
    "lbfgs": "L-BFGS",
    "adam": "Adam",
    "soap": "SOAP",
}


def run(make: MakeTask, settings: Settings, start: Outcome | None = None) -> Outcome:
    """Run the methods one after the other until one meets `tol`.

    Args:
        make: makes the task of a network.
        settings: name the methods.
        start: where to begin.

    Returns:
        The best outcome, with the history of all.
    """
    begun = time.perf_counter()
    best, latest = start, start
    losses: list[float] = []
    seconds: list[float] = []
    tried: list[Tried] = []
    taken, stopped = 0, ""
    for name, steps in zip(settings.methods, settings.steps, strict=True):
        elapsed = time.perf_counter() - begun
        try:
            if name == "random_features":
                found = random_features(make, settings, steps)
            else:
                found = _on_all_parameters(name, make, settings, steps, latest)
        except KeyboardInterrupt:
            if best is None:
                raise
            stopped = "interrupted"
            best = best._replace(status=best.status._replace(reason=f"{stopped}; {best.status.reason}"))
            break
        losses += found.losses
        seconds += [elapsed + second for second in found.seconds]
        tried += [one._replace(seconds=elapsed + one.seconds) for one in found.candidates]
        taken += found.steps
        latest = found
        if best is None or found.rank <= best.rank:
            best = found
        stopped = found.stopped
        if best.status.converged or best.verdict.ill_posed or stopped:
            break
    assert best is not None
    return best._replace(
        losses=losses, seconds=seconds, steps=taken, candidates=tuple(tried), stopped=stopped
    )


def _on_all_parameters(
    name: str, make: MakeTask, settings: Settings, steps: int | None, start: Outcome | None
) -> Outcome:
    """Run a method on all parameters: from those before if their network is the one to train."""
    begun = time.perf_counter()
    shape = _shape(make, settings, start)
    task = make(shape)
    if start is not None and start.network == shape:
        params = start.params
    else:
        params = task.trial.init(settings.key, **settings.where)
    task = task.balanced(params)
    before = time.perf_counter() - begun
    if judged_at(make, task, params, estimate=False).trusted:
        found = ON_ALL_PARAMETERS[name](task, params, steps)
    else:
        nothing, why = torch.zeros(0), Status(False, "the residual is not finite where it would begin")
        found = Found(params, nothing, nothing, why, "eager")
    verdict = judged_at(make, task, found.params, estimate=settings.estimate)
    stopped = found.status.reason if found.status.reason.startswith(STOPPED) else ""
    reason = (
        f"{TITLES[name]} on {size(params):,} parameters: {verdict} (tol {settings.tol:.1e}); "
        f"{found.status.reason}"
    )
    status = Status(verdict.meets(settings.tol), reason)
    seconds = (before + found.seconds).tolist()
    taken = max(0, len(found.losses) - (name in SECOND_ORDER))
    error = verdict.error if verdict.errors else math.nan
    tried = Tried(name, shape.hidden, verdict.worst_residual, error, time.perf_counter() - begun)
    return Outcome(
        name, task, found.params, verdict, found.losses.tolist(), seconds, status, found.backend, taken,
        (tried,), stopped,
    )  # fmt: skip


def judged_at(make: MakeTask, task: Task, params: Params, *, estimate: bool) -> Verdict:
    """The verdict on any network's parameters.

    Args:
        make: makes the task of another network for the same problem.
        task: of the network.
        params: its parameters.
        estimate: whether to estimate the error.
    """
    attempts = correcting(make, task)
    blocks = evaluate(programs(task), params, attempts.held_out, task.problem.fields)
    if not estimate:
        return measured(task, blocks, weights_of(params))
    inputs = attempts.drawn(None)["layers"][0]["weight"].shape[1]
    return judged(task, blocks, weights_of(params), attempts.correction(steepness(task, params, inputs)))


def _shape(make: MakeTask, settings: Settings, start: Outcome | None) -> NetworkSettings:
    """The network to train: the one asked for, else that of the method before, else the usual one."""
    shape = settings.network
    if shape.hidden:
        return shape
    if start is not None and start.steps:
        return start.network
    line = make(shape._replace(hidden=(1,))).problem.domain.dimensions == 1
    return shape._replace(hidden=LINE_HIDDEN if line else BOX_HIDDEN)
