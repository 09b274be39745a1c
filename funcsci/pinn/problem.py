r"""The damped harmonic oscillator, $u'' + 2 \zeta \omega u' + \omega^2 u = 0$, and its closed form."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from funcsci import checks
from funcsci.autodiff import derivative
from funcsci.nn import Model
from funcsci.tree import Params, Scalar

DISTINCT_SHARE = 1e-4
"""The spacing of floating-point times is at most this share of the interval."""


class Oscillator(NamedTuple):
    r"""An initial value problem $u'' + 2 \zeta \omega u' + \omega^2 u = 0$ with $u, u'$ given at the start.

    Attributes:
        omega: $\omega$, the undamped angular frequency, in radians per unit of time; 0 is free motion.
        damping: $\zeta$, the damping ratio, dimensionless; 1 is critical.
        u0: $u$ at the start.
        du0: $u'$ at the start, in units of `u0` per unit of time.
        t_span: start and end, in units of time.
    """

    omega: float
    damping: float
    u0: float
    du0: float
    t_span: tuple[float, float]

    @property
    def duration(self) -> float:
        """The length of `t_span`."""
        return self.t_span[1] - self.t_span[0]

    @property
    def rate(self) -> float:
        """The inverse time that makes the equation dimensionless: omega, or 1/duration if that is more."""
        return max(self.omega, 1 / self.duration)

    @property
    def decay(self) -> float:
        """The fastest exponential decay in the solution, per unit of time."""
        return self.omega * (self.damping + math.sqrt(max(self.damping**2 - 1, 0.0)))


def check_oscillator(problem: Oscillator) -> Oscillator:
    """The problem with plain floats for its numbers.

    Raises:
        TypeError: if a value is not a number, or `t_span` not a pair.
        ValueError: if a value is nan or infinite, `omega` or `damping` is negative, or `t_span`
            is empty or reversed.
    """
    checks.non_negative(omega=problem.omega, damping=problem.damping)
    checks.finite(u0=problem.u0, du0=problem.du0)
    checks.interval(t_span=problem.t_span)
    start, end = problem.t_span
    return Oscillator(
        omega=float(problem.omega),
        damping=float(problem.damping),
        u0=float(problem.u0),
        du0=float(problem.du0),
        t_span=(float(start), float(end)),
    )


def check_precision(problem: Oscillator, dtype: torch.dtype) -> None:
    """The dtype can hold the squares of the problem's numbers, and tell its times apart.

    Raises:
        ValueError: if a number is too large or the interval too short for it.
    """
    name, limits = str(dtype).removeprefix("torch."), torch.finfo(dtype)
    largest = limits.max ** (1 / 3)
    for label, value in problem._asdict().items():
        if max(map(abs, value if label == "t_span" else (value,))) > largest:
            remedy = "Choose other units of time or of u."
            raise ValueError(
                checks.message(f"be at most {largest:.0e} in size for {name}", label, value, remedy)
            )
    coarseness = max(1 / largest, limits.eps * max(map(abs, problem.t_span)) / DISTINCT_SHARE)
    if problem.duration < coarseness:
        must = f"be long enough for {name} to tell 10,000 of its times apart"
        remedy = "Let the time start at 0, choose another unit, or try dtype=torch.float64."
        raise ValueError(checks.message(must, "t_span", problem.t_span, remedy))


def equation(problem: Oscillator, function: Model, params: Params, t: Scalar) -> Scalar:
    r"""The equation's left side at one time, dimensionless: $(u'' + 2 \zeta \omega u' + \omega^2 u) / k^2$.

    Args:
        problem: gives $\omega$, $\zeta$ and the rate $k$.
        function: $u$; `apply(params, t)` takes and returns a scalar.
        params: its parameters.
        t: a time, shape ().

    Returns:
        The residual, shape (), in the units of $u$.
    """

    def u(t: Scalar) -> Scalar:
        return function.apply(params, t)

    u_t, u_tt = derivative(u, 1), derivative(u, 2)
    omega, zeta = problem.omega, problem.damping
    return (u_tt(t) + 2 * zeta * omega * u_t(t) + omega**2 * u(t)) / problem.rate**2


def closed_form(problem: Oscillator, t: Float[Tensor, "*times"]) -> Float[Tensor, "*times"]:
    r"""The exact solution, free of cancellation near critical damping.

    With $\tau = t - t_0$ and $w = \omega\sqrt{1 - \zeta^2}$, for $\zeta < 1$
    $$u = e^{-\zeta\omega\tau} \bigl(u_0 \cos w\tau + (u_0' + \zeta\omega u_0) \tfrac{\sin w\tau}{w}\bigr),$$
    and for $\zeta \ge 1$, with $a, b = \omega(\zeta \mp \sqrt{\zeta^2 - 1})$,
    $$u = e^{-a\tau} \bigl(u_0 + (u_0' + a u_0) \tfrac{1 - e^{-(b - a)\tau}}{b - a}\bigr),$$
    where the last fraction is $\tau$ if $a = b$. For $\omega = 0$, $u = u_0 + u_0' \tau$.

    Args:
        problem: the oscillator.
        t: times of any shape.

    Returns:
        $u$ at those times, in float64.

    Source: any text on linear oscillations; the second form follows from $a b = \omega^2$.

    Example:
        >>> import torch
        >>> closed_form(Oscillator(1.0, 0.0, 1.0, 0.0, (0.0, 7.0)), torch.tensor(0.0))
        tensor(1., dtype=torch.float64)
    """
    omega, zeta, u0, du0 = problem.omega, problem.damping, problem.u0, problem.du0
    tau = t.to(torch.float64) - problem.t_span[0]
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
