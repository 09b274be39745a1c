"""Burgers' equation from random fields: what the fields become, to the round-off of a spectral method."""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from funcsci import checks, progress, random
from funcsci.random import Key

CELLS = 4.0
"""Points of the solver's grid per unit of 1/ν: a layer between ±1 is 4 ν wide."""
PART = 64
"""Functions that are solved for at once on a CPU."""
CONTOUR = 32
"""Points on the half circle over which the coefficients of a step are averaged."""


def gaussian_random_field(
    key: Key,
    samples: int,
    points: int = 64,
    *,
    sigma: float = 25.0,
    tau: float = 5.0,
    gamma: float = 2.0,
    modes: int | None = None,
    dtype: torch.dtype | None = None,
) -> Float[Tensor, "samples points"]:
    r"""Periodic random functions, rough or smooth as one likes.

    $u(x) = \sum_k \lambda_k (\xi_k \cos 2 \pi k x + \eta_k \sin 2 \pi k x)$ with $\lambda_k = \sqrt 2 \sigma
    ((2 \pi k)^2 + \tau^2)^{-\gamma / 2}$ and $\xi_k, \eta_k$ standard normal, $k = 1, 2, \dots$: the normal
    law of mean zero and covariance $\sigma^2 (-\Delta + \tau^2)^{-\gamma}$ on the functions of mean zero.

    Args:
        key: decides the numbers; they are on its device.
        samples: how many functions.
        points: where they are seen, $x = 0, 1/n, \dots, (n - 1)/n$ of a period of 1.
        sigma: $\sigma$; everything here is dimensionless.
        tau: $\tau$; waves longer than $2 \pi / \tau$ have no more weight than that one.
        gamma: $\gamma$; the larger, the smoother.
        modes: the last $k$. None: as far as the points tell waves apart, $(n - 1) / 2$ rounded down, so that
            the values at the points are the whole function.
        dtype: of the result; None: torch's default.

    Returns:
        The functions at the points.

    Raises:
        TypeError: if an argument is of the wrong kind.
        ValueError: if a number is out of its range, or the points are fewer than three.

    Example:
        >>> u = gaussian_random_field(random.key(0), 1000)
        >>> u.shape, round(float(u.std()), 1)
        (torch.Size([1000, 64]), 0.6)

    Source: Li et al. (2021), arXiv:2010.08895, section 5.1, whose data these defaults are.
    """
    checks.integer(least=1, samples=samples)
    checks.integer(least=3, points=points)
    checks.finite(gamma=gamma)
    checks.positive(sigma=sigma)
    checks.non_negative(tau=tau)
    modes = (points - 1) // 2 if modes is None else modes
    checks.integer(least=1, modes=modes)
    normal = random.normal(key, (2, samples, modes), dtype=dtype)
    number = torch.arange(1, modes + 1, dtype=torch.float64, device=normal.device)
    weight = math.sqrt(2) * sigma * ((2 * math.pi * number).square() + tau**2) ** (-gamma / 2)
    place = torch.arange(points, dtype=torch.float64, device=normal.device) / points
    phase = 2 * math.pi * number[:, None] * place  # (modes, points)
    even, odd = normal.double() * weight
    field: Tensor = even @ torch.cos(phase) + odd @ torch.sin(phase)
    return field.to(normal.dtype)


