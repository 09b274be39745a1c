"""Discrete distributions: integers, indices and choices from a key."""

import math

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from funcsci import checks
from funcsci.random.arguments import (
    Floats,
    Integers,
    Shape,
    bound,
    check,
    check_kind,
    check_order,
    floating,
    length,
)
from funcsci.random.continuous import unit
from funcsci.random.keys import MASK, Key, random_bits, split

_SIGN = -(2**63)


def _unsigned_remainder(x: Tensor, y: Tensor) -> Tensor:
    """x mod y of int64 bit patterns read as unsigned (+ _SIGN orders them so); y = 0 is 2**64."""
    divisor = torch.where(y > 0, y, 1)
    rest = x - (torch.div((x >> 1) & ~_SIGN, divisor, rounding_mode="floor") << 1) * divisor
    rest = torch.where(rest + _SIGN >= divisor + _SIGN, rest - divisor, rest)
    large = torch.where((y != 0) & (x + _SIGN >= y + _SIGN), x - y, x)  # y of 2**63 or more
    return torch.where(y > 0, rest, large)


def randint(
    key: Key,
    shape: Shape,
    minval: int | Integers,
    maxval: int | Integers,
    *,
    dtype: torch.dtype = torch.int32,
) -> Integers:
    """Integers in [minval, maxval): two words modulo the span, the high one weighted by 2**bits.

    Args:
        minval: an integer within the dtype, or an integer tensor that broadcasts to `shape`.
        maxval: likewise, at most one past the dtype. As tensors, an empty range gives minval, as in JAX.
        dtype: torch.int32, or torch.int64 (JAX's under jax_enable_x64; other numbers, larger spans).

    Raises:
        ValueError: if minval >= maxval.

    Example:
        >>> from funcsci import random
        >>> random.randint(random.key(42), (5,), 0, 10)
        tensor([4, 4, 1, 9, 9], dtype=torch.int32)
    """
    check(key, shape, minval, maxval)
    if dtype not in (torch.int32, torch.int64):
        raise ValueError(checks.message("be torch.int32 or torch.int64", "dtype", dtype, "Try torch.int64."))
    width = torch.iinfo(dtype).bits
    limit: int = 2 ** (width - 1)
    for name, value in (("minval", minval), ("maxval", maxval)):
        if isinstance(value, Tensor):
            check_kind("an integer", name, value)
            continue
        checks.integer(**{name: value})
        if not -limit <= value <= limit:
            remedy = "Try dtype=torch.int64." if width == 32 else f"Try {name}=0."
            raise ValueError(checks.message(f"be in reach of {dtype}", name, value, remedy))
    check_order("minval", minval, "maxval", maxval)
    low = bound(minval, key, torch.int64)
    if isinstance(minval, int) and isinstance(maxval, int):
        span = bound((maxval - minval + 2**63) % 2**64 - 2**63, key, torch.int64)
    else:
        high = bound(maxval, key, torch.int64).clamp(max=min(limit, 2**63 - 1))
        low = low.clamp(-limit, limit - 1)
        span = torch.where(high > low, high - low, 1)
    remainder, mask = (torch.remainder, MASK) if width == 32 else (_unsigned_remainder, -1)
    keys = split(key).T.unsqueeze(-1)  # (2 words, 2 keys, 1): both keys' numbers in one pass
    higher, lower = random_bits(keys, shape, width)
    weight = remainder(torch.full_like(span, 2 ** (width // 2)), span)
    weight = remainder(weight * weight & mask, span)
    offset = remainder(remainder(higher, span) * weight + remainder(lower, span) & mask, span)
    return (low + offset).to(dtype)


def permutation(key: Key, x: int | Shaped[Tensor, "..."], *, axis: int = 0) -> Shaped[Tensor, "..."]:
    """The numbers below `x`, or a tensor's slices along an axis, in random order (sorted by random words).

    Example:
        >>> from funcsci import random
        >>> random.permutation(random.key(42), 5)
        tensor([4, 2, 3, 0, 1])
    """
    check(key, ())
    size = length("x", x, axis)
    order = torch.arange(size, device=key.device)
    # As many rounds as make it unlikely that equal words, which keep their order, bias the result.
    for _ in range(math.ceil(3 * math.log(max(1, size)) / math.log(MASK))):
        key, subkey = split(key)
        order = order.gather(0, torch.sort(random_bits(subkey, (size,), 32), stable=True).indices)
    return x.index_select(axis, order) if isinstance(x, Tensor) else order


def bernoulli(key: Key, p: float | Floats = 0.5, shape: Shape | None = None) -> Bool[Tensor, "..."]:
    """True with probability p: uniform < p.

    Args:
        p: a number in [0, 1], or a tensor that broadcasts to `shape`.
        shape: None means that of p.

    Raises:
        ValueError: if p is no probability.

    Example:
        >>> from funcsci import random
        >>> random.bernoulli(random.key(42), 0.5, (3,))
        tensor([ True, False, False])
    """
    if isinstance(p, Tensor):
        check_kind("a float", "p", p)
    else:
        checks.finite(p=p)
        if not 0 <= p <= 1:
            raise ValueError(checks.message("lie between 0 and 1", "p", p, "Try p=0.5."))
    if shape is None:
        shape = p.shape if isinstance(p, Tensor) else ()
    check(key, shape, p)
    return unit(key, shape, p.dtype if isinstance(p, Tensor) else floating(None)) < p


def _gumbel(key: Tensor, shape: Shape, dtype: torch.dtype) -> Tensor:
    return -torch.log(-torch.log(unit(key, shape, dtype).clamp(min=torch.finfo(dtype).tiny)))


def categorical(key: Key, logits: Floats, *, axis: int = -1, shape: Shape | None = None) -> Integers:
    """Indices along an axis, with probabilities softmax(logits): argmax of logits + Gumbel noise.

    Args:
        shape: ends in the shape of the logits without `axis` (up to broadcasting); None means just that.

    Example:
        >>> from funcsci import random
        >>> random.categorical(random.key(42), torch.tensor([0.1, 0.2, 0.7]).log(), shape=(5,))
        tensor([2, 2, 2, 2, 1])
    """
    check_kind("a float", "logits", logits)
    classes, axis = length("logits", logits, axis), axis % max(logits.dim(), 1) - logits.dim()
    if not classes:
        raise ValueError(checks.message("hold at least one category", "logits", logits, "Try zeros(2)."))
    batch = logits.select(axis, 0)
    shape = batch.shape if shape is None else shape
    check(key, shape, batch)
    place = len(shape) + axis + 1
    noise = _gumbel(key, (*shape[:place], classes, *shape[place:]), logits.dtype)
    return torch.argmax(noise + logits, dim=axis)


def choice(
    key: Key,
    a: int | Shaped[Tensor, "outcomes ..."],
    shape: Shape = (),
    *,
    replace: bool = True,
    p: Float[Tensor, " outcomes"] | None = None,
) -> Shaped[Tensor, "..."]:
    """Draws from the numbers below `a`, or from a tensor's rows.

    Args:
        a: the number of outcomes, or a tensor of shape (outcomes, ...).
        replace: whether an outcome may be drawn again.
        p: probabilities, which sum to 1; None means equal ones.

    Returns:
        Draws, of shape (*shape, ...).

    Raises:
        ValueError: if more is drawn than there is.

    Example:
        >>> from funcsci import random
        >>> random.choice(random.key(42), 10, (3,), replace=False)
        tensor([7, 4, 2])
    """
    check(key, shape)
    count, draws = length("a", a), math.prod(shape)
    if draws and not count:
        raise ValueError(checks.message("hold at least one outcome", "a", a, "Try a=2."))
    if not replace and draws > count:
        law = f"hold at most {count} draws without replacement"
        raise ValueError(checks.message(law, "shape", tuple(shape), "Try replace=True."))
    if p is not None:
        check_kind("a float", "p", p)
        if p.shape != (count,):
            raise ValueError(checks.message(f"have shape ({count},)", "p", tuple(p.shape), "Match a."))
    if p is None:
        drawn = randint(key, shape, 0, max(count, 1)).long() if replace else permutation(key, count)[:draws]
    elif replace:
        total = p.cumsum(0)
        drawn = torch.searchsorted(total, total[-1] * (1 - unit(key, shape, p.dtype)))
    else:
        drawn = torch.topk(_gumbel(key, (count,), p.dtype) + p.log(), draws).indices
    if isinstance(a, Tensor):
        return a.index_select(0, drawn.reshape(-1)).reshape(*shape, *a.shape[1:])
    return drawn.reshape(tuple(shape))
