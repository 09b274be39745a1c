"""The climate of a system: what a long run must get right after its forecast is lost."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from scipy import stats
from torch import Tensor

from funcsci import checks
from funcsci.chaos.neighbours import check_series

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
"""The quantiles that are kept."""


class AttractorStatistics(NamedTuple):
    """What long runs of one system have in common.

    Attributes:
        mean: of each coordinate, shape `(features,)`.
        covariance: of the coordinates, `(features, features)`.
        quantiles: of each coordinate at the levels 0.05, 0.25, 0.5, 0.75 and 0.95, shape `(5, features)`.
        correlation_time: when the autocorrelation of each coordinate first falls to 1/e, shape
            `(features,)`; nan where it does not.
    """

    mean: Tensor
    covariance: Tensor
    quantiles: Tensor
    correlation_time: Tensor

    @property
    def std(self) -> float:
        """The standard deviation of the whole attractor: the root of the sum of the variances."""
        return float(self.covariance.trace().sqrt())

    def __repr__(self) -> str:
        """A table, a row for each coordinate."""
        heads = ("mean", "std", *(f"{100 * level:g} %" for level in LEVELS), "memory")
        columns = [self.mean, self.covariance.diag().sqrt(), *self.quantiles, self.correlation_time]
        lines = ["   " + "".join(f"{head:>9}" for head in heads)]
        for number, row in enumerate(torch.stack(columns, -1).tolist()):
            lines.append(f"{number:<3}" + "".join(f"{value:9.3f}" for value in row))
        return "\n".join([*lines, f"std of the whole attractor {self.std:.3f}"])


def attractor_statistics(series: Float[Tensor, "time features"], *, dt: float) -> AttractorStatistics:
    """Mean, covariance, distribution and memory of a long trajectory.

    Args:
        series: states at equal distances in time, many correlation times long.
        dt: the time between two.

    Returns:
        The statistics, in float64; printed, they are a table.

    Raises:
        TypeError: if an argument is of the wrong kind.
        ValueError: if the series is not of shape `(time, features)` with two states and finite, or `dt` is
            not positive.

    Example:
        >>> wave = 5 + torch.sin(0.01 * torch.arange(62832, dtype=torch.float64))[:, None]
        >>> attractor_statistics(wave, dt=0.01)
                mean      std      5 %     25 %     50 %     75 %     95 %   memory
        0      5.000    0.707    4.012    4.293    5.000    5.707    5.988    1.196
        std of the whole attractor 0.707
    """
    _check_long(series=series)
    checks.positive(dt=dt)
    wide = series.double()
    levels = torch.tensor(LEVELS, dtype=torch.float64, device=series.device)
    ordered = wide.sort(0).values
    place = levels * (len(wide) - 1)
    below = place.floor().long()
    part = (place - below)[:, None]
    above = (below + 1).clamp(max=len(wide) - 1)
    return AttractorStatistics(
        wide.mean(0),
        torch.cov(wide.T).reshape(wide.shape[1], -1),
        torch.lerp(ordered[below], ordered[above], part),
        dt * _memory(wide - wide.mean(0)),
    )


def attractor_distance(
    series: Float[Tensor, "time features"], truth: Float[Tensor, "others features"]
) -> Float[Tensor, "features"]:
    """How far the distribution of each coordinate is from the true one.

    The first Wasserstein distance, the mean way that the numbers of one must go to become the other, in
    standard deviations of the true coordinate. Two runs of one system of `n` independent states have about
    `1 / sqrt(n)`.

    Args:
        series: states of a long run, in any order.
        truth: those of the system itself, not necessarily as many.

    Returns:
        A distance for each coordinate, in float64.

    Raises:
        TypeError: if an argument is of the wrong kind.
        ValueError: if one is not of shape `(time, features)` and finite, they differ in their features, or
            a true coordinate is constant.

    Example:
        >>> truth = torch.linspace(-1, 1, 101, dtype=torch.float64)[:, None]
        >>> attractor_distance(truth + truth.std(), truth)
        tensor([1.], dtype=torch.float64)
    """
    check_series(series=series)
    _check_long(truth=truth)
    if series.shape[1] != truth.shape[1]:
        raise ValueError(
            f"series must have as many features as truth. Got series of shape {tuple(series.shape)}, "
            f"truth of shape {tuple(truth.shape)}. Leave out those that one of them lacks."
        )
    one, other = series.double().cpu(), truth.double().cpu()
    scale = other.std(0)
    if not bool((scale > 0).all()):
        raise ValueError(
            checks.message(
                "vary in every coordinate", "truth.std(0)", scale.tolist(), "Leave out what is constant."
            )
        )
    found = [stats.wasserstein_distance(*pair) for pair in zip(one.T.numpy(), other.T.numpy(), strict=True)]
    return (torch.tensor(found, dtype=torch.float64) / scale).to(truth.device)


def _memory(centred: Tensor) -> Tensor:
    """The steps after which the autocorrelation falls to 1/e, between two of them by a straight line."""
    count = len(centred)
    spectrum = torch.fft.rfft(centred, n=2 * count, dim=0)
    sums = torch.fft.irfft(spectrum.abs().square(), n=2 * count, dim=0)[:count]
    pairs = torch.arange(count, 0, -1, dtype=centred.dtype, device=centred.device)[:, None]
    correlation = sums / pairs / (sums[:1] / count)  # (time, features)
    level = math.exp(-1)
    after = (correlation > level).long().cumprod(0).sum(0)  # the first step at or below the level
    inside = after.clamp(max=count - 1)[None]
    before = correlation.gather(0, (inside - 1).clamp(min=0))[0]
    beyond = correlation.gather(0, inside)[0]
    steps = after - 1 + (before - level) / (before - beyond)
    return torch.where((after > 0) & (after < count), steps, torch.nan)


def _check_long(**values: Tensor) -> None:
    check_series(**values)
    for name, one in values.items():
        if len(one) < 2:
            remedy = "Take a longer run."
            raise ValueError(checks.message("hold at least two states", f"len({name})", len(one), remedy))
