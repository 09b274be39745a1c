"""Minimizing a function by quasi-Newton methods: the search, and when it ends."""

import math
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.func import grad_and_value

from funcsci import checks, progress, tree
from funcsci.compile import jit
from funcsci.optim.course import Clock, Course
from funcsci.optim.limited_memory import limited
from funcsci.optim.line_search import Trial, wolfe
from funcsci.optim.quasi_newton import BROYDEN, Pair, QuasiNewton, dense, useful
from funcsci.optim.status import Status
from funcsci.tree import Params, PyTree, Scalar

METHODS = ("ssbroyden", "ssbfgs", "bfgs", "lbfgs")
DENSE_BYTES = 2**31
"""The largest inverse Hessian that a dense method keeps; its update needs the room three times."""
NOISE = 0.375
r"""Values are trusted to $\epsilon$ to this power, 1e-6 of them in float64; within it, slopes decide."""
RESTART_GAIN = 1e-3
"""A model that fails is started anew if the value has fallen by this share since the last time."""


class MinimizeResult(NamedTuple):
    """What `minimize` returns.

    Attributes:
        params: the best parameters found, of the structure that was passed in.
        value: the function there, shape ().
        status: whether a tolerance was met, and why the search stopped.
        history: the value after each step, float64, shape `(steps + 1,)`.
        seconds: the time since the start after each step, float64, shape `(steps + 1,)`.
        evaluations: how often the function was evaluated, its gradient with it.
    """

    params: Params
    value: Scalar
    status: Status
    history: Tensor
    seconds: Tensor
    evaluations: int


