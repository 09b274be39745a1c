"""How an oscillator is solved: the methods behind `solve_oscillator`."""

import math
import time
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.func import grad_and_value, vmap

from funcsci import tree
from funcsci.compile import choose
from funcsci.nn import Model
from funcsci.optim import Status, adam, cosine, least_squares
from funcsci.pinn.last_layer import solve_last_layer
from funcsci.pinn.problem import Oscillator, equation
from funcsci.pinn.sampling import collocation, random_batches
from funcsci.pinn.settings import History, Outcome, Settings
from funcsci.pinn.trial import hard, soft
from funcsci.train import fit
from funcsci.tree import Params, Scalar

WIDTHS = (128, 256, 512, 1024)
"""Features that the last layer alone is tried with, until one number of them is enough."""
LEVENBERG_STEPS = 200
LEVENBERG_WORK = 50_000_000
"""Levenberg-Marquardt takes fewer steps by itself where steps times points times parameters exceeds this."""
ADAM_STEPS = 20_000
ADAM_HIDDEN = (32, 32)
ADAM_POINTS = 64
ADAM_RATE = 5e-3
HELD_OUT = 1_501
"""Points on which the residual that decides about convergence is measured; none was trained on."""


class _Log:
    """The loss and the time after each step, as they come in."""

    def __init__(self) -> None:
        self.start = time.perf_counter()
        self.losses: list[float] = []
        self.seconds: list[float] = []

    def add(self, loss: float) -> None:
        self.losses.append(loss)
        self.seconds.append(time.perf_counter() - self.start)

    def history(self) -> History:
        return History(*(torch.tensor(values, dtype=torch.float64) for values in (self.losses, self.seconds)))


class _Stage(NamedTuple):
    """A trained function and what it was trained on."""

    hidden: tuple[int, ...]
    function: Model
    points: Tensor
    params: Params
    error: float


def levenberg_marquardt(problem: Oscillator, settings: Settings) -> Outcome:
    """Hard initial conditions; the last layer by linear least squares, then all parameters if need be.

    Args:
        problem: the oscillator.
        settings: `hidden=None` tries one layer of 128, 256, 512 and 1,024 features.

    Returns:
        The outcome. Its status says which of the two stages it comes from.
    """
    log = _Log()
    widths = [settings.hidden] if settings.hidden else [(width,) for width in WIDTHS]
    for hidden in widths:
        stage = _train_last_layer(problem, settings, hidden, log)
        if stage.error <= settings.tol:
            reason = (
                f"the linear last layer alone, by least squares on {hidden[-1]} random features, "
                f"leaves a relative residual of {stage.error:.1e} (tol {settings.tol:.1e})"
            )
            return Outcome(stage.params, hidden, "hard", log.history(), Status(True, reason), "eager", 0)
    return _train_all_parameters(problem, settings, stage, log)


def _train_last_layer(problem: Oscillator, settings: Settings, hidden: tuple[int, ...], log: _Log) -> _Stage:
    function = hard(problem, hidden)
    points = _collocation(problem, settings, settings.points or 2 * max(hidden[-1], 64))
    params = function.init(settings.key, dtype=settings.dtype, device=settings.device)
    if not log.losses:
        log.add(_loss(problem, function, params, points))
    params = solve_last_layer(_residual(problem, function), params, points)
    log.add(_loss(problem, function, params, points))
    return _Stage(hidden, function, points, params, relative_residual(problem, function, params, settings))


