"""What a series of states tells of its system, without its equations: an exponent and a dimension."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from funcsci import checks
from funcsci.chaos.neighbours import check_series, distances, nearest
from funcsci.chaos.prediction import FEWEST, straight_line

RADII = 40
"""At how many radii pairs are counted."""
LEAST_RADIUS = 1e-3
"""The smallest, in units of the attractor's standard deviation."""


class SeriesExponent(NamedTuple):
    """How fast neighbours part in a series: where its curve is straight, the slope means something.

    Attributes:
        value: the slope in the range of the fit, per unit of time: an estimate of the largest exponent.
        time: since the two were neighbours, shape `(time,)`.
        separation: the geometric mean of their distance, same shape.
        fit: the first and the last time of the fit.
    """

    value: float
    time: Tensor
    separation: Tensor
    fit: tuple[float, float]

    def __repr__(self) -> str:
        """The exponent in one line."""
        low, high = float(self.separation[0]), float(self.separation.max())
        span = f"t={self.fit[0]:.3g} and t={self.fit[1]:.3g}"
        return f"SeriesExponent({self.value:.3f} between {span}; distances {low:.2g} to {high:.2g})"


class CorrelationDimension(NamedTuple):
    """How the number of neighbours grows with the radius. Look at the curve here too.

    Attributes:
        value: the slope of its logarithm in the range of the fit.
        radius: in units of the attractor's standard deviation, shape `(radii,)`.
        fraction: the pairs of points that are nearer than that, same shape.
        fit: the smallest and the largest radius of the fit.
    """

    value: float
    radius: Tensor
    fraction: Tensor
    fit: tuple[float, float]

    def __repr__(self) -> str:
        """The dimension in one line."""
        return f"CorrelationDimension({self.value:.3f} between r={self.fit[0]:.3g} and r={self.fit[1]:.3g})"


def series_lyapunov_exponent(
    series: Float[Tensor, "time features"],
    *,
    dt: float,
    fit: tuple[float, float],
    theiler: float,
    horizon: float | None = None,
) -> SeriesExponent:
    r"""The largest Lyapunov exponent of a series, from neighbours that part.

    The slope of $\langle \log |x_{i + k} - x_{j(i) + k}| \rangle_i$ over $k \, dt$, where $x_{j(i)}$ is the
    nearest neighbour of $x_i$ among the states outside a window in time about it.

    Args:
        series: $x$ at equal distances in time: whole states, or those of `delay_embedding`.
        dt: the time between two.
        fit: between which times the line is fitted: after the difference has turned to the direction that
            grows fastest, and before it is as large as the attractor.
        theiler: half the window, in units of time; about a mean period, so that no state is
            compared with the next of its own orbit.
        horizon: the last time of the curve; None: twice the end of the fit.

    Returns:
        The slope with the curve. For 10,000 states of the Lorenz system it is within a fifth of the
        exponent, and takes some seconds, in proportion to the square of the number.

    Raises:
        TypeError: if an argument is of the wrong kind.
        ValueError: if a number is out of its range, the series is not of shape `(time, features)` and
            finite, or it is too short for the horizon and the window.

    Example:
        The logistic map in its chaos, where the exponent is log 2:

        >>> x = [0.3]
        >>> for _ in range(999):
        ...     x.append(4 * x[-1] * (1 - x[-1]))
        >>> found = series_lyapunov_exponent(
        ...     torch.tensor(x, dtype=torch.float64)[:, None], dt=1.0, fit=(0.0, 4.0), theiler=3.0
        ... )
        >>> round(found.value, 1)
        0.7

    Source: Rosenstein, Collins and De Luca (1993), doi:10.1016/0167-2789(93)90009-P, equations 9 to 12;
        Theiler (1986), doi:10.1103/PhysRevA.34.2427 (the window).
    """
    check_series(series=series)
    checks.positive(dt=dt)
    checks.non_negative(theiler=theiler)
    checks.interval(fit=fit)
    horizon = 2 * fit[1] if horizon is None else horizon
    checks.positive(horizon=horizon)
    begin, end, last, window = (round(value / dt) for value in (*fit, horizon, theiler))
    if begin < 0 or end - begin < FEWEST - 1 or last < end:
        must = f"hold {FEWEST} times of the curve, which goes from 0 to the horizon {horizon:g} by {dt:g}"
        raise ValueError(checks.message(must, "fit", fit, "Widen it, or the horizon."))
    count = len(series) - last
    if count < 2 * window + 2:
        must = f"hold at least {last + 2 * window + 2} states for this horizon and window"
        raise ValueError(
            checks.message(must, "len(series)", len(series), "Shorten them, or take more states.")
        )
    first = torch.arange(count, device=series.device)
    second = nearest(series[:count], window)
    means = [_mean_logarithm(series[first + step], series[second + step]) for step in range(last + 1)]
    curve = torch.stack(means)
    time = dt * torch.arange(last + 1, dtype=torch.float64, device=series.device)
    value = straight_line(time[begin : end + 1], curve[begin : end + 1])
    return SeriesExponent(value, time, torch.exp(curve), (begin * dt, end * dt))


