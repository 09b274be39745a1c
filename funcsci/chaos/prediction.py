"""How long a forecast of a chaotic system holds, and how its error grows until then."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from funcsci import checks

SATURATED = 0.1
"""Errors above this part of the attractor no longer grow as small ones do."""
SETTLED = 10.0
"""An error that has grown by this factor points in the direction that grows fastest."""
FEWEST = 3
"""Times through which a straight line is fitted."""


class ErrorGrowth(NamedTuple):
    """The error of forecasts over time.

    Attributes:
        time: of each state after the last known one, shape `(time,)`.
        error: the geometric mean over all forecasts, in standard deviations of the attractor, same shape.
        slope: the growth rate of its logarithm in the range of the fit, per unit of time; nan where fewer
            than three times lie in it.
        fit: the first and the last time that were fitted; nan likewise.
    """

    time: Tensor
    error: Tensor
    slope: float
    fit: tuple[float, float]

    def __repr__(self) -> str:
        """The growth in one line."""
        first, last = float(self.error[0]), float(self.error[-1])
        return (
            f"ErrorGrowth(slope={self.slope:.3f} between t={self.fit[0]:.3g} and t={self.fit[1]:.3g}; "
            f"error {first:.1e} at t={float(self.time[0]):.3g}, {last:.1e} at t={float(self.time[-1]):.3g})"
        )


def valid_prediction_time(
    forecast: Float[Tensor, "*batch time features"],
    truth: Float[Tensor, "*batch time features"],
    *,
    dt: float,
    std: float | Float[Tensor, ""],
    lyapunov: float,
    threshold: float = 0.4,
) -> Float[Tensor, "*batch"]:
    r"""How long each forecast stays with the truth, in Lyapunov times.

    $k \lambda \, dt$ with the largest $k$ for which $|\hat x_i - x_i| \le \epsilon s$ at all of the first $k$
    states. The first state is the one $dt$ after the last known one, so 0 is a forecast wrong at once.

    Args:
        forecast: $\hat x$, states at equal distances in time.
        truth: $x$, the states at the same times.
        dt: the time between two.
        std: $s$, the standard deviation of the whole attractor: the root of the sum of its coordinates'
            variances.
        lyapunov: $\lambda$, the largest Lyapunov exponent, per unit of time: 0.9056 for the Lorenz system.
        threshold: $\epsilon$, in units of `std`; 0.3, 0.4 and 0.5 are in use.

    Returns:
        A time for each forecast. One that never passes the threshold has its whole length, and a longer one
        might have more. An error that is no number, or infinite, is above every threshold.

    Raises:
        TypeError: if an argument is of the wrong kind.
        ValueError: if the shapes are not the same `(..., time, features)`, or a number is not positive.

    Example:
        >>> truth = torch.zeros(2, 100, 3)
        >>> forecast = torch.stack([truth[0], truth[0] + torch.arange(100.0)[:, None] / 100])
        >>> valid_prediction_time(forecast, truth, dt=0.1, std=1.0, lyapunov=1.0)
        tensor([10.0000,  2.4000])

    Source: Vlachas et al. (2020), arXiv:1910.05266, section 4.1.
    """
    _check_pair(forecast, truth)
    checks.positive(dt=dt, lyapunov=lyapunov, threshold=threshold)
    valid = relative_error(forecast, truth, std) <= threshold  # not so for nan
    count = valid.to(torch.promote_types(forecast.dtype, truth.dtype)).cumprod(-1).sum(-1)
    return count * (dt * lyapunov)


def error_growth(
    forecast: Float[Tensor, "*batch time features"],
    truth: Float[Tensor, "*batch time features"],
    *,
    dt: float,
    std: float | Float[Tensor, ""],
    between: tuple[float, float] | None = None,
) -> ErrorGrowth:
    r"""The mean error of forecasts over time, and its rate, which is the Lyapunov exponent for a good model.

    $\exp \langle \log |\hat x_i - x_i| / s \rangle$, the mean over all forecasts, and the slope of the
    straight line through its logarithm.

    Args:
        forecast: $\hat x$, states at equal distances in time, the first one `dt` after the last known one.
        truth: $x$, the states at the same times.
        dt: the time between two.
        std: $s$, the standard deviation of the whole attractor, as for `valid_prediction_time`.
        between: the errors between which the line is fitted, in units of `std`: from where the mean first
            passes the lower one to where it first passes the upper one. None: from ten times the first error,
            as it must first turn to the direction that grows, to 0.1, as it cannot outgrow the attractor.

    Returns:
        The mean error at each time, with the slope. It is nan where some forecast holds no number.

    Raises:
        TypeError: if an argument is of the wrong kind.
        ValueError: if the shapes are not the same `(..., time, features)`, a number is not positive, or the
            range is not a pair of rising positive numbers.

    Example:
        >>> time = 0.1 * torch.arange(1, 101, dtype=torch.float64)
        >>> truth = torch.zeros(1, 100, 1, dtype=torch.float64)
        >>> error_growth(1e-6 * torch.exp(0.9 * time)[None, :, None], truth, dt=0.1, std=1.0)
        ErrorGrowth(slope=0.900 between t=2.7 and t=10; error 1.1e-06 at t=0.1, 8.1e-03 at t=10)
    """
    _check_pair(forecast, truth)
    checks.positive(dt=dt)
    size = relative_error(forecast, truth, std).to(torch.float64)
    logarithm = torch.log(size).reshape(-1, size.shape[-1]).mean(0)  # (time,)
    time = dt * torch.arange(1, len(logarithm) + 1, dtype=torch.float64, device=logarithm.device)
    low, high = _range(between, float(torch.exp(logarithm[0])))
    begin = _first_above(logarithm, math.log(low)) if low > 0 else 0
    end = _first_above(logarithm, math.log(high))
    slope, fit = math.nan, (math.nan, math.nan)
    if end - begin >= FEWEST:
        slope = straight_line(time[begin:end], logarithm[begin:end])
        fit = (float(time[begin]), float(time[end - 1]))
    return ErrorGrowth(time, torch.exp(logarithm), slope, fit)


def relative_error(forecast: Tensor, truth: Tensor, std: float | Tensor) -> Tensor:
    """The distance of the two states in units of `std`, `(..., time)`."""
    if not isinstance(std, Tensor):
        checks.positive(std=std)
    elif std.dim():
        remedy = "Try std=series.var(0).sum().sqrt(), one number for all coordinates."
        raise ValueError(f"std must be a number. Got std of shape {tuple(std.shape)}. {remedy}")
    size: Tensor = torch.linalg.vector_norm(forecast - truth, dim=-1)
    return size / std


def straight_line(x: Tensor, y: Tensor) -> float:
    """The slope of the line through the points, by least squares."""
    centred = x - x.mean()
    return float((centred * y).sum() / centred.square().sum())


def _first_above(logarithm: Tensor, level: float) -> int:
    """The first place at which it is not below the level; its length if there is none."""
    return int((logarithm < level).to(torch.int64).cumprod(0).sum())


def _range(between: tuple[float, float] | None, first: float) -> tuple[float, float]:
    if between is None:
        return SETTLED * first, SATURATED
    checks.interval(between=between)
    checks.positive(**{"between[0]": between[0]})
    return between


def _check_pair(forecast: Tensor, truth: Tensor) -> None:
    for name, one in (("forecast", forecast), ("truth", truth)):
        if not isinstance(one, Tensor):
            raise TypeError(checks.message("be a tensor", name, one, f"Try torch.as_tensor({name})."))
        checks.floating(**{f"{name}.dtype": one.dtype})
    if forecast.shape != truth.shape or forecast.dim() < 2 or 0 in forecast.shape[-2:]:
        raise ValueError(
            "forecast must have the shape of truth, (..., time, features). Got forecast of shape "
            f"{tuple(forecast.shape)}, truth of shape {tuple(truth.shape)}. Cut the longer one."
        )
