r"""The damped harmonic oscillator, $u'' + 2 \zeta \omega u' + \omega^2 u = 0$, in one call."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from funcsci import checks
from funcsci.pinn.conditions import initial
from funcsci.pinn.ode import ode
from funcsci.pinn.problem import RECIPES, Problem
from funcsci.pinn.solution import Solution
from funcsci.pinn.solve import solve

DISTINCT_SHARE = 1e-4
"""The spacing of floating-point times is at most this share of the interval."""
METHODS = {"levenberg_marquardt": ("random_features", "levenberg_marquardt"), "adam": ("adam",)}
"""What each method of the oscillator is made of."""
ADAM_HIDDEN = (32, 32)
TOLERANCES = {
    ("levenberg_marquardt", torch.float64): 1e-9,
    ("levenberg_marquardt", torch.float32): 1e-3,
    ("adam", torch.float64): 1e-2,
    ("adam", torch.float32): 1e-2,
}
"""The estimated relative error each method is asked for unless told otherwise."""


@checks.named_options()
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
    estimate: bool = True,
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
        steps: the most steps of the iteration. None: 300, fewer where the network is so large that
            they would take minutes, or 20,000 for `"adam"`.
        tol: what counts as converged: the estimated relative error. None: 1e-9 (1e-3 in float32), or
            1e-2 for `"adam"`.
        points: collocation points. None: twice the last hidden width, at least 128, or 64 for `"adam"`.
        seed: an integer; the same seed gives the same solution.
        dtype: `torch.float64` or `torch.float32`.
        device: where to compute. None: CUDA where there is one, else the CPU.
        backend: what steps run on, `"compile"`, `"trace"` or `"eager"`. None: the rule of
            `funcsci.compile.choose` for that many steps.
        estimate: whether to estimate the error. Without, `tol` is asked of the relative residual.
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
    checks.one_of(METHODS, method=method)
    checks.floating(dtype=dtype)
    adam = method == "adam"
    check_numbers(omega, damping, u0, du0, t_span)
    check_precision(dtype, omega=omega, damping=damping, u0=u0, du0=du0, t_span=t_span)
    problem = oscillator(omega, damping, u0, du0, t_span, soft=adam)
    if hidden is not None:
        checks.widths(hidden=hidden)
    elif adam:
        hidden = ADAM_HIDDEN
    return solve(
        problem,
        method=METHODS[method],
        steps=steps,
        hidden=hidden,
        points=points,
        tol=TOLERANCES[method, dtype] if tol is None else tol,
        slabs=1,
        seed=seed,
        dtype=dtype,
        device=device,
        backend=backend,
        estimate=estimate,
        progress=progress,
    )


@checks.named_options()
def oscillator(
    omega: float = 1.0,
    damping: float = 0.0,
    u0: float = 1.0,
    du0: float = 0.0,
    t_span: tuple[float, float] = (0.0, 2 * math.pi),
    *,
    soft: bool = False,
) -> Problem:
    r"""The oscillator as a problem, with its closed form for a reference.

    Args:
        omega: as in `solve_oscillator`.
        damping: as in `solve_oscillator`.
        u0: as in `solve_oscillator`.
        du0: as in `solve_oscillator`.
        t_span: as in `solve_oscillator`.
        soft: whether the initial conditions are part of the loss, with weights of one for the equation and
            both conditions in units of $u$.

    Returns:
        The problem, for `solve`.

    Raises:
        TypeError: if a value is not a number, or `t_span` not a pair.
        ValueError: if a value is nan or infinite, `omega` or `damping` is negative, or `t_span`
            is empty or reversed.
    """
    check_numbers(omega, damping, u0, du0, t_span)
    numbers = {"omega": float(omega), "damping": float(damping), "u0": float(u0), "du0": float(du0)}
    span = (float(t_span[0]), float(t_span[1]))
    weight = 1.0 if soft else None
    problem = ode(
        lambda u: u.tt + 2 * damping * omega * u.t + omega**2 * u,
        span,
        conditions=[
            initial(float(u0), hard=not soft, weight=weight),
            initial(float(du0), order=1, hard=not soft, weight=weight),
        ],
        reference=lambda t: closed_form(omega, damping, u0, du0, span[0], t),
        text=written_out(omega, damping),
    )
    told = f"u({span[0]:g}) = {u0:g}, u'({span[0]:g}) = {du0:g}"
    return problem.with_recipe("oscillator", {**numbers, "t_span": span, "soft": soft}, (told,))


RECIPES["oscillator"] = oscillator


def check_numbers(omega: float, damping: float, u0: float, du0: float, t_span: tuple[float, float]) -> None:
    """The numbers are those of an oscillator.

    Raises:
        TypeError: if a value is not a number, or `t_span` not a pair.
        ValueError: if a value is nan or infinite, `omega` or `damping` is negative, or `t_span`
            is empty or reversed.
    """
    checks.non_negative(omega=omega, damping=damping)
    checks.finite(u0=u0, du0=du0)
    checks.interval(t_span=t_span)


def check_precision(dtype: torch.dtype, *, t_span: tuple[float, float], **numbers: float) -> None:
    """The dtype can hold the squares of the problem's numbers, and tell its times apart.

    Raises:
        ValueError: if a number is too large or the interval too short for it.
    """
    name, limits = str(dtype).removeprefix("torch."), torch.finfo(dtype)
    largest = limits.max ** (1 / 3)
    for label, value in (*numbers.items(), ("t_span", t_span)):
        if max(map(abs, value if isinstance(value, tuple | list) else (value,))) > largest:
            remedy = "Choose other units of time or of u."
            raise ValueError(
                checks.message(f"be at most {largest:.0e} in size for {name}", label, value, remedy)
            )
    coarseness = max(1 / largest, limits.eps * max(map(abs, t_span)) / DISTINCT_SHARE)
    if t_span[1] - t_span[0] < coarseness:
        must = f"be long enough for {name} to tell 10,000 of its times apart"
        remedy = "Let the time start at 0, choose another unit, or try dtype=torch.float64."
        raise ValueError(checks.message(must, "t_span", t_span, remedy))


def closed_form(
    omega: float, damping: float, u0: float, du0: float, start: float, t: Float[Tensor, "*times"]
) -> Float[Tensor, "*times"]:
    r"""The exact solution of the oscillator, free of cancellation near critical damping.

    With $\tau = t - t_0$ and $w = \omega\sqrt{1 - \zeta^2}$, for $\zeta < 1$

    $$u = e^{-\zeta\omega\tau} \bigl(u_0 \cos w\tau + (u_0' + \zeta\omega u_0) \tfrac{\sin w\tau}{w}\bigr),$$

    and for $\zeta \ge 1$, with $a, b = \omega(\zeta \mp \sqrt{\zeta^2 - 1})$,

    $$u = e^{-a\tau} \bigl(u_0 + (u_0' + a u_0) \tfrac{1 - e^{-(b - a)\tau}}{b - a}\bigr),$$

    where the last fraction is $\tau$ if $a = b$. For $\omega = 0$, $u = u_0 + u_0' \tau$.

    Args:
        omega: $\omega$, the undamped angular frequency, radians per unit of time.
        damping: $\zeta$, the damping ratio, dimensionless.
        u0: $u$ at the start.
        du0: $u'$ at the start, per unit of time.
        start: $t_0$.
        t: times of any shape.

    Returns:
        $u$ at those times, in float64.

    Source: any text on linear oscillations; the second form follows from $a b = \omega^2$.

    Example:
        >>> import torch
        >>> closed_form(1.0, 0.0, 1.0, 0.0, 0.0, torch.tensor(0.0))
        tensor(1., dtype=torch.float64)
    """
    zeta = damping
    tau = t.to(torch.float64) - start
    if omega == 0:
        return u0 + du0 * tau
    if zeta < 1:
        w = omega * math.sqrt((1 - zeta) * (1 + zeta))
        swing = u0 * torch.cos(w * tau) + (du0 + zeta * omega * u0) * torch.sin(w * tau) / w
        return torch.exp(-zeta * omega * tau) * swing
    root = math.sqrt((zeta - 1) * (zeta + 1))
    slow, gap = omega / (zeta + root), 2 * omega * root
    fraction = -torch.expm1(-gap * tau) / gap if gap > 0 else tau
    return torch.exp(-slow * tau) * (u0 + (du0 + slow * u0) * fraction)


def written_out(omega: float, damping: float) -> str:
    """The equation with its numbers, as one writes it."""
    friction = 2 * damping * omega
    terms = ["u''"]
    if friction:
        terms.append("u'" if friction == 1 else f"{friction:g} u'")
    if omega:
        terms.append("u" if omega == 1 else f"{omega**2:g} u")
    return " + ".join(terms) + " = 0"
