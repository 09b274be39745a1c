"""Nonlinear least squares: the search, and when it ends."""

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from funcsci import checks, progress, tree
from funcsci.optim import gauss_newton, levenberg_marquardt, micro_batches
from funcsci.optim.course import Clock, Course
from funcsci.optim.linearization import positive
from funcsci.optim.problem import SOLVERS, Point, Problem, full, kinds_of, point
from funcsci.optim.status import Status
from funcsci.optim.stopping import GAIN, TURN, Tolerances, ended
from funcsci.optim.variable_projection import Choice, separated
from funcsci.tree import Params, PyTree, Scalar


class Method(NamedTuple):
    """A way to step, and the damping it begins with."""

    step: Callable[[Problem, Point, Tensor, float, Tolerances], tuple[Point | Status, float]]
    damping: float


METHODS = {
    "levenberg_marquardt": Method(levenberg_marquardt.step, levenberg_marquardt.FIRST_DAMPING),
    "gauss_newton": Method(gauss_newton.step, 0.0),
}
"""Each method by its name."""


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
    residual: Callable[..., Tensor] | Sequence[Callable[..., Tensor]],
    params: Params,
    points: PyTree | None = None,
    *,
    method: str = "levenberg_marquardt",
    solver: str = "cholesky",
    solver_tol: float | None = None,
    variable_projection: Choice | None = None,
    memory: int | None = None,
    steps: int = 200,
    residual_tol: float = 0.0,
    gradient_tol: float | None = None,
    value_tol: float | None = None,
    step_tol: float | None = None,
    time_limit: float | None = None,
    backend: str | None = "trace",
    progress_bar: bool = False,
    warn: bool = True,
) -> LeastSquaresResult:
    r"""Minimize half a sum of squares, $\tfrac12 \sum_i r_i(\theta)^2$, over any pytree.

    A step of Levenberg-Marquardt solves $(J^\top J + \lambda D^2)\, v = -J^\top r$ with the running
    maximum of the column norms for $D$. It is corrected along the geodesic by one more residual, and an
    uphill step passes where it keeps the direction of the last one. Gauss-Newton takes $\lambda$ at the
    level of round-off, and halves the step until the value falls enough. The best point is returned.
    All tolerances but the first are dimensionless and do not change with the units of residuals or
    parameters.

    | solver | equations | for |
    |---|---|---|
    | `"cholesky"` | normal, in the dual form where residuals are fewer than parameters | most problems |
    | `"qr"` | stacked, by $Q R$ | bad conditions, where digits get lost |
    | `"svd"` | by singular values | comparison |
    | `"cg"` | by conjugate gradients, without a matrix | many parameters |
    | `"lsmr"` | by LSMR, without a matrix | many parameters, bad conditions |

    Args:
        residual: `residual(params, point)`, the residual at one point, scalar or vector; without
            `points`, `residual(params)`, shape `(residuals,)`. A sequence holds several kinds of
            residuals, such as an equation's and its conditions'; `points` is then one as long.
        params: where to start; floating-point tensors of one dtype.
        points: a pytree of tensors with the points along their first dimension, or a sequence of them.
        method: `"levenberg_marquardt"` or `"gauss_newton"`; the second is for good starts.
        solver: as in the table.
        solver_tol: the share of the gradient's norm at which `"cg"` and `"lsmr"` stop, if 200 iterations
            do not stop them before; None is $\epsilon^{1/4}$ of the dtype, 1.2e-4 in float64.
        variable_projection: the parameters that the residual is affine in, such as a network's last layer;
            they are eliminated, and their values at the start do not matter. The path of a subtree as
            `tree.paths` gives it, such as `"['layers'][1]"`, or a predicate of a path and its leaf. The steps
            are those of the other parameters; each costs more and is worth more. Dense solvers only.
        memory: the most bytes of tensors that may be alive at once beside parameters and points; None is
            4 GiB. The Jacobian is computed in micro-batches that fit, as in `per_sample_jacobian`. Where it
            does not fit itself, `"cholesky"` sums the normal equations over them.
        steps: the most steps to take.
        residual_tol: converged when the root mean square of the residuals is at most this, in
            the units of the residual.
        gradient_tol: converged when no column of the Jacobian makes an angle with the residual
            whose cosine exceeds this; None is $\epsilon^{3/4}$ of the dtype, 2e-12 in float64.
        value_tol: converged when the linear model promises to lower the value by at most this
            share, or its square root and no step lowers it; None is $\epsilon$.
        step_tol: converged when a step is at most this share of the parameters, both in units of
            $D$, or its square root and no step lowers the value; None is $\epsilon$.
        time_limit: seconds of wall-clock time after which the search ends with the best so far; looked at
            between steps, so that a step and its compilation are not divided. None is no limit.
        backend: as in `jit`.
        progress_bar: whether to show one.
        warn: whether to warn where it did not converge.

    Returns:
        A `LeastSquaresResult`. Not converging is a status and a warning, not an error; so is an
        interruption (Ctrl-C) of the search.

    Raises:
        ValueError: for an unknown method or solver, a negative tolerance or step count, a time limit that is
            not positive, points of several lengths, not as many sets of points as functions, no residuals
            or no parameters, a residual that is not finite at the start, too little memory, or a
            `variable_projection` in whose parameters the residual is not affine.
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
    checks.one_of(SOLVERS, solver=solver)
    checks.integer(steps=steps, least=0)
    if memory is not None:
        checks.integer(memory=memory, least=1)
    if time_limit is not None:
        checks.positive(time_limit=time_limit)
    eps = torch.finfo(_dtype(params)).eps
    tolerances = Tolerances(
        residual_tol,
        eps**0.75 if gradient_tol is None else gradient_tol,
        eps if value_tol is None else value_tol,
        eps if step_tol is None else step_tol,
    )
    solver_tol = eps**0.25 if solver_tol is None else solver_tol
    checks.non_negative(
        **{f"{name}_tol": tol for name, tol in tolerances._asdict().items()}, solver_tol=solver_tol
    )
    kinds = kinds_of(residual, points)
    for kind in kinds:
        if kind.points is not None:
            micro_batches.count(kind.points)

    clock = Clock(time_limit)
    how: dict[str, Any] = {"memory": memory, "backend": backend, "steps": steps}
    if variable_projection is None:
        setup = full(kinds, params, solver=solver, solver_tol=solver_tol, **how)
    else:
        setup = separated(kinds, params, variable_projection, solver=solver, **how)
    first = point(setup.problem, setup.start)
    _check_finite(first)
    with progress.bar(steps, "least squares", shown=progress_bar) as bar:
        course = Course(first.value, steps, clock, bar)
        best, status = _search(setup.problem, first, METHODS[method], tolerances, course)
    if warn and not status.converged:
        warnings.warn(f"least_squares did not converge: {status.reason}.", RuntimeWarning, stacklevel=2)
    return LeastSquaresResult(
        setup.finish(best.params),
        torch.tensor(best.value, dtype=setup.start.dtype, device=setup.start.device),
        status,
        *course.history(),
    )


class _Best(NamedTuple):
    """The best point so far, without its linear model, which is large."""

    params: Tensor
    value: float


def _search(
    problem: Problem,
    now: Point,
    method: Method,
    tolerances: Tolerances,
    course: Course,
) -> tuple[_Best, Status]:
    """The best point of a search, and why it ended."""
    best, norms = _Best(now.params, now.value), torch.zeros_like(now.params)
    damping, idle, bold, least_cosine = method.damping, 0, True, math.inf
    try:
        while True:
            norms = torch.maximum(norms, now.linear.norms)
            cosine = now.linear.cosine
            if cosine < least_cosine * (1 - TURN):
                least_cosine, idle = cosine, 0
            spent = course.ended()
            found: Point | Status | None = ended(now, cosine, tolerances, idle)
            if found is None and spent is None:
                found, damping = method.step(problem, now, positive(norms), damping, tolerances)
            if isinstance(found, Point):
                now = found
                idle = 0 if now.value < best.value * (1 - GAIN) else idle + 1
                best = _Best(now.params, now.value) if now.value < best.value else best
                course.record(now.value)
            elif found is not None and (not bold or now.value <= best.value):
                return best, found
            elif spent is not None:
                return best, spent
            else:  # uphill steps led to a worse minimum: go on from the best point, and downhill only
                now = point(problem, best.params)
                damping, idle, bold = method.damping, 0, False
            if not bold:
                now = now._replace(direction=torch.zeros_like(now.direction))
    except KeyboardInterrupt:
        return best, course.interrupted()


def _dtype(params: Params) -> torch.dtype:
    tree.check_tensors(params=params)
    flat, _ = tree.ravel(params)
    if not flat.is_floating_point():
        raise TypeError(f"params must have a floating-point dtype. Got {flat.dtype}. Cast them.")
    if flat.numel() == 0:
        raise ValueError("params must hold at least one number. Got none. Add a tensor that is not empty.")
    return flat.dtype


def _check_finite(start: Point) -> None:
    if not start.linear.finite:
        what = "its Jacobian" if bool(torch.isfinite(start.residual).all()) else "its value"
        raise ValueError(
            "residual must be finite at the start, with a finite Jacobian. "
            f"Got nan or inf in {what}. Try other starting parameters."
        )