def minimize(
    function: Callable[..., Scalar],
    params: Params,
    *operands: PyTree,
    method: str = "ssbroyden",
    steps: int = 5_000,
    memory: int = 10,
    gradient_tol: float | None = None,
    value_tol: float | None = None,
    value_target: float | None = None,
    time_limit: float | None = None,
    backend: str | None = "trace",
    progress_bar: bool = False,
    warn: bool = True,
) -> MinimizeResult:
    r"""Minimize a smooth function over any pytree by a quasi-Newton method.

    A step goes along $p = -H \nabla f$ to a point that meets the strong Wolfe conditions, and $H$, a
    model of the inverse Hessian, learns from the change of the gradient.

    | method | model | memory for n parameters |
    |---|---|---|
    | `"ssbroyden"` | self-scaled Broyden's family, for small networks | three matrices of n² |
    | `"ssbfgs"` | self-scaled BFGS | three matrices of n² |
    | `"bfgs"` | BFGS | three matrices of n² |
    | `"lbfgs"` | BFGS of the last `memory` steps | `2 memory` vectors |

    It goes on until round-off ends it: where values can no longer be told apart, the line search
    follows the slopes. The best point is returned; of several with one value, that with the least
    gradient. No tolerance but `value_target` has units. It is a loop on the host, which `vmap` cannot
    see through: call it for one member of an ensemble after the other, or write a loop of the pure
    functions of `funcsci.optim.quasi_newton` and `limited_memory`, which can be mapped.

    Args:
        function: `function(params, *operands)`, a scalar of the parameters' dtype.
        params: where to start; floating-point tensors of one dtype.
        *operands: the function's data, pytrees of tensors. Pass them here: tensors that `function`
            closes over become constants of its program.
        method: see above.
        steps: the most steps to take.
        memory: how many steps `"lbfgs"` remembers.
        gradient_tol: converged when the gradient's largest entry is at most this share of what it was
            at the start; None is $\epsilon$ of the dtype, 2e-16 in float64. What SciPy calls `gtol` is
            this times that entry.
        value_tol: converged when a model that has learnt from as many steps as there are parameters
            (or `memory`) promises to lower the value by at most this share of it; None is $\epsilon$.
        value_target: converged when the value is at most this, in its units; None is no target.
        time_limit: seconds of wall-clock time after which the search ends with the best so far; looked at
            between steps, so that a step and its compilation are not divided. None is no limit.
        backend: as in `jit`.
        progress_bar: whether to show one.
        warn: whether to warn where it did not converge.

    Returns:
        A `MinimizeResult`. Not converging is a status and a warning, not an error; so is an interruption
        (Ctrl-C) of the search. Where no step lowers the value, it has converged if the square root of one
        of the two tolerances is met.

    Raises:
        ValueError: for an unknown method, a negative tolerance or step count, a time limit that is not
            positive, no parameters or too many for a dense method, or a function that is not finite at
            the start.
        TypeError: if a leaf of `params` or `operands` is not a tensor, or the function's result is not
            a scalar of the parameters' dtype.

    Example:
        >>> import torch
        >>> rosenbrock = lambda p, a: a * (p["y"] - p["x"] ** 2) ** 2 + (1 - p["x"]) ** 2
        >>> start = {"x": torch.tensor(-1.2).double(), "y": torch.tensor(1.0).double()}
        >>> found = minimize(rosenbrock, start, torch.tensor(100.0).double())
        >>> found.params
        {'x': tensor(1., dtype=torch.float64), 'y': tensor(1., dtype=torch.float64)}
        >>> found.status.converged, found.evaluations < 60
        (True, True)

    Source: Nocedal and Wright (2006), doi:10.1007/978-0-387-40065-5, chapters 3, 6 and 7; Al-Baali
    (1998), doi:10.1023/A:1022608410710; Urbán, Stefanou and Pons (2024), arXiv:2405.04230; Kiyani et al.
    (2025), arXiv:2501.16371.

    Differs from `torch.optim.LBFGS`: no pair is dropped for being small, so a small loss does not
    stall it. From `scipy.optimize.minimize`: tolerances have no units, and the search goes on to round-off.
    """
    checks.one_of(METHODS, method=method)
    checks.integer(steps=steps, least=0)
    chosen = dense(method) if method in BROYDEN else limited(memory)
    flat, unravel = _flat(params, method)
    tree.check_tensors(operands=operands)
    eps = torch.finfo(flat.dtype).eps
    checks.non_negative(gradient_tol=gradient_tol or 0.0, value_tol=value_tol or 0.0)
    checks.finite(value_target=value_target or 0.0)
    if time_limit is not None:
        checks.positive(time_limit=time_limit)
    stop = _Stop(
        eps if gradient_tol is None else gradient_tol,
        eps if value_tol is None else value_tol,
        -math.inf if value_target is None else value_target,
        min(flat.numel(), memory if method == "lbfgs" else flat.numel()),
    )

    clock = Clock(time_limit)
    problem = _Problem.of(function, unravel, operands, chosen, backend, steps)
    first: _Point = problem.at(flat, torch.zeros_like(flat), 0.0).place
    _check_start(first)
    with progress.bar(steps, "minimizing", shown=progress_bar) as bar:
        course = Course(first.value, steps, clock, bar)
        best, status, evaluations = _search(problem, first, stop, course)
    if warn and not status.converged:
        warnings.warn(f"minimize did not converge: {status.reason}.", RuntimeWarning, stacklevel=2)
    return MinimizeResult(
        unravel(best.params),
        torch.tensor(best.value, dtype=flat.dtype, device=flat.device),
        status,
        *course.history(),
        evaluations,
    )


class _Point(NamedTuple):
    """A point of the search; `largest` is the size of its gradient's largest entry."""

    params: Tensor
    gradient: Tensor
    value: float
    largest: float


class _Line(NamedTuple):
    """A model, the direction it gives at a point, the slope there; how many pairs it learnt, and the last.

    `scale` is that of the model before its first pair.
    """

    model: Any
    direction: Tensor
    slope: float
    scale: float
    age: int = 0
    pair: Pair | None = None


