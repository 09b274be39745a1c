"""`solve_oscillator`: the damped harmonic oscillator in one call."""

import math
import warnings
from collections.abc import Sequence

import torch

from funcsci import checks, random, tree
from funcsci.compile.backends import BACKENDS
from funcsci.pinn.methods import METHODS
from funcsci.pinn.problem import Oscillator, check_oscillator, check_precision
from funcsci.pinn.settings import Settings
from funcsci.pinn.solution import Solution

TOLERANCES = {
    ("levenberg_marquardt", torch.float64): 1e-9,
    ("levenberg_marquardt", torch.float32): 1e-3,
    ("adam", torch.float64): 1e-2,
    ("adam", torch.float32): 1e-2,
}
"""The relative residual each method is asked for unless told otherwise."""


def solve_oscillator(
    omega: float = 1.0,
    damping: float = 0.0,
    u0: float = 1.0,
    du0: float = 0.0,
    t_span: tuple[float, float] = (0.0, 2 * math.pi),
    *,
    hidden: Sequence[int] | None = None,
    method: str = "levenberg_marquardt",
    steps: int | None = None,
    tol: float | None = None,
    points: int | None = None,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
    device: str | torch.device | None = None,
    backend: str | None = None,
    progress: bool = True,
) -> Solution:
    r"""Solve $u'' + 2 \zeta \omega u' + \omega^2 u = 0$ with a physics-informed neural network.

    `"levenberg_marquardt"` builds the initial conditions into the function and solves the
    network's linear last layer by least squares. This equation is linear, so that alone usually
    solves it; where it misses `tol`, Levenberg-Marquardt goes on with all parameters.
    `"adam"` is the course's way: the initial conditions are part of the loss, points are new and random
    at every step, and the gradient step is one compiled program. The solution's `status` says
    which of them it comes from. A classical solver such as `scipy.integrate.solve_ivp` is
    faster still for this equation.

    Args:
        omega: $\omega$, the undamped angular frequency, radians per unit of time; 0 is free motion.
        damping: $\zeta$, the damping ratio, dimensionless; 1 is critical.
        u0: $u$ at the start.
        du0: $u'$ at the start, per unit of time.
        t_span: start and end of the time, of which the start has the initial conditions.
        hidden: the network's hidden widths. None: one layer of 128 to 1,024 features, as many as
            `tol` needs, or (32, 32) for `"adam"`.
        method: `"levenberg_marquardt"` or `"adam"`.
        steps: the most steps of the iteration. None: 200, fewer where the network is so large that
            they would take minutes, or 20,000 for `"adam"`.
        tol: what counts as converged: the norm of the dimensionless residual over that of the
            solution, on points held out of the fit. None: 1e-9 (1e-3 in float32), or 1e-2 for `"adam"`.
        points: collocation points. None: twice the last hidden width, at least 128, or 64 for `"adam"`.
        seed: an integer; the same seed gives the same solution.
        dtype: `torch.float64` or `torch.float32`.
        device: where to compute. None: CUDA where there is one, else the CPU.
        backend: what steps run on, `"compile"`, `"trace"` or `"eager"`. None: the rule of
            `funcsci.compile.choose` for that many steps.
        progress: whether to show a progress bar.

    Returns:
        A `Solution`: call it, differentiate it, `plot()` it, `save()` it. If `tol` was missed its
        `status` says so, with one warning.

    Raises:
        TypeError: for an argument of the wrong type.
        ValueError: for a value out of its range or an unknown name.
        RuntimeError: for a device that is not there.

    Example:
        >>> from funcsci.pinn import solve_oscillator
        >>> solution = solve_oscillator(omega=2.0, damping=0.1, t_span=(0.0, 5.0))
        >>> solution.status.converged, solution.relative_l2 < 1e-11
        (True, True)

    Source: Raissi, Perdikaris and Karniadakis (2019), doi:10.1016/j.jcp.2018.10.045 (the method);
    Dong and Li (2021), arXiv:2012.02895 (least squares for the last layer).
    """
    problem = check_oscillator(Oscillator(omega, damping, u0, du0, t_span))
    checks.one_of(METHODS, method=method)
    settings = _settings(method, hidden, steps, tol, points, seed, dtype, device, backend, progress)
    check_precision(problem, dtype)
    outcome = METHODS[method](problem, settings)
    if not outcome.status.converged:
        warnings.warn(
            f"solve_oscillator did not converge: {outcome.status.reason}.", RuntimeWarning, stacklevel=2
        )
    # Views of one vector round otherwise than the tensors that `load` makes: each gets its own memory.
    params = tree.map(lambda leaf: leaf.clone(memory_format=torch.contiguous_format), outcome.params)
    return Solution(
        problem=problem,
        params=params,
        history=outcome.history,
        status=outcome.status,
        method=method,
        hidden=outcome.hidden,
        conditions=outcome.conditions,
        backend=outcome.backend,
        steps=outcome.steps,
    )


def _settings(
    method: str,
    hidden: Sequence[int] | None,
    steps: int | None,
    tol: float | None,
    points: int | None,
    seed: int,
    dtype: torch.dtype,
    device: str | torch.device | None,
    backend: str | None,
    progress: bool,
) -> Settings:
    """Every setting checked; None is left where the method decides."""
    if hidden is not None:
        checks.widths(hidden=hidden)
    if steps is not None:
        checks.integer(steps=steps, least=0)
    if points is not None:
        checks.integer(points=points, least=1)
    if tol is not None:
        checks.positive(tol=tol)
    checks.integer(seed=seed)
    checks.floating(dtype=dtype)
    if device is not None:
        checks.device(device=device)
    if backend is not None:
        checks.one_of(BACKENDS, backend=backend)
    place = torch.device(device if device is not None else "cuda" if torch.cuda.is_available() else "cpu")
    return Settings(
        hidden=None if hidden is None else tuple(int(width) for width in hidden),
        steps=steps,
        tol=TOLERANCES[method, dtype] if tol is None else tol,
        points=points,
        key=random.key(seed, device=place),
        dtype=dtype,
        device=place,
        backend=backend,
        progress=progress,
    )
