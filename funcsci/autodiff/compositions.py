"""Rules of Taylor mode for operations that are made of simpler ones on jets."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from funcsci.autodiff import jet as jets
from funcsci.autodiff.elementwise import ELEMENTWISE, Slopes, aten, gelu_slopes, power_slopes, softplus_slopes
from funcsci.autodiff.jet import Jet, added, bilinear, linear, plain


def _product(*factors: Any) -> Any:
    """The product of each entry, of jets, tensors and numbers."""
    total = factors[0]
    for factor in factors[1:]:
        total = bilinear(total, factor, torch.mul, cheap=True)
    return total


def _unary(packet: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
    """A function of each entry that is in the table of slopes."""
    if not isinstance(x, Jet):
        return packet(x, *args, **kwargs)
    return composed(x, packet(x.primal, *args, **kwargs), ELEMENTWISE[packet])


def composed(x: Jet, y: Tensor, slopes: Callable[[Tensor, Tensor, int], Slopes]) -> Jet:
    """A function of each entry, given its values and how to find its derivatives."""
    return jets.elementwise(x, y, slopes(x.primal, y, x.layout.highest))


def _divide(op: Any, a: Any, b: Any, *, rounding_mode: str | None = None) -> Any:
    if rounding_mode is not None:
        return op(plain(a), plain(b), rounding_mode=rounding_mode)
    if not isinstance(b, Jet):
        return linear(a, lambda one: one / b, cheap=True)
    return _product(a, _unary(aten.reciprocal, b))


def _power(op: Any, a: Any, b: Any) -> Any:
    if isinstance(b, Jet) or (isinstance(b, Tensor) and b.dim()):
        base = a if isinstance(a, Jet | Tensor) else torch.full_like(plain(b), a)
        return _unary(aten.exp, _product(_unary(aten.log, base), b))
    if isinstance(b, Tensor):
        return composed(a, a.primal**b, lambda x, y, order: _tensor_power(x, b, order))
    return _product(a, a) if b == 2 else composed(a, a.primal**b, power_slopes(float(b)))


def _tensor_power(x: Tensor, exponent: Tensor, order: int) -> Slopes:
    found: Slopes = []
    factor, left = torch.ones_like(exponent), exponent
    for _ in range(order):
        factor, left = factor * left, left - 1
        found.append(factor * x**left)
    return found


def _softplus(op: Any, x: Jet, beta: float = 1, threshold: float = 20) -> Any:
    scaled = x if beta == 1 else _product(x, beta)
    value = torch.nn.functional.softplus(scaled.primal, 1.0, threshold)
    y = jets.elementwise(scaled, value, softplus_slopes(scaled.primal, threshold))
    return y if beta == 1 else _product(y, 1 / beta)


def _log_sigmoid(op: Any, x: Jet) -> list[Any]:
    value, buffer = op(x.primal)
    s: Any = softplus_slopes(-x.primal, math.inf)
    return [jets.elementwise(x, value, [s[0], -s[1], s[2], -s[3]]), buffer]


def _mish(op: Any, x: Jet) -> Any:
    return _product(x, _unary(aten.tanh, _softplus(op, x)))


def _gelu(op: Any, x: Jet, *, approximate: str = "none") -> Any:
    if approximate == "none":
        return composed(x, op(x.primal), gelu_slopes)
    return _product(x, 0.5, added(_gelu_wave(x), 1.0))


def _gelu_wave(x: Any) -> Any:
    return _unary(aten.tanh, _product(added(_product(x, x, x, 0.044715), x), math.sqrt(2 / math.pi)))


def _elu(op: Any, x: Jet, alpha: float = 1, scale: float = 1, input_scale: float = 1) -> Any:
    def slopes(x: Tensor, y: Tensor, order: int) -> Slopes:
        bent = alpha * scale * torch.exp(torch.clamp(x, max=0) * input_scale)
        return [
            torch.where(x > 0, torch.full_like(x, scale if k == 1 else 0), input_scale**k * bent)
            for k in range(1, order + 1)
        ]

    return composed(x, op(x.primal, alpha, scale, input_scale), slopes)


def _celu(op: Any, x: Jet, alpha: float = 1) -> Any:
    return _elu(aten.elu.default, x, alpha, 1, 1 / alpha)


def _leaky(op: Any, x: Jet, slope: float = 0.01) -> Any:
    ones = torch.ones_like(x.primal)
    return _product(x, torch.where(x.primal > 0, ones, slope * ones))


def _tanh_backward(op: Any, g: Any, y: Any) -> Any:
    return _product(g, added(1.0, _product(y, y), -1))


def _sigmoid_backward(op: Any, g: Any, y: Any) -> Any:
    return _product(g, y, added(1.0, y, -1))


def _threshold_backward(op: Any, g: Any, x: Any, threshold: float) -> Any:
    return _product(g, (plain(x) > threshold).to(plain(x).dtype))


def _softplus_backward(op: Any, g: Any, x: Any, beta: float, threshold: float) -> Any:
    scaled = _product(x, beta)
    straight = plain(scaled) > threshold
    return _product(g, _where(op, straight, torch.ones_like(plain(x)), _unary(aten.sigmoid, scaled)))


def _log_sigmoid_backward(op: Any, g: Any, x: Any, buffer: Any) -> Any:
    return _product(g, _unary(aten.sigmoid, _product(x, -1)))


def _silu_backward(op: Any, g: Any, x: Any) -> Any:
    s = _unary(aten.sigmoid, x)
    return _product(g, added(s, _product(x, s, added(1.0, s, -1))))


def _gelu_backward(op: Any, g: Any, x: Any, *, approximate: str = "none") -> Any:
    if approximate == "none":
        whole = _product(added(_unary(aten.erf, _product(x, math.sqrt(0.5))), 1.0), 0.5)
        density = _product(_unary(aten.exp, _product(x, x, -0.5)), 1 / math.sqrt(2 * math.pi))
        return _product(g, added(whole, _product(x, density)))
    wave = _gelu_wave(x)
    inner = _product(added(_product(x, x, 3 * 0.044715), 1.0), math.sqrt(2 / math.pi))
    bent = _product(x, 0.5, added(1.0, _product(wave, wave), -1), inner)
    return _product(g, added(_product(added(wave, 1.0), 0.5), bent))


def _elu_backward(
    op: Any, g: Any, alpha: float, scale: float, input_scale: float, is_result: bool, x: Any
) -> Any:
    # exp must not overflow where it is not chosen
    low = _where(op, plain(x) > 0, torch.zeros_like(plain(x)), x)
    bent = (
        added(low, alpha * scale)
        if is_result
        else _product(_unary(aten.exp, _product(low, input_scale)), alpha * scale)
    )
    return _product(
        g, _where(op, plain(x) > 0, torch.full_like(plain(x), scale), _product(bent, input_scale))
    )


def _leaky_backward(op: Any, g: Any, x: Any, slope: float, is_result: bool) -> Any:
    ones = torch.ones_like(plain(x))
    return _product(g, torch.where(plain(x) > 0, ones, slope * ones))


def _addcmul(op: Any, a: Any, b: Any, c: Any, *, value: float = 1) -> Any:
    return added(a, _product(b, c), value)


def _addcdiv(op: Any, a: Any, b: Any, c: Any, *, value: float = 1) -> Any:
    return added(a, _product(b, _unary(aten.reciprocal, c)), value)


def _atan2(op: Any, y: Any, x: Any) -> Any:
    """The angle, by whichever of the two quotients is not above one."""
    steep = plain(y).abs() > plain(x).abs()
    ratio = _where(op, steep, x, y)
    divisor = _where(op, steep, y, x)
    angle = _unary(
        aten.atan,
        _product(ratio, _unary(aten.reciprocal, divisor) if isinstance(divisor, Jet) else 1 / divisor),
    )
    turned = _product(angle, torch.where(steep, -1.0, 1.0).to(plain(y).dtype))
    return turned._replace(primal=op(plain(y), plain(x)))


def _hypot(op: Any, a: Any, b: Any) -> Any:
    return _unary(aten.sqrt, added(_product(a, a), _product(b, b)))


def _where(op: Any, condition: Any, a: Any, b: Any) -> Any:
    chosen = plain(condition)
    if not isinstance(a, Jet) and not isinstance(b, Jet):
        return torch.where(chosen, a, b)
    return added(_masked(a, chosen), _masked(b, ~chosen))


def _masked(x: Any, mask: Tensor) -> Any:
    """The jet where the mask is, and zero elsewhere, whatever it is there."""
    if isinstance(x, Jet):
        return linear(x, lambda one: torch.where(mask, one, torch.zeros_like(one)), cheap=True)
    return torch.where(mask, x, torch.zeros_like(x) if isinstance(x, Tensor) else 0.0)


def _extreme(op: Any, a: Any, b: Any) -> Any:
    larger = op.overloadpacket is aten.maximum
    return _where(op, plain(a) >= plain(b) if larger else plain(a) <= plain(b), a, b)


def _clamp(op: Any, x: Jet, low: Any = None, high: Any = None, **bounds: Any) -> Any:
    for bound, above in ((bounds.get("min", low), True), (bounds.get("max", high), False)):
        if bound is not None:
            kept = x.primal >= plain(bound) if above else x.primal <= plain(bound)
            x = _where(
                op, kept, x, bound if isinstance(bound, Jet | Tensor) else torch.full_like(x.primal, bound)
            )
    return x


def _clamp_max(op: Any, x: Jet, high: Any) -> Any:
    return _clamp(op, x, None, high)


def _softmax(op: Any, x: Jet, dim: int, half_to_float: bool) -> Any:
    bare = _unary(aten.exp, added(x, -x.primal.amax(dim, keepdim=True)))
    return _product(bare, _unary(aten.reciprocal, _summed(bare, dim, keepdim=True)))


def _log_softmax(op: Any, x: Jet, dim: int, half_to_float: bool) -> Any:
    shifted = added(x, -x.primal.amax(dim, keepdim=True))
    return added(shifted, _unary(aten.log, _summed(_unary(aten.exp, shifted), dim, keepdim=True)), -1)


def _logsumexp(op: Any, x: Jet, dim: Any, keepdim: bool = False) -> Any:
    bare = _unary(aten.exp, added(x, -x.primal.amax(dim, keepdim=True)))
    return added(_unary(aten.log, _summed(bare, dim, keepdim)), x.primal.amax(dim, keepdim=keepdim))


def _norm(op: Any, x: Jet, ord: float = 2, dim: Any = None, keepdim: bool = False, **kwargs: Any) -> Any:
    if ord != 2:
        raise NotImplementedError(
            f"A norm in Taylor mode must be of order 2. Got order {ord}. Write it with abs, pow and sum, "
            "or use derivatives='nested'."
        )
    dims = list(range(x.primal.dim())) if dim is None else dim
    return _unary(aten.sqrt, _summed(_product(x, x), dims, keepdim))


def _variance(
    op: Any, x: Jet, dim: Any = None, *, correction: float | None = None, keepdim: bool = False
) -> Any:
    dims = list(range(x.primal.dim())) if dim is None else dim
    mean = linear(x, lambda one: one.mean(dims, keepdim=True), cheap=True)
    off = added(x, mean, -1)
    count = math.prod(x.primal.shape[one] for one in dims) - (1 if correction is None else correction)
    return _product(_summed(_product(off, off), dims, keepdim), 1 / count)


def _deviation(op: Any, x: Jet, dim: Any = None, **kwargs: Any) -> Any:
    return _unary(aten.sqrt, _variance(op, x, dim, **kwargs))


def _layer_norm(op: Any, x: Any, shape: Any, weight: Any, bias: Any, eps: float) -> list[Any]:
    dims = list(range(-len(shape), 0))
    off = added(x, linear(x, lambda one: one.mean(dims, keepdim=True), cheap=True), -1)
    spread = linear(_product(off, off), lambda one: one.mean(dims, keepdim=True), cheap=True)
    y = _product(off, _unary(aten.rsqrt, added(spread, eps)))
    y = y if weight is None else _product(y, weight)
    return [y if bias is None else added(y, bias)]


def _softmax_backward(op: Any, g: Any, y: Any, dim: int, dtype: Any) -> Any:
    both = _product(g, y)
    return added(both, _product(_summed(both, dim, keepdim=True), y), -1)


def _log_softmax_backward(op: Any, g: Any, y: Any, dim: int, dtype: Any) -> Any:
    total = _summed(g, dim, keepdim=True) if isinstance(g, Jet) else g.sum(dim, keepdim=True)
    return added(g, _product(_unary(aten.exp, y), total), -1)


def _lerp(op: Any, a: Any, b: Any, weight: Any) -> Any:
    return added(a, _product(added(b, a, -1), weight))


def _frac(op: Any, x: Jet) -> Jet:
    return x._replace(primal=op(x.primal), stacked=None)


def _remainder(op: Any, x: Any, divisor: Any) -> Any:
    quotient = torch.floor(plain(x) / plain(divisor))
    return added(x, _product(divisor, quotient), -1)


def _masked_fill(op: Any, x: Any, mask: Any, value: Any) -> Any:
    return _where(
        op, plain(mask), value if isinstance(value, Jet | Tensor) else torch.full_like(plain(x), value), x
    )


def _prod(op: Any, x: Jet, dim: int | None = None, keepdim: bool = False, **kwargs: Any) -> Any:
    """One factor after the other, so that zeros do no harm."""
    if dim is None:
        x, dim, keepdim = linear(x, lambda one: one.reshape(-1), cheap=True), 0, False

    def factor(place: int) -> Jet:
        return linear(x, lambda one: one.select(dim, place), cheap=True)

    total = _product(*map(factor, range(x.primal.shape[dim])))
    return linear(total, lambda one: one.unsqueeze(dim), cheap=True) if keepdim else total


def _summed(x: Jet, dim: int | list[int], keepdim: bool = False) -> Jet:
    return linear(x, lambda one: one.sum(dim, keepdim=keepdim), cheap=True)


COMPOSITIONS: dict[Any, Callable[..., Any]] = {
    aten.div: _divide,
    aten.pow: _power,
    aten.addcmul: _addcmul,
    aten.addcdiv: _addcdiv,
    aten.atan2: _atan2,
    aten.hypot: _hypot,
    aten.where: _where,
    aten.maximum: _extreme,
    aten.minimum: _extreme,
    aten.clamp: _clamp,
    aten.hardtanh: _clamp,
    aten.clamp_min: _clamp,
    aten.clamp_max: _clamp_max,
    aten.softplus: _softplus,
    aten.log_sigmoid_forward: _log_sigmoid,
    aten.mish: _mish,
    aten.gelu: _gelu,
    aten.elu: _elu,
    aten.celu: _celu,
    aten.leaky_relu: _leaky,
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
    aten.linalg_vector_norm: _norm,
    aten.var: _variance,
    aten.std: _deviation,
    aten.native_layer_norm: _layer_norm,
    aten._softmax_backward_data: _softmax_backward,
    aten._log_softmax_backward_data: _log_softmax_backward,
    aten.lerp: _lerp,
    aten.frac: _frac,
    aten.remainder: _remainder,
    aten.masked_fill: _masked_fill,
    aten.prod: _prod,
}
"""Rules by operation."""