class _Stop(NamedTuple):
    """When a point counts as a minimum: as in `minimize`, and the age from which a model is believed."""

    gradient: float
    value: float
    target: float
    age: int

    def before(self, now: _Point, line: _Line, largest: float) -> Status | None:
        """Whether to stop before a step."""
        if now.value <= self.target:
            return Status(True, f"the value {now.value:.1e} is at most {self.target:.1e}")
        if now.largest <= self.gradient * largest:
            return Status(True, f"the gradient is at most {self.gradient:.1e} of that at the start")
        if self.promises(now, line, self.value):
            return Status(True, f"the model promises to lower the value by at most {self.value:.1e} of it")
        return None

    def after(self, now: _Point, line: _Line, largest: float, *, final: bool) -> Status | None:
        """What it means that no step lowers the value; None if a new model may still find one."""
        if self.promises(now, line, math.sqrt(self.value)):
            share = f"{-line.slope / 2 / abs(now.value):.1e} of it"
            return Status(True, f"no step lowers the value, and the model promises to by {share}")
        if not final:
            return None
        if now.largest <= math.sqrt(self.gradient) * largest:
            share = f"{now.largest / largest:.1e} of that at the start"
            return Status(True, f"no step lowers the value, and the gradient is {share}")
        return Status(False, "no step lowers the value: round-off is reached")

    def promises(self, now: _Point, line: _Line, share: float) -> bool:
        """Whether a model old enough to be believed promises at most this share of the value."""
        return line.age >= self.age and 0 < -line.slope / 2 <= share * abs(now.value)


class _Problem(NamedTuple):
    """The two programs of a step, and the functions they are made of."""

    along: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]
    turn: Callable[[Any, Pair, Tensor], tuple[Any, Tensor, Tensor]]
    method: QuasiNewton

    @classmethod
    def of(
        cls,
        function: Callable[..., Scalar],
        unravel: Callable[[Tensor], Params],
        operands: tuple[PyTree, ...],
        method: QuasiNewton,
        backend: str | None,
        steps: int,
    ) -> "_Problem":
        """The programs: the function at a step along a line, and a model's next direction."""

        def along(
            params: Tensor, direction: Tensor, step: Scalar, *operands: PyTree
        ) -> tuple[Tensor, Tensor, Tensor]:
            point = params + step * direction
            transformed = grad_and_value(lambda flat: _scalar(function(unravel(flat), *operands), flat.dtype))
            gradient, value = transformed(point)
            return point, gradient, torch.stack([value, gradient @ direction, gradient.abs().max()])

        def turn(model: Any, pair: Pair, gradient: Tensor) -> tuple[Any, Tensor, Tensor]:
            model = method.update(model, pair)
            direction = -method.multiply(model, gradient)
            return model, direction, gradient @ direction

        program = jit(along, backend=backend, steps=steps)
        return cls(lambda *line: program(*line, *operands), jit(turn, backend=backend, steps=steps), method)

    def at(self, params: Tensor, direction: Tensor, step: float) -> Trial:
        """The function at a step along a line; its numbers are read at once."""
        point, gradient, numbers = self.along(params, direction, torch.full_like(params[0], step))
        value, slope, largest = numbers.tolist()
        return Trial(step, value, slope, _Point(point, gradient, value, largest))

    def start(self, now: _Point, scale: float) -> _Line:
        """A new model, that of the steepest descent."""
        model = self.method.init(now.params, torch.full_like(now.params[0], scale))
        direction = -scale * now.gradient
        return _Line(model, direction, float(now.gradient @ direction), scale)

    def restart(self, line: _Line, now: _Point) -> _Line:
        """A new model in place of one that failed, with the scale of the last pair that it learnt."""
        if line.pair is None or not bool(useful(line.pair)):
            return self.start(now, line.scale)
        return self.start(now, float(_scale(line.pair)))

    def learn(self, line: _Line, step: float, before: _Point, now: _Point) -> _Line:
        """The model that knows a step, too; a new one takes its scale from its first step."""
        pair = Pair(
            now.params - before.params,
            now.gradient - before.gradient,
            torch.full_like(now.params[0], -step * step * line.slope),
        )
        model = line.model
        if line.pair is None:
            if not bool(useful(pair)):
                return self.start(now, line.scale)
            scale = _scale(pair)
            model = self.method.init(now.params, scale)
            pair = pair._replace(curvature=pair.step @ pair.step / scale)
        model, direction, slope = self.turn(model, pair, now.gradient)
        return _Line(model, direction, float(slope), line.scale, line.age + 1, pair)


