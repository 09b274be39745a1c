"""Nonlinear least squares: the search, and when it ends."""

import math
import time
import warnings
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from funcsci import checks, progress, tree
from funcsci.compile import jit
from funcsci.optim import levenberg_marquardt as lm
from funcsci.optim.status import Status
from funcsci.tree import Params, PyTree, Scalar

METHODS = ("levenberg_marquardt",)
PATIENCE = 50
"""Steps in a row that gain nothing before the search counts as stalled."""
GAIN, TURN = 1e-3, 0.1
"""A step gains something if it lowers the best value, or the least cosine so far, by these shares."""


class LeastSquaresResult(NamedTuple):
    """What `least_squares` returns.

    Attributes:
        params: the best parameters found, of the structure that was passed in.
        value: half the sum of squared residuals there, shape ().
        status: whether a tolerance was met, and why the search stopped.
        history: the value after each step, float64, shape `(steps + 1,)`.
        seconds: the time since the start after each step, float64, shape `(steps + 1,)`.
    """

    params: Params
    value: Scalar
    status: Status
    history: Tensor
    seconds: Tensor


def least_squares(
    residual: Callable[..., Tensor],
    params: Params,
    points: PyTree | None = None,
    *,
    method: str = "levenberg_marquardt",
    steps: int = 200,
    residual_tol: float = 0.0,
    gradient_tol: float | None = None,
    value_tol: float | None = None,
    step_tol: float | None = None,
    backend: str | None = "trace",
    progress_bar: bool = False,
    warn: bool = True,
) -> LeastSquaresResult:
    r"""Minimize half a sum of squares, $\tfrac12 \sum_i r_i(\theta)^2$, over any pytree.

    A step solves $(J^\top J + \lambda D^2)\, v = -J^\top r$ with the running maximum of the column
    norms for $D$, by Cholesky, in the dual form where residuals are fewer than parameters. It is
    corrected along the geodesic by one more residual, and an uphill step passes where it
    keeps the direction of the last one. The best point is returned. All tolerances but the first are
    dimensionless and do not change with the units of residuals or parameters.

    Args:
        residual: `residual(params, point)`, the residual at one point, scalar or vector; without
            `points`, `residual(params)`, shape `(residuals,)`.
        params: where to start; floating-point tensors of one dtype.
        points: a pytree of tensors with the points along their first dimension.
        method: `"levenberg_marquardt"`.
        steps: the most steps to take.
        residual_tol: converged when the root mean square of the residuals is at most this, in
            the units of the residual.
        gradient_tol: converged when no column of the Jacobian makes an angle with the residual
            whose cosine exceeds this; None is $\epsilon^{3/4}$ of the dtype, 2e-12 in float64.
        value_tol: converged when the linear model promises to lower the value by at most this
            share, or its square root and no step lowers it; None is $\epsilon$.
        step_tol: converged when a step is at most this share of the parameters, both in units of
            $D$, or its square root and no step lowers the value; None is $\epsilon$.
        backend: as in `jit`.
        progress_bar: whether to show one.
        warn: whether to warn where it did not converge.

    Returns:
        A `LeastSquaresResult`. Not converging is a status and a warning, not an error.

    Raises:
        ValueError: for an unknown method, a negative tolerance or step count, points of several
            lengths, no residuals or no parameters, or a residual that is not finite at the start.
        TypeError: if a leaf of `params` or `points` is not a tensor, or the residual's dtype is
            not that of the parameters.

    Example:
        >>> import torch
        >>> rosenbrock = lambda p: torch.stack([10 * (p["y"] - p["x"] ** 2), 1 - p["x"]])
        >>> found = least_squares(rosenbrock, {"x": torch.tensor(-1.2), "y": torch.tensor(1.0)})
        >>> found.params
        {'x': tensor(1.), 'y': tensor(1.)}
        >>> found.status.converged
        True

    Source: Levenberg (1944), doi:10.1090/qam/10666; Marquardt (1963), doi:10.1137/0111030;
    Moré (1978), doi:10.1007/BFb0067700 (scaling); Transtrum and Sethna (2012), arXiv:1201.5885
    (geodesic acceleration, bold acceptance); Bates and Watts (1981), doi:10.2307/1268034 (angles
    as tests of convergence).

    Differs from `scipy.optimize.least_squares`: no tolerance depends on units, and an uphill step
    may pass, so the history need not fall.
    """
    checks.one_of(METHODS, method=method)
    checks.integer(steps=steps, least=0)
    flat, unravel = _flat(params)
    eps = torch.finfo(flat.dtype).eps
    tolerances = lm.Tolerances(
        residual_tol,
        eps**0.75 if gradient_tol is None else gradient_tol,
        eps if value_tol is None else value_tol,
        eps if step_tol is None else step_tol,
    )
    checks.non_negative(**{f"{name}_tol": tol for name, tol in tolerances._asdict().items()})
    operands = () if points is None else (points,)
    _check_points(points)

    start = time.perf_counter()
    problem = _jitted(lm.problem(residual, unravel), operands, backend, steps)
    first = lm.point(problem, flat, torch.zeros_like(flat))
    _check_start(first)
    history, seconds = [first.value], [time.perf_counter() - start]
    with progress.bar(steps, "least squares", shown=progress_bar) as bar:

        def record(value: float) -> None:
            history.append(value)
            seconds.append(time.perf_counter() - start)
            bar.update()
            bar.set_postfix_str(f"value {value:.2e}", refresh=False)

        best, status = _search(problem, first, tolerances, steps, record)
    if warn and not status.converged:
        warnings.warn(f"least_squares did not converge: {status.reason}.", RuntimeWarning, stacklevel=2)
    return LeastSquaresResult(
        unravel(best.params),
        torch.tensor(best.value, dtype=flat.dtype, device=flat.device),
        status,
        torch.tensor(history, dtype=torch.float64),
        torch.tensor(seconds, dtype=torch.float64),
    )


