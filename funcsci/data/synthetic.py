"""Small data sets drawn from a key: a noisy line, a noisy sine, noisy waves, two blobs."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from funcsci import checks, random
from funcsci.random import Key


def noisy_line(
    key: Key,
    samples: int = 100,
    *,
    slope: float = 5.0,
    intercept: float = -2.0,
    noise: float = 0.1,
    dtype: torch.dtype | None = None,
) -> dict[str, Float[Tensor, "samples 1"]]:
    """Points about a line, `y = slope x + intercept + noise ε`, with `x` and `ε` standard normal.

    Args:
        key: decides the numbers; they are on its device.
        samples: how many points.
        slope: of the line; dimensionless, as everything here.
        intercept: its value at 0.
        noise: standard deviation of the points about the line.
        dtype: of the result; None: torch's default.

    Returns:
        `{"x", "y"}`, both of shape `(samples, 1)`.

    Raises:
        TypeError: if an argument is of the wrong kind.
        ValueError: if `samples` is not positive, `noise` is negative, or a number is not finite.

    Example:
        >>> data = noisy_line(random.key(0), 3, noise=0.0)
        >>> torch.allclose(data["y"], 5 * data["x"] - 2)
        True
    """
    checks.integer(least=1, samples=samples)
    checks.finite(slope=slope, intercept=intercept)
    checks.non_negative(noise=noise)
    points, errors = random.split(key)
    x = random.normal(points, (samples, 1), dtype=dtype)
    return {"x": x, "y": slope * x + intercept + noise * random.normal(errors, (samples, 1), dtype=dtype)}


def noisy_sine(
    key: Key,
    samples: int = 1000,
    *,
    interval: tuple[float, float] = (-10.0, 10.0),
    noise: float = 0.1,
    dtype: torch.dtype | None = None,
) -> dict[str, Float[Tensor, "samples 1"]]:
    """Points about a sine, `y = sin(x) + noise ε`, with `x` at equal distances and `ε` standard normal.

    Args:
        key: decides the noise; the points are on its device.
        samples: how many points.
        interval: the first and the last `x`, in radians.
        noise: standard deviation of the points about the sine.
        dtype: of the result; None: torch's default.

    Returns:
        `{"x", "y"}`, both of shape `(samples, 1)`, in the order of `x`.

    Raises:
        TypeError: if an argument is of the wrong kind.
        ValueError: if there are fewer than two samples, `noise` is negative, or the interval has no length.

    Example:
        >>> data = noisy_sine(random.key(0))
        >>> round(float((data["y"] - torch.sin(data["x"])).std()), 2)
        0.1
    """
    checks.integer(least=2, samples=samples)
    checks.interval(interval=interval)
    checks.non_negative(noise=noise)
    errors = random.normal(key, (samples, 1), dtype=dtype)
    x = torch.linspace(*interval, samples, dtype=errors.dtype, device=errors.device).unsqueeze(-1)
    return {"x": x, "y": torch.sin(x) + noise * errors}


def noisy_waves(
    key: Key,
    samples: int = 1000,
    *,
    dt: float = 0.1,
    noise: float = 0.1,
    dtype: torch.dtype | None = None,
) -> dict[str, Float[Tensor, "samples 1"]]:
    """A signal of two waves in noise, `y = sin(t) + sin(t / 2) + noise ε`, at the times `t = 0, dt, 2 dt, …`.

    Args:
        key: decides the noise; the times are on its device.
        samples: how many points.
        dt: time from one to the next; the waves have the periods 2π and 4π.
        noise: standard deviation of the points about the waves; `ε` is standard normal.
        dtype: of the result; None: torch's default.

    Returns:
        `{"t", "y"}`, both of shape `(samples, 1)`, in the order of time.

    Raises:
        TypeError: if an argument is of the wrong kind.
        ValueError: if `samples` or `dt` is not positive, `noise` is negative, or a number is not finite.

    Example:
        >>> signal = noisy_waves(random.key(0))
        >>> clean = torch.sin(signal["t"]) + torch.sin(signal["t"] / 2)
        >>> signal["y"].shape, round(float((signal["y"] - clean).std()), 2)
        (torch.Size([1000, 1]), 0.1)
    """
    checks.integer(least=1, samples=samples)
    checks.positive(dt=dt)
    checks.non_negative(noise=noise)
    errors = random.normal(key, (samples, 1), dtype=dtype)
    t = dt * torch.arange(samples, dtype=errors.dtype, device=errors.device).unsqueeze(-1)
    return {"t": t, "y": torch.sin(t) + torch.sin(t / 2) + noise * errors}


def two_blobs(
    key: Key,
    samples: int = 100,
    *,
    centers: tuple[Sequence[float], Sequence[float]] = ((-2.0, -2.0), (2.0, 2.0)),
    std: float = 1.0,
    dtype: torch.dtype | None = None,
) -> dict[str, Float[Tensor, "samples *features"]]:
    """Two normal clouds of points, `x = c_y + std ε`, labelled 0 and 1.

    Args:
        key: decides the points; they are on its device.
        samples: how many points each cloud has.
        centers: `c_0` and `c_1`, of one length, the number of features.
        std: standard deviation of each feature about its center.
        dtype: of the result; None: torch's default.

    Returns:
        `{"x", "y"}`: `x` of shape `(2 samples, features)` and the labels `y` of shape `(2 samples,)`, 0.0 for
        the first half and 1.0 for the second, as numbers that a binary cross-entropy takes.

    Raises:
        TypeError: if an argument is of the wrong kind.
        ValueError: if `samples` is not positive, `std` is negative, a number is not finite, or the centers
            are not two points of one length.

    Example:
        >>> data = two_blobs(random.key(0), std=0.0)
        >>> data["x"][[0, 100]], data["y"][[0, 100]]
        (tensor([[-2., -2.],
                [ 2.,  2.]]), tensor([0., 1.]))
    """
    checks.integer(least=1, samples=samples)
    checks.non_negative(std=std)
    if len(centers) != 2 or len(centers[0]) != len(centers[1]) or not len(centers[0]):
        remedy = "Try centers=((-2, -2), (2, 2))."
        raise ValueError(checks.message("be two points with as many features", "centers", centers, remedy))
    for place, center in enumerate(centers):
        checks.finite(**{f"centers[{place}][{index}]": value for index, value in enumerate(center)})
    errors = random.normal(key, (2, samples, len(centers[0])), dtype=dtype)
    middle = torch.tensor(centers, dtype=errors.dtype, device=errors.device).unsqueeze(1)  # (2, 1, features)
    labels = torch.arange(2, dtype=errors.dtype, device=errors.device)
    return {"x": (middle + std * errors).flatten(0, 1), "y": labels.repeat_interleave(samples)}
