"""Rules of Taylor mode for operations that are made of simpler ones on jets."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from funcsci.autodiff import jet as jets
from funcsci.autodiff.choices import CHOICES, chosen, masked
from funcsci.autodiff.elementwise import (
    Slopes,
    aten,
    composed,
    gelu_slopes,
    softplus_slopes,
    unary,
)
from funcsci.autodiff.jet import Jet, added, linear, plain, product, with_first
from funcsci.autodiff.powers import POWERS, summed


def _divide(op: Any, a: Any, b: Any, *, rounding_mode: str | None = None) -> Any:
    if rounding_mode is not None:
        return op(plain(a), plain(b), rounding_mode=rounding_mode)
    if not isinstance(b, Jet):
        return linear(a, lambda one: one / b, cheap=True)
    return product(a, unary(aten.reciprocal, b))


def _softplus(op: Any, x: Jet, beta: float = 1, threshold: float = 20) -> Any:
    scaled = x if beta == 1 else product(x, beta)
    value = torch.nn.functional.softplus(scaled.primal, 1.0, threshold)
    y = jets.elementwise(scaled, value, softplus_slopes(scaled.primal, threshold))
    return y if beta == 1 else product(y, 1 / beta)


def _log_sigmoid(op: Any, x: Jet) -> list[Any]:
    value, buffer = op(x.primal)
    s: Any = softplus_slopes(-x.primal, math.inf)
    return [jets.elementwise(x, value, [s[0], -s[1], s[2], -s[3]]), buffer]


def _mish(op: Any, x: Jet) -> Any:
    return product(x, unary(aten.tanh, _softplus(op, x)))


def _gelu(op: Any, x: Jet, *, approximate: str = "none") -> Any:
    if approximate == "none":
        return composed(x, op(x.primal), gelu_slopes)
    return product(x, 0.5, added(_gelu_wave(x), 1.0))


def _gelu_wave(x: Any) -> Any:
    return unary(aten.tanh, product(added(product(x, x, x, 0.044715), x), math.sqrt(2 / math.pi)))


def _tanh_backward(op: Any, g: Any, y: Any) -> Any:
    return product(g, added(1.0, product(y, y), -1))


def _sigmoid_backward(op: Any, g: Any, y: Any) -> Any:
    return product(g, y, added(1.0, y, -1))


def _threshold_backward(op: Any, g: Any, x: Any, threshold: float) -> Any:
    return product(g, (plain(x) > threshold).to(plain(x).dtype))


def _softplus_backward(op: Any, g: Any, x: Any, beta: float, threshold: float) -> Any:
    scaled = product(x, beta)
    straight = plain(scaled) > threshold
    return product(g, chosen(straight, torch.ones_like(plain(x)), unary(aten.sigmoid, scaled)))


def _log_sigmoid_backward(op: Any, g: Any, x: Any, buffer: Any) -> Any:
    return product(g, unary(aten.sigmoid, product(x, -1)))


def _silu_backward(op: Any, g: Any, x: Any) -> Any:
    s = unary(aten.sigmoid, x)
    return product(g, added(s, product(x, s, added(1.0, s, -1))))


def _gelu_backward(op: Any, g: Any, x: Any, *, approximate: str = "none") -> Any:
    if approximate == "none":
        whole = product(added(unary(aten.erf, product(x, math.sqrt(0.5))), 1.0), 0.5)
        density = product(unary(aten.exp, product(x, x, -0.5)), 1 / math.sqrt(2 * math.pi))
        return product(g, added(whole, product(x, density)))
    wave = _gelu_wave(x)
    inner = product(added(product(x, x, 3 * 0.044715), 1.0), math.sqrt(2 / math.pi))
    bent = product(x, 0.5, added(1.0, product(wave, wave), -1), inner)
    return product(g, added(product(added(wave, 1.0), 0.5), bent))


def _elu_backward(
    op: Any, g: Any, alpha: float, scale: float, input_scale: float, is_result: bool, x: Any
) -> Any:
    # exp must not overflow where it is not chosen
    low = chosen(plain(x) > 0, torch.zeros_like(plain(x)), x)
    bent = (
        added(low, alpha * scale)
        if is_result
        else product(unary(aten.exp, product(low, input_scale)), alpha * scale)
    )
    return product(g, chosen(plain(x) > 0, torch.full_like(plain(x), scale), product(bent, input_scale)))


def _leaky_backward(op: Any, g: Any, x: Any, slope: float, is_result: bool) -> Any:
    ones = torch.ones_like(plain(x))
    return product(g, torch.where(plain(x) > 0, ones, slope * ones))


def _addcmul(op: Any, a: Any, b: Any, c: Any, *, value: float = 1) -> Any:
    return added(a, product(b, c), value)


def _addcdiv(op: Any, a: Any, b: Any, c: Any, *, value: float = 1) -> Any:
    return added(a, product(b, unary(aten.reciprocal, c)), value)


def _atan2(op: Any, y: Any, x: Any) -> Any:
    """The angle, by whichever of the two quotients is not above one."""
    steep = plain(y).abs() > plain(x).abs()
    ratio = chosen(steep, x, y)
    divisor = chosen(steep, y, x)
    angle = unary(
        aten.atan,
        product(ratio, unary(aten.reciprocal, divisor) if isinstance(divisor, Jet) else 1 / divisor),
    )
    turned = product(angle, torch.where(steep, -1.0, 1.0).to(plain(y).dtype))
    there = (plain(y) != 0) | (plain(x) != 0)  # torch has no first derivatives at the origin
    return with_first(turned, lambda part: masked(part, there))._replace(primal=op(plain(y), plain(x)))


def _softmax(op: Any, x: Jet, dim: int, half_to_float: bool) -> Any:
    bare = unary(aten.exp, added(x, -x.primal.amax(dim, keepdim=True)))
    return product(bare, unary(aten.reciprocal, summed(bare, dim, keepdim=True)))


def _log_softmax(op: Any, x: Jet, dim: int, half_to_float: bool) -> Any:
    shifted = added(x, -x.primal.amax(dim, keepdim=True))
    return added(shifted, unary(aten.log, summed(unary(aten.exp, shifted), dim, keepdim=True)), -1)


def _logsumexp(op: Any, x: Jet, dim: Any, keepdim: bool = False) -> Any:
    bare = unary(aten.exp, added(x, -x.primal.amax(dim, keepdim=True)))
    return added(unary(aten.log, summed(bare, dim, keepdim)), x.primal.amax(dim, keepdim=keepdim))


def _layer_norm(op: Any, x: Any, shape: Any, weight: Any, bias: Any, eps: float) -> list[Any]:
    dims = list(range(-len(shape), 0))
    off = added(x, linear(x, lambda one: one.mean(dims, keepdim=True), cheap=True), -1)
    spread = linear(product(off, off), lambda one: one.mean(dims, keepdim=True), cheap=True)
    y = product(off, unary(aten.rsqrt, added(spread, eps)))
    y = y if weight is None else product(y, weight)
    return [y if bias is None else added(y, bias)]


def _softmax_backward(op: Any, g: Any, y: Any, dim: int, dtype: Any) -> Any:
    both = product(g, y)
    return added(both, product(summed(both, dim, keepdim=True), y), -1)


def _log_softmax_backward(op: Any, g: Any, y: Any, dim: int, dtype: Any) -> Any:
    total = summed(g, dim, keepdim=True) if isinstance(g, Jet) else g.sum(dim, keepdim=True)
    return added(g, product(unary(aten.exp, y), total), -1)


def _lerp(op: Any, a: Any, b: Any, weight: Any) -> Any:
    return added(a, product(added(b, a, -1), weight))


def _frac(op: Any, x: Jet) -> Jet:
    return x._replace(primal=op(x.primal), stacked=None)


def _remainder(op: Any, x: Any, divisor: Any) -> Any:
    whole = torch.floor if op.overloadpacket is aten.remainder else torch.trunc
    left = added(x, product(divisor, whole(plain(x) / plain(divisor))), -1)
    return left._replace(primal=op(plain(x), plain(divisor)), stacked=None)


def _logit(op: Any, x: Jet, eps: float | None = None) -> Any:
    def slopes(x: Tensor, y: Tensor, order: int) -> Slopes:
        p, q = 1 / x, 1 / (1 - x)
        inside = torch.ones_like(x) if eps is None else ((x >= eps) & (x <= 1 - eps)).to(x.dtype)
        return [inside * one for one in (p + q, q**2 - p**2, 2 * (p**3 + q**3), 6 * (q**4 - p**4))]

    return composed(x, op(x.primal, eps), slopes)


def _polygamma(op: Any, order: int, x: Jet) -> Any:
    return composed(
        x, op(order, x.primal), lambda x, y, most: [torch.polygamma(order + k, x) for k in range(1, most + 1)]
    )


def _reduced(x: Jet, reduction: int) -> Jet:
    """As losses are: each alone, their mean or their sum."""
    if reduction == 0:
        return x
    return linear(x, lambda one: one.mean() if reduction == 1 else one.sum(), cheap=True)


def _mse(op: Any, a: Any, b: Any, reduction: int = 1) -> Any:
    off = added(a, b, -1)
    return _reduced(product(off, off), reduction)


def _huber(op: Any, a: Any, b: Any, reduction: int = 1, delta: float = 1.0) -> Any:
    """At the corner the first derivative is that of both sides, and the second zero, as in torch."""

    def slopes(x: Tensor, y: Tensor, order: int) -> Slopes:
        inside = ((x > -delta) & (x < delta)).to(x.dtype)
        return [x.clamp(-delta, delta), inside, None, None]

    off = added(a, b, -1)
    return _reduced(composed(off, op(plain(a), plain(b), 0, delta), slopes), reduction)


def _smooth_l1(op: Any, a: Any, b: Any, reduction: int = 1, beta: float = 1.0) -> Any:
    return product(_huber(aten.huber_loss, a, b, reduction, beta), 1 / beta)


COMPOSITIONS: dict[Any, Callable[..., Any]] = {
    **CHOICES,
    **POWERS,
    aten.div: _divide,
    aten.addcmul: _addcmul,
    aten.addcdiv: _addcdiv,
    aten.atan2: _atan2,
    aten.softplus: _softplus,
    aten.log_sigmoid_forward: _log_sigmoid,
    aten.mish: _mish,
    aten.gelu: _gelu,
    aten.tanh_backward: _tanh_backward,
    aten.sigmoid_backward: _sigmoid_backward,
    aten.threshold_backward: _threshold_backward,
    aten.softplus_backward: _softplus_backward,
    aten.silu_backward: _silu_backward,
    aten.log_sigmoid_backward: _log_sigmoid_backward,
    aten.gelu_backward: _gelu_backward,
    aten.elu_backward: _elu_backward,
    aten.leaky_relu_backward: _leaky_backward,
    aten._softmax: _softmax,
    aten._log_softmax: _log_softmax,
    aten.logsumexp: _logsumexp,
    aten.native_layer_norm: _layer_norm,
    aten._softmax_backward_data: _softmax_backward,
    aten._log_softmax_backward_data: _log_softmax_backward,
    aten.lerp: _lerp,
    aten.frac: _frac,
    aten.remainder: _remainder,
    aten.fmod: _remainder,
    aten.logit: _logit,
    aten.polygamma: _polygamma,
    aten.mse_loss: _mse,
    aten.huber_loss: _huber,
    aten.smooth_l1_loss: _smooth_l1,
}
"""Rules by operation."""