def _search(
    problem: lm.Problem, now: lm.Point, tolerances: lm.Tolerances, steps: int, record: Callable[[float], None]
) -> tuple[lm.Point, Status]:
    """The best point of up to `steps` steps, each of which is recorded, and why they ended."""
    best, norms = now, torch.zeros_like(now.params)
    damping, taken, idle, bold, least_cosine = lm.FIRST_DAMPING, 0, 0, True, math.inf
    while True:
        norms = torch.maximum(norms, torch.linalg.vector_norm(now.jacobian, dim=0))
        cosine = lm.cosine(now)
        if cosine < least_cosine * (1 - TURN):
            least_cosine, idle = cosine, 0
        found: lm.Point | Status | None = _ended(now, cosine, tolerances, idle, steps - taken)
        if found is None:
            found, damping = lm.step(problem, now, lm.model(now, norms), damping, tolerances)
        if isinstance(found, Status):
            if taken == steps or not bold or now.value <= best.value:
                return best, found
            # Uphill steps led to a worse minimum: go on from the best point, and downhill only.
            now = best
            damping, idle, bold = lm.FIRST_DAMPING, 0, False
        else:
            now = found
            idle = 0 if now.value < best.value * (1 - GAIN) else idle + 1
            best = now if now.value < best.value else best
            taken += 1
            record(now.value)
        if not bold:
            now = now._replace(direction=torch.zeros_like(now.direction))


def _ended(now: lm.Point, cosine: float, tolerances: lm.Tolerances, idle: int, left: int) -> Status | None:
    """Whether to stop before trying a step."""
    if now.rms <= tolerances.residual:
        return Status(
            True, f"the residual's root mean square {now.rms:.1e} is at most {tolerances.residual:.1e}"
        )
    if cosine <= tolerances.gradient:
        return Status(True, f"the gradient vanishes (cosine at most {tolerances.gradient:.1e})")
    if left == 0:
        return Status(False, "the steps allowed were used up")
    if idle >= PATIENCE:
        return Status(False, f"each of the last {PATIENCE} steps gained less than {GAIN:.1%}")
    return None


def _flat(params: Params) -> tuple[Tensor, Callable[[Tensor], Params]]:
    tree.check_tensors(params=params)
    flat, unravel = tree.ravel(params)
    if not flat.is_floating_point():
        raise TypeError(f"params must have a floating-point dtype. Got {flat.dtype}. Cast them.")
    if flat.numel() == 0:
        raise ValueError("params must hold at least one number. Got none. Add a tensor that is not empty.")
    return flat.detach(), unravel


def _check_points(points: PyTree | None) -> None:
    if points is None:
        return
    tree.check_tensors(points=points)
    lengths = {leaf.shape[0] if leaf.dim() else 0 for leaf in tree.leaves(points)}
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError(
            "points must hold one number of points, above zero, along the first dimension of its tensors. "
            f"Got shapes {[tuple(leaf.shape) for leaf in tree.leaves(points)]}. Stack the points along it."
        )


def _check_start(start: lm.Point) -> None:
    if start.residual.dtype != start.params.dtype:
        raise TypeError(
            f"residual must return the dtype of params, {start.params.dtype}. Got {start.residual.dtype}. "
            "Cast points and constants to it."
        )
    if start.residual.numel() == 0:
        raise ValueError("residual must return at least one number. Got an empty tensor. Add an equation.")
    if not start.finite:
        what = "its Jacobian" if bool(torch.isfinite(start.residual).all()) else "its value"
        raise ValueError(
            "residual must be finite at the start, with a finite Jacobian. "
            f"Got nan or inf in {what}. Try other starting parameters."
        )


def _jitted(problem: lm.Problem, points: tuple[PyTree, ...], backend: str | None, steps: int) -> lm.Problem:
    """The same functions as programs of the flat parameters alone."""
    evaluate = jit(problem.evaluate, backend=backend, steps=steps)
    linearize = jit(problem.linearize, backend=backend, steps=steps)
    return lm.Problem(lambda flat: evaluate(flat, *points), lambda flat: linearize(flat, *points))
