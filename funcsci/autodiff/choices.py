"""Rules of Taylor mode for choices, such as extremes and bounds, with torch's conventions at ties."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from funcsci.autodiff.elementwise import Slopes, aten, composed
from funcsci.autodiff.jet import Jet, added, linear, plain, product


def chosen(mask: Tensor, a: Any, b: Any) -> Any:
    """The entries of `a` where the mask is, and of `b` elsewhere."""
    if not isinstance(a, Jet) and not isinstance(b, Jet):
        return torch.where(mask, a, b)
    return added(masked(a, mask), masked(b, ~mask))


def masked(x: Any, mask: Tensor) -> Any:
    """The jet where the mask is, and zero elsewhere, whatever it is there."""
    if isinstance(x, Jet):
        return linear(x, lambda one: torch.where(mask, one, torch.zeros_like(one)), cheap=True)
    return torch.where(mask, x, torch.zeros_like(x) if isinstance(x, Tensor) else 0.0)


def _where(op: Any, condition: Any, a: Any, b: Any) -> Any:
    return chosen(plain(condition), a, b)


def _masked_fill(op: Any, x: Any, mask: Any, value: Any) -> Any:
    return chosen(plain(mask), _like(value, plain(x)), x)


def _like(bound: Any, x: Tensor) -> Any:
    return bound if isinstance(bound, Jet | Tensor) else torch.full_like(x, bound)


def _extreme(op: Any, a: Any, b: Any) -> Any:
    """At a tie half of each; beside a number that is none, all of each, as in torch."""
    x, y = plain(a), plain(b)
    below, above = (x < y, x > y) if op.overloadpacket is aten.maximum else (x > y, x < y)
    half = torch.where(x == y, 0.5, 1.0).to(x.dtype)
    both = product(added(masked(a, ~below), masked(b, ~above)), half)
    return both._replace(primal=op(x, y), stacked=None)


def _extreme_of_numbers(op: Any, a: Any, b: Any) -> Any:
    """Of `fmax` and `fmin`, which pass over what is no number; at a tie the first."""
    x, y = plain(a), plain(b)
    first = x >= y if op.overloadpacket is aten.fmax else x <= y
    return chosen(first | y.isnan(), a, b)


def _clamp(op: Any, x: Any, low: Any = None, high: Any = None, **bounds: Any) -> Any:
    for bound, above in ((bounds.get("min", low), True), (bounds.get("max", high), False)):
        if bound is not None:
            kept = plain(x) >= plain(bound) if above else plain(x) <= plain(bound)
            x = chosen(kept, x, _like(bound, plain(x)))
    return x


def _clamp_max(op: Any, x: Any, high: Any) -> Any:
    return _clamp(op, x, None, high)


def _flat(inside: Callable[..., Tensor]) -> Callable[..., Jet]:
    """A function of slope one where `inside(x, *numbers)` is, and zero elsewhere."""

    def rule(op: Any, x: Jet, *args: Any, **kwargs: Any) -> Jet:
        kept: Jet = masked(x, inside(x.primal, *args, **kwargs))
        return kept._replace(primal=op(x.primal, *args, **kwargs), stacked=None)

    return rule


def _within(x: Tensor, low: float = -1, high: float = 1) -> Tensor:
    return (x > low) & (x < high)


def _beyond(x: Tensor, lambd: float = 0.5) -> Tensor:
    return (x < -lambd) | (x > lambd)


def _above(x: Tensor, threshold: float, value: float) -> Tensor:
    return x > threshold


def _finite(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    return torch.isfinite(x)


def _number(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    return ~torch.isnan(x)


def _nansum(op: Any, x: Jet, dim: Any = None, keepdim: bool = False, **kwargs: Any) -> Jet:
    dims = list(range(x.primal.dim())) if dim is None else dim
    return linear(masked(x, _number(x.primal)), lambda one: one.sum(dims, keepdim=keepdim), cheap=True)


def _leaky(op: Any, x: Jet, slope: float = 0.01) -> Any:
    ones = torch.ones_like(x.primal)
    return product(x, torch.where(x.primal > 0, ones, slope * ones))


def _prelu(op: Any, x: Any, weight: Any) -> Any:
    return chosen(plain(x) > 0, x, product(weight, x))


def _copysign(op: Any, x: Any, sign: Any) -> Any:
    if not isinstance(x, Jet):
        return op(x, plain(sign))
    value = op(x.primal, plain(sign))
    same = torch.where(x.primal == 0, 0, value / x.primal)
    return product(x, same)._replace(primal=value, stacked=None)


def _elu(op: Any, x: Jet, alpha: float = 1, scale: float = 1, input_scale: float = 1) -> Any:
    def slopes(x: Tensor, y: Tensor, order: int) -> Slopes:
        bent = alpha * scale * torch.exp(torch.clamp(x, max=0) * input_scale)
        first = torch.where(x > 0, torch.full_like(x, scale), input_scale * bent)
        return [first, *(torch.where(x < 0, input_scale**k * bent, 0) for k in range(2, order + 1))]

    return composed(x, op(x.primal, alpha, scale, input_scale), slopes)


def _celu(op: Any, x: Jet, alpha: float = 1) -> Any:
    return _elu(aten.elu.default, x, alpha, 1, 1 / alpha)


def even_extreme(x: Jet, value: Tensor, dims: list[int], keepdim: bool) -> Jet:
    """The mean of the entries that have an extreme value, which is given with its dimensions kept."""
    there = x.primal == value
    share = there.to(x.primal.dtype) / there.sum(dims, keepdim=True)
    return linear(masked(x, there), lambda one: (one * share).sum(dims, keepdim=keepdim), cheap=True)


def dimensions(x: Tensor, dim: Any) -> list[int]:
    """The dimensions that are meant; all where none is named."""
    if dim is None or dim == []:
        return list(range(x.dim()))
    return [dim] if isinstance(dim, int) else list(dim)


def _even(op: Any, x: Jet, dim: Any = None, keepdim: bool = False) -> Jet:
    dims = dimensions(x.primal, dim)
    value = getattr(torch, op.overloadpacket.__name__)(x.primal, dim=dims, keepdim=True)
    return even_extreme(x, value, dims, keepdim)


def _both_extremes(op: Any, x: Jet, *, dim: int | None = None, keepdim: bool = False) -> list[Jet]:
    return [_even(one, x, dim, keepdim) for one in (aten.amin.default, aten.amax.default)]


def _picked(op: Any, x: Jet, *args: Any, **kwargs: Any) -> Any:
    """Entries that their values choose, as `sort`, `max` along a dimension and `median` do."""
    found = op(x.primal, *args, **kwargs)
    if isinstance(found, Tensor):  # of all entries
        return even_extreme(x, found, dimensions(x.primal, None), False)
    values, indices = found
    names = [one.name for one in op._schema.arguments]
    given = {**dict(zip(names[1:], args, strict=False)), **kwargs}
    dim = given.get("dim", -1)
    gone = values.dim() < x.primal.dim()
    places = indices.unsqueeze(dim) if gone else indices

    def pick(one: Tensor) -> Tensor:
        kept = torch.gather(one, dim, places)
        return kept.squeeze(dim) if gone else kept

    return [linear(x, pick, cheap=True), indices]


CHOICES: dict[Any, Callable[..., Any]] = {
    aten.where: _where,
    aten.masked_fill: _masked_fill,
    aten.maximum: _extreme,
    aten.minimum: _extreme,
    aten.fmax: _extreme_of_numbers,
    aten.fmin: _extreme_of_numbers,
    aten.clamp: _clamp,
    aten.clamp_min: _clamp,
    aten.clamp_max: _clamp_max,
    aten.hardtanh: _flat(_within),
    aten.hardshrink: _flat(_beyond),
    aten.softshrink: _flat(_beyond),
    aten.threshold: _flat(_above),
    aten.nan_to_num: _flat(_finite),
    aten.nansum: _nansum,
    aten.leaky_relu: _leaky,
    aten._prelu_kernel: _prelu,
    aten.copysign: _copysign,
    aten.elu: _elu,
    aten.celu: _celu,
    aten.amax: _even,
    aten.amin: _even,
    aten.aminmax: _both_extremes,
    **dict.fromkeys(
        (
            *(aten.max, aten.min, aten.median, aten.nanmedian, aten.mode),
            *(aten.sort, aten.topk, aten.kthvalue, aten.cummax, aten.cummin),
        ),
        _picked,
    ),
}
"""Rules by operation."""