def burgers_solution(
    u0: Float[Tensor, "*batch points"],
    *,
    viscosity: float,
    time: float = 1.0,
    steps: int = 3000,
    resolution: int | None = None,
    progress_bar: bool = True,
) -> Float[Tensor, "*batch points"]:
    r"""What periodic functions become under $u_t + u u_x = \nu u_{xx}$, on a period of 1.

    A Fourier series of which the stiff linear part is integrated exactly, $\hat u' = -\nu \kappa^2 \hat u -
    \tfrac{1}{2} i \kappa \widehat{u^2}$, $\kappa = 2 \pi k$, by the exponential Runge-Kutta method of order
    four; what $u^2$ would alias is left out (a third of the series). In float64, on the device of `u0`.

    Args:
        u0: the functions at equal distances, first at $x = 0$. They are taken for the series of least
            frequencies through the points.
        viscosity: $\nu$, dimensionless as everything here.
        time: $t$ of the result.
        steps: how many. The error falls with the fourth power; the default's is about 1e-11 of the
            result for fields of order one, at viscosities of 0.01 and 0.1.
        resolution: points of the solver's own grid, a multiple of the given ones, twice as many at least.
            None: enough for jumps up to about 4, at least $4 / \nu$; larger functions need more in
            proportion.
        progress_bar: whether to show one.

    Returns:
        The functions at that time, at the given points, in the dtype of `u0`.

    Raises:
        TypeError: if an argument is of the wrong kind.
        ValueError: if a number is not positive, the points are fewer than three, or the resolution is no
            fitting multiple.

    Example:
        A small wave dies away like heat:

        >>> x = torch.arange(8, dtype=torch.float64) / 8
        >>> u = burgers_solution(1e-3 * torch.sin(2 * math.pi * x)[None], viscosity=0.1, steps=100,
        ...                      progress_bar=False)
        >>> decay = math.exp(-0.1 * (2 * math.pi) ** 2)
        >>> round(float(u[0, 2]) / decay / 1e-3, 3)
        1.0

    Source: Kassam and Trefethen (2005), doi:10.1137/S1064827502410633, equations 2.5 and 26 to 29 (the step
        and its coefficients by a contour integral).
    """
    checks.positive(viscosity=viscosity, time=time)
    checks.integer(least=1, steps=steps)
    _check_field(u0)
    points = u0.shape[-1]
    grid = _resolution(points, viscosity) if resolution is None else resolution
    _check_resolution(grid, points)

    kept = (grid - 1) // 3 + 1  # so that no sum of two is the alias of a third
    number = 2 * math.pi * torch.arange(kept, dtype=torch.float64, device=u0.device)
    step = _step(-viscosity * number.square(), time / steps)

    def nonlinear(series: Tensor) -> Tensor:
        square = torch.fft.irfft(series, n=grid).square()
        slope: Tensor = -0.5j * number * torch.fft.rfft(square)[..., :kept]
        return slope

    def stepped(series: Tensor) -> Tensor:
        first = nonlinear(series)
        half = step.half * series
        one = half + step.stage * first
        second = nonlinear(one)
        third = nonlinear(half + step.stage * second)
        last = nonlinear(step.half * one + step.stage * (2 * third - first))
        slopes = step.first * first + step.middle * (second + third) + step.last * last
        return step.whole * series + slopes

    functions = u0.reshape(-1, points).double()
    # On a CPU so many that they stay in its cache, which halves the time.
    parts = torch.split(functions, PART) if u0.device.type == "cpu" else (functions,)
    found = []
    with progress.bar(steps * len(parts), "Burgers", shown=progress_bar) as bar:
        for part in parts:
            series = _refined(part, grid, kept)
            for _ in range(steps):
                series = stepped(series)
                bar.update()
            found.append(torch.fft.irfft(series, n=grid)[..., :: grid // points])
    return torch.cat(found).reshape(u0.shape).to(u0.dtype)


def burgers(
    key: Key,
    samples: int = 1000,
    points: int = 64,
    *,
    viscosity: float = 0.1,
    time: float = 1.0,
    dtype: torch.dtype | None = None,
    progress_bar: bool = True,
) -> dict[str, Float[Tensor, "samples points"]]:
    """Pairs for an operator to be learned from: random functions, and what Burgers' equation makes of them.

    Args:
        key: decides the functions, by the law that `gaussian_random_field` has by default.
        samples: how many pairs.
        points: where they are seen, on a period of 1.
        viscosity: dimensionless, as everything here; see `burgers_solution`.
        time: between the two.
        dtype: of the result; None: torch's default. It is computed in float64 in any case.
        progress_bar: whether to show one.

    Returns:
        `{"x", "y"}`: the functions at time 0 and at `time`, both of shape `(samples, points)`.

    Raises:
        TypeError: if an argument is of the wrong kind.
        ValueError: if a number is out of its range.

    Example:
        >>> pairs = burgers(random.key(0), 4, viscosity=0.1, progress_bar=False)
        >>> [pairs[name].shape for name in "xy"], bool(pairs["y"].abs().max() < 0.1)
        ([torch.Size([4, 64]), torch.Size([4, 64])], True)

    Source: Li et al. (2021), arXiv:2010.08895, section 5.1.
    """
    before = gaussian_random_field(key, samples, points, dtype=torch.float64)
    after = burgers_solution(before, viscosity=viscosity, time=time, progress_bar=progress_bar)
    wanted = torch.get_default_dtype() if dtype is None else dtype
    checks.floating(dtype=wanted)
    return {"x": before.to(wanted), "y": after.to(wanted)}


class _Step(NamedTuple):
    """The coefficients of a step, one for each wave."""

    half: Tensor
    whole: Tensor
    stage: Tensor
    first: Tensor
    middle: Tensor
    last: Tensor


def _step(rate: Tensor, size: float) -> _Step:
    r"""With $z = $ `size * rate`: $e^{z/2}$, $e^z$ and the four fractions, which cancel near $z = 0$.

    Each is analytic, hence the mean of its values on a circle about $z$; for a real $z$ the real part of the
    mean on the upper half.
    """
    z = size * rate
    angle = math.pi * (torch.arange(CONTOUR, dtype=torch.float64, device=rate.device) + 0.5) / CONTOUR
    around = z[:, None] + torch.polar(torch.ones_like(angle), angle)  # (waves, CONTOUR)
    grown, cubed = torch.exp(around), around**3

    def mean(values: Tensor) -> Tensor:
        return size * values.mean(-1).real

    return _Step(
        half=torch.exp(z / 2),
        whole=torch.exp(z),
        stage=mean((torch.exp(around / 2) - 1) / around),
        first=mean((-4 - around + grown * (4 - 3 * around + around**2)) / cubed),
        middle=2 * mean((2 + around + grown * (around - 2)) / cubed),
        last=mean((-4 - 3 * around - around**2 + grown * (4 - around)) / cubed),
    )


def _refined(u: Tensor, grid: int, kept: int) -> Tensor:
    """The series through the points, scaled for a grid of `grid` points and filled up with zeros."""
    points = u.shape[-1]
    series = torch.fft.rfft(u) * (grid / points)
    if points % 2 == 0:  # the last wave is its own mirror image; on a finer grid it has one
        series = torch.cat([series[..., :-1], series[..., -1:] / 2], -1)
    return F.pad(series, (0, kept - series.shape[-1]))


def _resolution(points: int, viscosity: float) -> int:
    """The given points doubled until they suffice."""
    doublings = math.ceil(math.log2(max(2.0, CELLS / viscosity / points)))
    return points * int(2**doublings)


def _check_resolution(resolution: int, points: int) -> None:
    checks.integer(resolution=resolution)
    if resolution < 2 * points or resolution % points:
        must = f"be a multiple of the {points} points, {2 * points} at least"
        raise ValueError(checks.message(must, "resolution", resolution, f"Try resolution={4 * points}."))


def _check_field(u0: Tensor) -> None:
    if not isinstance(u0, Tensor):
        raise TypeError(checks.message("be a tensor", "u0", u0, "Try torch.as_tensor(u0)."))
    checks.floating(**{"u0.dtype": u0.dtype})
    if u0.dim() == 0 or u0.shape[-1] < 3:
        raise ValueError(
            f"u0 must have at least three points in its last dimension. Got u0 of shape {tuple(u0.shape)}. "
            "Pass functions of shape (samples, points)."
        )
