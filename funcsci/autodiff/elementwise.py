"""Derivatives of functions of each entry, up to the fourth, by aten operation."""

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import Tensor

from funcsci.autodiff.jet import Jet, elementwise

aten = torch.ops.aten

Slopes: TypeAlias = list[Tensor | None]
"""The first four derivatives or fewer; None is zero."""


def _tanh(x: Tensor, y: Tensor, order: int) -> Slopes:
    d1 = 1 - y * y
    if order == 1:
        return [d1]
    d2 = -2 * y * d1
    if order == 2:
        return [d1, d2]
    d3 = -2 * (d1 * d1 + y * d2)
    return [d1, d2, d3, -6 * d1 * d2 - 2 * y * d3]


def _sigmoid(x: Tensor, y: Tensor, order: int) -> Slopes:
    d1 = y * (1 - y)
    t = 1 - 2 * y
    d2 = d1 * t
    d3 = d2 * t - 2 * d1 * d1
    return [d1, d2, d3, d3 * t - 6 * d1 * d2]


def _sin(x: Tensor, y: Tensor, order: int) -> Slopes:
    c = torch.cos(x)
    return [c, -y, -c, y]


def _cos(x: Tensor, y: Tensor, order: int) -> Slopes:
    s = torch.sin(x)
    return [-s, -y, s, y]


def _exp(x: Tensor, y: Tensor, order: int) -> Slopes:
    return [y, y, y, y]


def _expm1(x: Tensor, y: Tensor, order: int) -> Slopes:
    return [y + 1] * 4


def _exp2(x: Tensor, y: Tensor, order: int) -> Slopes:
    return [math.log(2) ** k * y for k in (1, 2, 3, 4)]


def _log_of(factor: float, shift: float) -> Callable[[Tensor, Tensor, int], Slopes]:
    def log(x: Tensor, y: Tensor, order: int) -> Slopes:
        r = 1 / (x + shift) if shift else 1 / x
        r2 = r * r
        return [factor * r, -factor * r2, 2 * factor * r2 * r, -6 * factor * r2 * r2]

    return log


def power_slopes(exponent: float) -> Callable[[Tensor, Tensor, int], Slopes]:
    """Of a constant power; an integer one ends after as many derivatives."""

    def power(x: Tensor, y: Tensor, order: int) -> Slopes:
        slopes: Slopes = []
        factor, left = 1.0, exponent
        for _ in range(order):
            factor, left = factor * left, left - 1
            slopes.append(
                None if factor == 0 else torch.full_like(x, factor) if left == 0 else factor * x**left
            )
        return slopes

    return power


def _reciprocal(x: Tensor, y: Tensor, order: int) -> Slopes:
    y2 = y * y
    return [-y2, 2 * y2 * y, -6 * y2 * y2, 24 * y2 * y2 * y]


def _tan(x: Tensor, y: Tensor, order: int) -> Slopes:
    d1 = 1 + y * y
    d2 = 2 * y * d1
    d3 = 2 * (d1 * d1 + y * d2)
    return [d1, d2, d3, 6 * d1 * d2 + 2 * y * d3]


def _sinh(x: Tensor, y: Tensor, order: int) -> Slopes:
    c = torch.cosh(x)
    return [c, y, c, y]


def _cosh(x: Tensor, y: Tensor, order: int) -> Slopes:
    s = torch.sinh(x)
    return [s, y, s, y]


def _from_first(a: Tensor, p: float, sign: float, x: Tensor) -> Slopes:
    r"""Of a function with $f' = a^p$, where $a = c \pm x^2$ and so $a' = 2 s x$."""
    d1 = a**p
    da, dda = 2 * sign * x, 2 * sign
    q = d1 / a
    d2 = p * q * da
    d3 = p * ((p - 1) * q / a * da * da + q * dda)
    d4 = p * (p - 1) * (q / a) * ((p - 2) / a * da * da * da + 3 * da * dda)
    return [d1, d2, d3, d4]


def _asin(x: Tensor, y: Tensor, order: int) -> Slopes:
    return _from_first(1 - x * x, -0.5, -1.0, x)


def _acos(x: Tensor, y: Tensor, order: int) -> Slopes:
    return [None if one is None else -one for one in _asin(x, y, order)]


def _atan(x: Tensor, y: Tensor, order: int) -> Slopes:
    return _from_first(1 + x * x, -1.0, 1.0, x)


def _asinh(x: Tensor, y: Tensor, order: int) -> Slopes:
    return _from_first(1 + x * x, -0.5, 1.0, x)


def _acosh(x: Tensor, y: Tensor, order: int) -> Slopes:
    return _from_first(x * x - 1, -0.5, 1.0, x)


def _atanh(x: Tensor, y: Tensor, order: int) -> Slopes:
    return _from_first(1 - x * x, -1.0, -1.0, x)


def _gaussian_slopes(d1: Tensor, x: Tensor, rate: float) -> Slopes:
    r"""Of a function with $f' \propto e^{-c x^2}$."""
    d2 = -2 * rate * x * d1
    d3 = -2 * rate * (d1 + x * d2)
    return [d1, d2, d3, -2 * rate * (2 * d2 + x * d3)]


def _erf(x: Tensor, y: Tensor, order: int) -> Slopes:
    return _gaussian_slopes(2 / math.sqrt(math.pi) * torch.exp(-x * x), x, 1.0)


def _erfc(x: Tensor, y: Tensor, order: int) -> Slopes:
    return _gaussian_slopes(-2 / math.sqrt(math.pi) * torch.exp(-x * x), x, 1.0)


