"""Continuous distributions: real numbers from a key."""

import math

import torch
from torch import Tensor

from funcsci import checks
from funcsci.random.arguments import Floats, Shape, bound, check, check_order, floating
from funcsci.random.erfinv import inverse_error
from funcsci.random.keys import Key, random_bits, words


def unit(key: Tensor, shape: Shape, dtype: torch.dtype) -> Tensor:
    """Uniform in [0, 1): as many leading bits as the mantissa holds, times its spacing. Exact."""
    if dtype == torch.float32:
        return (random_bits(key, shape, 32) >> 9).to(dtype) * 2.0**-23
    high, low = words(key, shape)
    return ((high << 20) | (low >> 12)).to(dtype) * 2.0**-52


def _multiply_add(x: Tensor, span: Tensor, least: Tensor) -> Tensor:
    """x * span + least with one rounding in all, as the fused operation of XLA has it.

    The product's error is Dekker's (of halves that multiply exactly), the sum's is Knuth's.
    """
    if x.dtype == torch.float32:
        return (x.double() * span.double() + least.double()).float()  # float64 holds the product
    wide = span * (2.0**27 + 1)
    span_high = wide - (wide - span)
    span_low = span - span_high
    x_high = torch.floor(x * 2.0**26) * 2.0**-26
    x_low = x - x_high
    product = x * span
    error = (x_high * span_high - product) + x_high * span_low + x_low * span_high
    error = error + x_low * span_low
    total = product + least
    added = total - product
    error = error + ((product - (total - added)) + (least - added))
    return total + torch.nan_to_num(error, 0.0, 0.0, 0.0)  # a span over 1e300 overflows when split


def between(key: Tensor, shape: Shape, minval: Tensor, maxval: Tensor) -> Tensor:
    """max(minval, unit * (maxval - minval) + minval)."""
    return torch.maximum(minval, _multiply_add(unit(key, shape, minval.dtype), maxval - minval, minval))


def uniform(
    key: Key,
    shape: Shape = (),
    *,
    dtype: torch.dtype | None = None,
    minval: float | Floats = 0.0,
    maxval: float | Floats = 1.0,
) -> Floats:
    """Uniform numbers in [minval, maxval), in steps of (maxval - minval) 2**-23 (float64: 2**-52).

    Each is rounded to its dtype, which may reach maxval where the interval is narrow beside its distance
    from 0; in [0, 1) nothing is rounded.

    Args:
        minval: a finite number below maxval, or a tensor that broadcasts to `shape`.
        maxval: likewise.

    Raises:
        ValueError: if minval >= maxval.

    Example:
        >>> from funcsci import random
        >>> random.uniform(random.key(42), (3,), dtype=torch.float32)
        tensor([0.4887, 0.6798, 0.6163])

    Differs from: JAX, which takes minval >= maxval and returns minval.
    """
    check(key, shape, minval, maxval)
    dtype = floating(dtype)
    check_order("minval", minval, "maxval", maxval)
    numeric = {n: v for n, v in (("minval", minval), ("maxval", maxval)) if not isinstance(v, Tensor)}
    checks.finite(**numeric)
    if tuple(numeric.values()) == (0.0, 1.0):
        return unit(key, shape, dtype)
    return between(key, shape, bound(minval, key, dtype), bound(maxval, key, dtype))


def normal(key: Key, shape: Shape = (), *, dtype: torch.dtype | None = None) -> Floats:
    """Standard normal numbers, sqrt(2) erfinv(u) with u uniform in (-1, 1).

    Example:
        >>> from funcsci import random
        >>> random.normal(random.key(42), (3,), dtype=torch.float32)
        tensor([-0.0283,  0.4671,  0.2957])

    Differs from: JAX by rounding, at most 1e-6 (float32) or 1e-12 (float64).
    """
    check(key, shape)
    dtype = floating(dtype)
    least = -1.0 + (2.0**-24 if dtype == torch.float32 else 2.0**-53)
    return inverse_error(unit(key, shape, dtype) * 2.0 + least) * math.sqrt(2)


def truncated_normal(
    key: Key,
    lower: float | Floats,
    upper: float | Floats,
    shape: Shape | None = None,
    *,
    dtype: torch.dtype | None = None,
) -> Floats:
    """Standard normal numbers in (lower, upper): sqrt(2) erfinv(u), u uniform between the bounds' erf.

    Args:
        lower: below upper, minus infinity too. Beyond 4 (float64: 7) in one tail erf has no digits.
        upper: likewise.
        shape: None means that of the bounds.

    Raises:
        ValueError: if lower >= upper.

    Example:
        >>> from funcsci import random
        >>> random.truncated_normal(random.key(42), -1.0, 1.0, (3,), dtype=torch.float32)
        tensor([-0.0193,  0.3127,  0.2003])

    Differs from: JAX by rounding, as `normal`.
    """
    dtype = floating(dtype)
    check_order("lower", lower, "upper", upper)
    check(key, () if shape is None else shape, *(() if shape is None else (lower, upper)))
    low, high = bound(lower, key, dtype), bound(upper, key, dtype)
    shape = (low + high).shape if shape is None else shape
    u = between(key, shape, torch.erf(low / math.sqrt(2)), torch.erf(high / math.sqrt(2)))
    least = torch.nextafter(low.detach(), torch.full_like(low, math.inf))
    most = torch.nextafter(high.detach(), torch.full_like(high, -math.inf))
    return torch.minimum(torch.maximum(inverse_error(u) * math.sqrt(2), least), most)