def correlation_dimension(
    series: Float[Tensor, "time features"],
    *,
    dt: float,
    between: tuple[float, float],
    theiler: float,
) -> CorrelationDimension:
    r"""The dimension of an attractor: how many neighbours a state has within a radius.

    The slope of $\log C(r)$ over $\log r$, $C(r)$ the fraction of all pairs of states, outside a window in
    time, with a distance below $r$.

    Args:
        series: states at equal distances in time. Few and far apart are better than many in
            a row: the work grows with the square of their number.
        dt: the time between two.
        between: the radii between which the line is fitted, in units of the series' standard deviation,
            that of all coordinates together.
        theiler: half the window, in units of time.

    Returns:
        The slope with the curve.

    Raises:
        TypeError: if an argument is of the wrong kind.
        ValueError: if a number is out of its range, the series is not of shape `(time, features)` and
            finite, or no pair is near enough for the fit.

    Example:
        A circle has one dimension:

        >>> angle = 0.7 * torch.arange(2000, dtype=torch.float64)
        >>> circle = torch.stack([torch.cos(angle), torch.sin(angle)], -1)
        >>> found = correlation_dimension(circle, dt=1.0, between=(0.05, 0.5), theiler=0.0)
        >>> round(found.value, 1)
        1.0

    Source: Grassberger and Procaccia (1983), doi:10.1016/0167-2789(83)90298-1, equations 1.1 to 1.4.
    """
    check_series(series=series)
    checks.positive(dt=dt)
    checks.non_negative(theiler=theiler)
    checks.interval(between=between)
    checks.positive(**{"between[0]": between[0]})
    scaled = series.double() / series.double().var(0).sum().sqrt()
    low, high = min(LEAST_RADIUS, between[0]), max(1.0, between[1])
    exponents = torch.linspace(
        math.log(low), math.log(high), RADII, dtype=torch.float64, device=series.device
    )
    radius = torch.exp(exponents)
    near = torch.zeros(RADII + 1, dtype=torch.int64, device=series.device)
    pairs = 0
    for apart in distances(scaled, round(theiler / dt)):
        found = apart[torch.isfinite(apart)]
        near = near + torch.bincount(torch.bucketize(found, radius, right=True), minlength=RADII + 1)
        pairs += len(found)
    fraction = near.cumsum(0)[:-1].double() / max(pairs, 1)
    fitted = (radius >= between[0]) & (radius <= between[1]) & (fraction > 0)
    if int(fitted.sum()) < FEWEST:
        must = f"hold {FEWEST} of the {RADII} radii at which some pair is nearer"
        raise ValueError(checks.message(must, "between", between, "Widen it, or take more states."))
    value = straight_line(radius[fitted].log(), fraction[fitted].log())
    ends = radius[fitted]
    return CorrelationDimension(value, radius, fraction, (float(ends[0]), float(ends[-1])))


def _mean_logarithm(first: Tensor, second: Tensor) -> Tensor:
    """The mean logarithm of the distance, over the pairs that have one."""
    apart = torch.linalg.vector_norm((first - second).double(), dim=-1)
    return torch.log(apart[apart > 0]).mean()