def _train_all_parameters(problem: Oscillator, settings: Settings, stage: _Stage, log: _Log) -> Outcome:
    hidden, function, points, params, _ = stage
    steps = settings.steps
    if steps is None:
        steps = min(LEVENBERG_STEPS, max(1, LEVENBERG_WORK // (len(points) * tree.size(params))))
    found = least_squares(
        _residual(problem, function),
        params,
        points,
        steps=steps,
        residual_tol=0.1 * settings.tol * _size(problem),
        backend=settings.backend,
        progress_bar=settings.progress,
        warn=False,
    )
    log.losses += (2 * found.history[1:] / len(points)).tolist()
    log.seconds += (log.seconds[-1] + found.seconds[1:]).tolist()
    polished = solve_last_layer(_residual(problem, function), found.params, points)
    errors = {
        relative_residual(problem, function, one, settings): one for one in (params, found.params, polished)
    }
    error = min(errors)
    log.add(_loss(problem, function, errors[error], points))
    reason = (
        f"Levenberg-Marquardt on all parameters, after the last layer alone fell short, "
        f"leaves a relative residual of {error:.1e} (tol {settings.tol:.1e}): {found.status.reason}"
    )
    status = Status(error <= settings.tol, reason)
    backend = choose(settings.backend, steps=steps)
    return Outcome(errors[error], hidden, "hard", log.history(), status, backend, len(found.history) - 1)


def adam_method(problem: Oscillator, settings: Settings) -> Outcome:
    """Soft initial conditions, new random points at each step, and Adam with a cosine schedule.

    Args:
        problem: the oscillator.
        settings: `hidden=None` is (32, 32), `points=None` is 64.

    Returns:
        The outcome.
    """
    hidden = settings.hidden or ADAM_HIDDEN
    steps = ADAM_STEPS if settings.steps is None else settings.steps
    function = soft(problem, hidden)
    params = function.init(settings.key, dtype=settings.dtype, device=settings.device)
    batches = random_batches(
        problem, settings.key.to(settings.device), settings.points or ADAM_POINTS, dtype=settings.dtype
    )
    result = fit(
        soft_loss(problem, function),
        params,
        adam(cosine(ADAM_RATE, max(steps, 1))),
        batches,
        steps=steps,
        backend=settings.backend,
        progress_bar=settings.progress,
    )
    error = relative_residual(problem, function, result.params, settings)
    reason = f"{result.status.reason}, leaving a relative residual of {error:.1e} (tol {settings.tol:.1e})"
    status = Status(result.status.converged and error <= settings.tol, reason)
    history = History(result.loss.to(torch.float64), result.seconds)
    return Outcome(result.params, hidden, "soft", history, status, result.backend, len(result.loss))


METHODS: dict[str, Callable[[Oscillator, Settings], Outcome]] = {
    "levenberg_marquardt": levenberg_marquardt,
    "adam": adam_method,
}
"""Each method by its name."""


def soft_loss(problem: Oscillator, function: Model) -> Callable[[Params, Tensor], Scalar]:
    r"""The loss with soft conditions, $\overline{r(t_i)^2} + (u(t_0) - u_0)^2 + (u'(t_0) - u_0')^2 / k^2$.

    Args:
        problem: the oscillator; $r$ is its dimensionless residual, $k$ its rate.
        function: $u$, without conditions of its own.

    Returns:
        `loss(params, points) -> scalar`.
    """

    def loss(params: Params, points: Tensor) -> Scalar:
        start = points.new_full((), problem.t_span[0])
        velocity, value = grad_and_value(lambda t: function.apply(params, t))(start)
        conditions = (value - problem.u0) ** 2 + ((velocity - problem.du0) / problem.rate) ** 2
        total: Scalar = (_residuals(problem, function, params, points) ** 2).mean() + conditions
        return total

    return loss


def relative_residual(problem: Oscillator, function: Model, params: Params, settings: Settings) -> float:
    """The norm of the dimensionless residual over that of the solution, on points held out of the fit."""
    held_out = _collocation(problem, settings, HELD_OUT)
    residuals = _residuals(problem, function, params, held_out)
    values = vmap(lambda t: function.apply(params, t))(held_out)
    size = max(float(torch.linalg.vector_norm(values)), torch.finfo(settings.dtype).tiny)
    error = float(torch.linalg.vector_norm(residuals)) / size
    return error if math.isfinite(error) else math.inf


def _residual(problem: Oscillator, function: Model) -> Callable[[Params, Scalar], Scalar]:
    return lambda params, t: equation(problem, function, params, t)


def _residuals(problem: Oscillator, function: Model, params: Params, points: Tensor) -> Tensor:
    return vmap(lambda t: equation(problem, function, params, t))(points)


def _loss(problem: Oscillator, function: Model, params: Params, points: Tensor) -> float:
    return float((_residuals(problem, function, params, points) ** 2).mean())


def _collocation(problem: Oscillator, settings: Settings, count: int) -> Tensor:
    return collocation(problem, count, dtype=settings.dtype, device=settings.device)


def _size(problem: Oscillator) -> float:
    """The solution's size as far as the initial conditions tell it."""
    return abs(problem.u0) + abs(problem.du0) / problem.rate
