"""Rules of Taylor mode for powers, norms and deviations, with torch's conventions at zero."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from funcsci.autodiff.choices import dimensions, even_extreme, masked
from funcsci.autodiff.elementwise import Slopes, aten, composed, power_slopes, unary
from funcsci.autodiff.jet import Jet, added, combined, linear, plain, product


def _power(op: Any, a: Any, b: Any) -> Any:
    if isinstance(b, Jet):
        return _power_of_both(a if isinstance(a, Jet | Tensor) else torch.full_like(b.primal, a), b)
    if isinstance(b, Tensor):
        value = op(a.primal, b)
        a = _spread(a, value)
        return composed(a, value, lambda x, y, order: _tensor_power(x, b, order), singular=True)
    return product(a, a) if b == 2 else composed(a, op(a.primal, b), power_slopes(float(b)), singular=True)


def _spread(x: Any, like: Tensor) -> Any:
    """A jet, or a constant, at the shape of a result."""
    return linear(x, lambda one: one.expand(like.shape), cheap=True) if isinstance(x, Jet) else x


def _tensor_power(x: Tensor, exponent: Tensor, order: int) -> Slopes:
    """Of powers that are constant tensors; of an integer one, derivatives end."""
    found: Slopes = []
    factor, left = torch.ones_like(exponent), exponent
    for _ in range(order):
        factor, left = factor * left, left - 1
        # Where the factor is zero no infinity may arise, which would spoil derivatives of this one.
        power = torch.where(factor == 0, torch.zeros_like(left), left)
        found.append(torch.where(factor == 0, 0, factor * x**power))
    return found


def _power_of_both(a: Any, b: Jet) -> Jet:
    """By the logarithm of a positive base; as a constant power of others, where the exponent stands still."""
    value = plain(a) ** b.primal
    a, b = _spread(a, value), _spread(b, value)
    x, y = plain(a), b.primal
    positive = (x > 0) | ((x == 0) & (y < 0))
    base = added(masked(a, positive), (~positive).to(x.dtype))
    by_log = unary(aten.exp, product(unary(aten.log, base), b))
    still = (
        composed(a, value, lambda x, _, order: _tensor_power(x, y, order), singular=True)
        if isinstance(a, Jet)
        else None
    )
    parts: list[Tensor | None] = []
    for place, (order, moved) in enumerate(_moved(b)):
        one = by_log.parts[place]
        other = None if still is None else still.parts[place]
        other = torch.zeros_like(value) if other is None else other
        # Where x is 0, x^y has no derivatives by y as long as there are powers of x left.
        tame = (x == 0) & ((y > order - 1) | ((y == 0) & (order == 1)))
        if still is None:
            tame = (x == 0) & (y >= 0)
        unlike = torch.where(moved & ~tame, math.nan, other)
        parts.append(torch.where(positive, torch.zeros_like(value) if one is None else one, unlike))
    return Jet(b.layout, value, tuple(parts))


def _moved(jet: Jet) -> list[tuple[int, Tensor]]:
    """For each part its order, and where it or one of a lower order in its directions is not zero."""
    layout, found = jet.layout, []
    still = torch.zeros_like(jet.primal, dtype=torch.bool)

    def moves(place: int) -> Tensor:
        part = jet.parts[place]
        return still if part is None else part != 0

    for bundle, one in enumerate(layout.bundles):
        moved = still
        for order in range(1, one.order + 1):
            moved = moved | moves(layout.place(bundle, order))
            found.append((order, moved))
    for which, each in enumerate(layout.sums):
        moved = moves(layout.place_of_sum(which))
        for bundle, _ in each.weights:
            for order in range(1, each.order):
                rows = moves(layout.place(bundle, order))
                moved = moved | (rows.any(0, keepdim=True) if rows is not still else still)
        found.append((each.order, moved))
    return found


def _root_slopes(x: Tensor, y: Tensor, order: int) -> Slopes:
    """Of a square root whose first derivative is zero at zero, as torch has it for norms."""
    return [_flat_root_slopes(x, y, 1)[0], *power_slopes(0.5)(x, y, order)[1:]]


def _flat_root_slopes(x: Tensor, y: Tensor, order: int) -> Slopes:
    """Of a square root that is flat at zero, as torch has it for deviations."""
    there = y != 0
    away = torch.where(there, x, 1)  # from zero, so that no infinity spoils derivatives of the slopes
    return [None if one is None else masked(one, there) for one in power_slopes(0.5)(away, y, order)]


def summed(x: Jet, dim: int | list[int], keepdim: bool = False) -> Jet:
    """The sum over some dimensions."""
    return linear(x, lambda one: one.sum(dim, keepdim=keepdim), cheap=True)


def _hypot(op: Any, a: Any, b: Any) -> Any:
    """The larger of the two is taken out, so that no square is too large or too small."""
    size = torch.maximum(plain(a).abs(), plain(b).abs())
    size = torch.where((size > 0) & torch.isfinite(size), size, 1.0).to(size.dtype)
    a, b = product(a, 1 / size), product(b, 1 / size)
    root = product(unary(aten.sqrt, added(product(a, a), product(b, b))), size)
    return root


def _norm(op: Any, x: Jet, ord: float = 2, dim: Any = None, keepdim: bool = False, **kwargs: Any) -> Any:
    dims = dimensions(x.primal, dim)
    if ord == 2:
        total = summed(product(x, x), dims, keepdim)
        return composed(total, op(x.primal, ord, dim, keepdim, **kwargs), _root_slopes)
    sizes = unary(aten.abs, x)
    if math.isinf(ord):
        extreme = torch.amax if ord > 0 else torch.amin
        return even_extreme(sizes, extreme(sizes.primal, dim=dims, keepdim=True), dims, keepdim)
    if ord == 1:
        return summed(sizes, dims, keepdim)
    if ord == 0:
        return op(x.primal, ord, dim, keepdim)
    powers = composed(sizes, sizes.primal**ord, power_slopes(float(ord)))
    powers = masked(powers, sizes.primal != 0) if ord < 1 else powers
    total = summed(powers, dims, keepdim)
    there = total.primal != 0
    return masked(
        composed(
            added(total, (~there).to(total.primal.dtype)), total.primal ** (1 / ord), power_slopes(1 / ord)
        ),
        there,
    )


def _variance(
    op: Any, x: Jet, dim: Any = None, *, correction: float | None = None, keepdim: bool = False
) -> Any:
    dims = dimensions(x.primal, dim)
    mean = linear(x, lambda one: one.mean(dims, keepdim=True), cheap=True)
    off = added(x, mean, -1)
    count = math.prod(x.primal.shape[one] for one in dims) - (1 if correction is None else correction)
    return product(summed(product(off, off), dims, keepdim), 1 / count if count > 0 else math.inf)


def _deviation(op: Any, x: Jet, dim: Any = None, **kwargs: Any) -> Any:
    variance = _variance(op, x, dim, **kwargs)
    return composed(variance, torch.std(x.primal, dim, **kwargs), _flat_root_slopes)


def _with_mean(rule: Callable[..., Any]) -> Callable[..., list[Any]]:
    """A variance or deviation, and the mean."""

    def both(op: Any, x: Jet, dim: Any = None, *, correction: Any = None, keepdim: bool = False) -> list[Any]:
        dims = dimensions(x.primal, dim)
        mean = linear(x, lambda one: one.mean(dims, keepdim=keepdim), cheap=True)
        return [rule(op, x, dim, correction=correction, keepdim=keepdim), mean]

    return both


def _log_product(log: Any) -> Callable[..., Any]:
    """`x log y`, which is zero where both are; the derivative by x is zero there too."""

    def rule(op: Any, a: Any, b: Any) -> Any:
        both = (plain(a) == 0) & (plain(b) <= (0 if log is aten.log else -1))
        logarithm = unary(log, b if isinstance(b, Jet | Tensor) else torch.full_like(plain(a), b))
        if isinstance(logarithm, Jet):
            logarithm = logarithm._replace(primal=masked(logarithm.primal, ~both), stacked=None)
        else:
            logarithm = masked(logarithm, ~both)
        return product(a, logarithm)

    return rule


def _sum_of_exponentials(op: Any, a: Any, b: Any) -> Any:
    """`log(exp(a) + exp(b))`, of base two for `logaddexp2`."""
    factor = math.log(2) if op.overloadpacket is aten.logaddexp2 else 1.0
    value = op(plain(a), plain(b))
    top = torch.where(torch.isfinite(value), value, 0)
    shifted = [unary(aten.exp, product(added(one, top, -1), factor)) for one in (a, b)]
    return product(unary(aten.log, added(*shifted)), 1 / factor)._replace(primal=value, stacked=None)


def _prod(op: Any, x: Jet, dim: int | None = None, keepdim: bool = False, **kwargs: Any) -> Any:
    """One factor after the other, so that zeros do no harm."""
    if dim is None:
        x, dim, keepdim = linear(x, lambda one: one.reshape(-1), cheap=True), 0, False
    total = product(*_factors(x, dim))
    return linear(total, lambda one: one.unsqueeze(dim), cheap=True) if keepdim else total


def _cumulative_product(op: Any, x: Jet, dim: int, **kwargs: Any) -> Any:
    found: list[Any] = []
    for factor in _factors(x, dim):
        found.append(product(found[-1], factor) if found else factor)
    return combined(found, lambda *ones: torch.stack(ones, dim))


def _factors(x: Jet, dim: int) -> list[Jet]:
    def factor(place: int) -> Jet:
        return linear(x, lambda one: one.select(dim, place), cheap=True)

    return [factor(place) for place in range(x.primal.shape[dim])]


POWERS: dict[Any, Callable[..., Any]] = {
    aten.pow: _power,
    aten.hypot: _hypot,
    aten.linalg_vector_norm: _norm,
    aten.var: _variance,
    aten.std: _deviation,
    aten.var_mean: _with_mean(_variance),
    aten.std_mean: _with_mean(_deviation),
    aten.xlogy: _log_product(aten.log),
    aten.special_xlog1py: _log_product(aten.log1p),
    aten.logaddexp: _sum_of_exponentials,
    aten.logaddexp2: _sum_of_exponentials,
    aten.prod: _prod,
    aten.cumprod: _cumulative_product,
}
"""Rules by operation."""
