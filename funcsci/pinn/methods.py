"""How a task is solved: methods by name, and sequences of them."""

import math
import time
from collections.abc import Callable

import torch

from funcsci.optim import Status
from funcsci.pinn.first_order import FIRST_ORDER
from funcsci.pinn.network import NetworkSettings
from funcsci.pinn.random_features import MakeTask, random_features
from funcsci.pinn.second_order import SECOND_ORDER, Found
from funcsci.pinn.settings import Outcome, Settings
from funcsci.pinn.task import Task
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
        The outcome with the least residual on held-out points, with the history of all.
    """
    begun = time.perf_counter()
    best, latest = start, start
    losses: list[float] = []
    seconds: list[float] = []
    taken = 0
    for name, steps in zip(settings.methods, settings.steps, strict=True):
        elapsed = time.perf_counter() - begun
        if name == "random_features":
            found = random_features(make, settings)
        else:
            found = _on_all_parameters(name, make, settings, steps, latest)
        losses += found.losses
        seconds += [elapsed + second for second in found.seconds]
        taken += found.steps
        latest = found
        if best is None or found.error <= best.error:
            best = found
        if best.status.converged:
            break
    assert best is not None
    return best._replace(losses=losses, seconds=seconds, steps=taken)


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
    if math.isfinite(task.error(params)):
        found = ON_ALL_PARAMETERS[name](task, params, steps)
    else:
        nothing, why = torch.zeros(0), Status(False, "the residual is not finite where it would begin")
        found = Found(params, nothing, nothing, why, "eager")
    error = task.error(found.params)
    reason = (
        f"{TITLES[name]} on {size(params):,} parameters leaves a relative residual of {error:.1e} "
        f"(tol {settings.tol:.1e}): {found.status.reason}"
    )
    status = Status(error <= settings.tol, reason)
    seconds = (before + found.seconds).tolist()
    taken = max(0, len(found.losses) - (name in SECOND_ORDER))
    return Outcome(
        name, shape, found.params, error, found.losses.tolist(), seconds, status, found.backend, taken
    )


def _shape(make: MakeTask, settings: Settings, start: Outcome | None) -> NetworkSettings:
    """The network to train: the one asked for, else that of the method before, else the usual one."""
    shape = settings.network
    if shape.hidden:
        return shape
    if start is not None and start.steps:
        return start.network
    line = make(shape._replace(hidden=(1,))).problem.domain.dimensions == 1
    return shape._replace(hidden=LINE_HIDDEN if line else BOX_HIDDEN)