def softplus_slopes(x: Tensor, threshold: float) -> Slopes:
    """Of `softplus`, the identity above a threshold; at it torch bends the first derivative alone."""
    s = torch.sigmoid(x)
    higher = [None if one is None else torch.where(x < threshold, one, 0) for one in _sigmoid(x, s, 3)[:3]]
    return [torch.where(x > threshold, torch.ones_like(x), s), *higher]


def _silu(x: Tensor, y: Tensor, order: int) -> Slopes:
    s = torch.sigmoid(x)
    d: Any = _sigmoid(x, s, 4)
    return [s + x * d[0], 2 * d[0] + x * d[1], 3 * d[1] + x * d[2], 4 * d[2] + x * d[3]]


def gelu_slopes(x: Tensor, y: Tensor, order: int) -> Slopes:
    """Of the exact `gelu`."""
    phi = torch.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
    p: Any = _gaussian_slopes(phi, x, 0.5)
    whole = 0.5 * (1 + torch.erf(x / math.sqrt(2)))
    return [whole + x * phi, 2 * phi + x * p[1], 3 * p[1] + x * p[2], 4 * p[2] + x * p[3]]


def _abs(x: Tensor, y: Tensor, order: int) -> Slopes:
    return [torch.sign(x), None, None, None]


def _relu(x: Tensor, y: Tensor, order: int) -> Slopes:
    return [(x > 0).to(x.dtype), None, None, None]


def _lgamma(x: Tensor, y: Tensor, order: int) -> Slopes:
    return [torch.digamma(x), *(torch.polygamma(k, x) for k in range(1, order))]


def _digamma(x: Tensor, y: Tensor, order: int) -> Slopes:
    return [torch.polygamma(k, x) for k in range(1, order + 1)]


def _erfinv(x: Tensor, y: Tensor, order: int) -> Slopes:
    d1 = 0.5 * math.sqrt(math.pi) * torch.exp(y * y)
    d2 = 2 * y * d1 * d1
    d3 = 2 * d1 * d1 * d1 + 4 * y * d1 * d2
    return [d1, d2, d3, 10 * d1 * d1 * d2 + 4 * y * (d2 * d2 + d1 * d3)]


def _entr(x: Tensor, y: Tensor, order: int) -> Slopes:
    r = 1 / x
    return [-torch.log(x) - 1, -r, r * r, -2 * r * r * r]


def _hardswish(x: Tensor, y: Tensor, order: int) -> Slopes:
    inner = (x > -3) & (x < 3)
    straight = torch.where(inner, x / 3 + 0.5, (x >= 3).to(x.dtype))
    return [straight, inner.to(x.dtype) / 3, None, None]


def _hardsigmoid(x: Tensor, y: Tensor, order: int) -> Slopes:
    return [((x > -3) & (x < 3)).to(x.dtype) / 6, None, None, None]


ELEMENTWISE: dict[Any, Callable[[Tensor, Tensor, int], Slopes]] = {
    aten.tanh: _tanh,
    aten.sigmoid: _sigmoid,
    aten.sin: _sin,
    aten.cos: _cos,
    aten.exp: _exp,
    aten.expm1: _expm1,
    aten.exp2: _exp2,
    aten.log: _log_of(1.0, 0.0),
    aten.log1p: _log_of(1.0, 1.0),
    aten.log2: _log_of(1 / math.log(2), 0.0),
    aten.log10: _log_of(1 / math.log(10), 0.0),
    aten.sqrt: power_slopes(0.5),
    aten.rsqrt: power_slopes(-0.5),
    aten.square: power_slopes(2.0),
    aten.reciprocal: _reciprocal,
    aten.tan: _tan,
    aten.sinh: _sinh,
    aten.cosh: _cosh,
    aten.asin: _asin,
    aten.acos: _acos,
    aten.atan: _atan,
    aten.asinh: _asinh,
    aten.acosh: _acosh,
    aten.atanh: _atanh,
    aten.erf: _erf,
    aten.erfc: _erfc,
    aten.silu: _silu,
    aten.abs: _abs,
    aten.relu: _relu,
    aten.hardswish: _hardswish,
    aten.hardsigmoid: _hardsigmoid,
    aten.lgamma: _lgamma,
    aten.digamma: _digamma,
    aten.erfinv: _erfinv,
    aten.special_entr: _entr,
}
"""`slopes(x, f(x), order)` by operation, for those that have one tensor for their argument."""
SINGULAR = {
    *(aten.log, aten.log1p, aten.log2, aten.log10, aten.sqrt, aten.rsqrt, aten.reciprocal),
    *(aten.asin, aten.acos, aten.acosh, aten.atanh, aten.erfinv, aten.special_entr),
}
"""Those that have infinite slopes somewhere."""


def unary(packet: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
    """A function of each entry that is in `ELEMENTWISE`, of a jet or a constant."""
    if not isinstance(x, Jet):
        return packet(x, *args, **kwargs)
    slopes, singular = ELEMENTWISE[packet], packet in SINGULAR
    return composed(x, packet(x.primal, *args, **kwargs), slopes, singular=singular)


def composed(
    x: Jet, y: Tensor, slopes: Callable[[Tensor, Tensor, int], Slopes], *, singular: bool = False
) -> Jet:
    """A function of each entry, given its values and its derivatives, which may be infinite if singular."""
    return elementwise(x, y, slopes(x.primal, y, x.layout.highest), singular=singular)