def _search(problem: _Problem, now: _Point, stop: _Stop, course: Course) -> tuple[_Point, Status, int]:
    """The best point of a search, why it ended, and how often the function was evaluated."""
    best, largest, line = now, now.largest, problem.start(now, _first_scale(now))
    share = torch.finfo(now.params.dtype).eps ** NOISE
    evaluations, gained, restarted = 1, 0.0, math.inf

    def evaluate(step: float) -> Trial:
        nonlocal evaluations
        trial = problem.at(now.params, line.direction, step)
        evaluations += 1
        return trial

    try:
        while True:
            ended = stop.before(now, line, largest) or course.ended()
            if ended is not None:
                return best, ended, evaluations
            before = now
            if line.slope < 0:  # false for nan
                start, noise = Trial(0.0, now.value, line.slope, now), share * abs(now.value)
                found = wolfe(evaluate, start, _first_step(gained, line), noise=noise).trial
                now = found.place
            if now is not before:
                best = min(best, now, key=lambda point: (point.value, point.largest))
                course.record(now.value)
                line = problem.learn(line, found.step, before, now)
                gained = now.value - before.value
                continue
            stale = restarted - now.value < RESTART_GAIN * abs(restarted)
            ended = stop.after(now, line, largest, final=line.pair is None or stale)
            if ended is not None:
                return best, ended, evaluations
            restarted = now.value
            line = problem.restart(line, now)
    except KeyboardInterrupt:
        return best, course.interrupted(), evaluations


def _first_scale(now: _Point) -> float:
    r"""The length of the first step by that of the gradient, in the units of both.

    The shorter of $\lVert \theta \rVert$, all parameters anew, and of the step at whose end a parabola
    from the value and the slope at the start would touch zero.
    """
    size, slope = (float(torch.linalg.vector_norm(u)) for u in (now.params, now.gradient))
    if slope == 0:
        return 1.0
    scales = [scale for scale in (size / slope, 2 * abs(now.value) / slope / slope) if scale > 0]
    return min(scales, default=1 / slope)


def _first_step(gained: float, line: _Line) -> float:
    """The step to try first: the model's own, or a shorter one that would gain as much as the last."""
    step = 2.02 * gained / line.slope
    return step if line.age > 0 and 0 < step < 1 else 1.0


def _scale(pair: Pair) -> Scalar:
    """The inverse Hessian along the change of the gradient."""
    return pair.step @ pair.change / (pair.change @ pair.change)


def _flat(params: Params, method: str) -> tuple[Tensor, Callable[[Tensor], Params]]:
    tree.check_tensors(params=params)
    flat, unravel = tree.ravel(params)
    if not flat.is_floating_point():
        raise TypeError(f"params must have a floating-point dtype. Got {flat.dtype}. Cast them.")
    if flat.numel() == 0:
        raise ValueError("params must hold at least one number. Got none. Add a tensor that is not empty.")
    most = math.isqrt(DENSE_BYTES // flat.element_size())
    if method in BROYDEN and flat.numel() > most:
        raise ValueError(
            f"params must hold at most {most} numbers for method={method!r}, which keeps a matrix of "
            f"their square. Got {flat.numel()}. Try method='lbfgs'."
        )
    return flat.detach(), unravel


def _scalar(value: object, dtype: torch.dtype) -> Scalar:
    if not isinstance(value, Tensor) or value.dim() != 0:
        came = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        raise TypeError(f"function must return a tensor of shape (). Got {came}. Take the sum or the mean.")
    if value.dtype != dtype:
        raise TypeError(
            f"function must return the dtype of params, {dtype}. Got {value.dtype}. "
            "Cast operands and constants to it."
        )
    return value


def _check_start(start: _Point) -> None:
    if not math.isfinite(start.value) or not bool(torch.isfinite(start.gradient).all()):
        what = "its gradient" if math.isfinite(start.value) else "its value"
        raise ValueError(
            "function must be finite at the start, with a finite gradient. "
            f"Got nan or inf in {what}. Try other starting parameters."
        )
