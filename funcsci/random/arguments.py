"""What the functions of this room take: the types of their arguments, and the checks of them."""

import numbers
from collections.abc import Sequence
from typing import TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor

from funcsci import checks

Shape: TypeAlias = Sequence[int]
Floats: TypeAlias = Float[Tensor, "..."]
Integers: TypeAlias = Int[Tensor, "..."]

_INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)


def check(key: object, shape: object, *arguments: object) -> None:
    """The key is a key; `shape` is a sequence of sizes that each tensor argument broadcasts to."""
    law = "be an int64 tensor of shape (2,)"
    if not isinstance(key, Tensor):
        raise TypeError(checks.message(law, "key", key, "Try funcsci.random.key(0)."))
    if key.dtype != torch.int64 or key.shape != (2,):
        many = key.dim() > 1 and key.shape[-1] == 2
        remedy = "Map over many keys with torch.func.vmap." if many else "Try funcsci.random.key(0)."
        kind = ValueError if key.dtype == torch.int64 else TypeError
        raise kind(f"key must {law}. Got key of shape {tuple(key.shape)}, {key.dtype}. {remedy}")
    if not isinstance(shape, (tuple, list)):
        raise TypeError(checks.message("be a tuple of sizes", "shape", shape, f"Try shape=({shape},)."))
    for position, size in enumerate(shape):
        if type(size) is not int or size < 0:
            checks.integer(least=0, **{f"shape[{position}]": size})
    for wanted in (tuple(argument.shape) for argument in arguments if isinstance(argument, Tensor)):
        pairs = zip(reversed(wanted), reversed(shape), strict=False)
        if len(wanted) > len(shape) or any(size not in (1, whole) for size, whole in pairs):
            law = f"be one that an argument of shape {wanted} broadcasts to"
            raise ValueError(checks.message(law, "shape", tuple(shape), f"Try shape={wanted}."))


def check_kind(kind: str, name: str, value: object) -> None:
    """The value is a tensor of kind "a float" (float32 or float64) or "an integer"."""
    dtypes = _INTEGERS if kind == "an integer" else (torch.float32, torch.float64)
    if not isinstance(value, Tensor) or value.dtype not in dtypes:
        came = f"a tensor of {value.dtype}" if isinstance(value, Tensor) else repr(value)
        remedy = f"Try torch.as_tensor({name}, dtype={dtypes[0]})."
        raise TypeError(f"{name} must be {kind} tensor. Got {name}={came}. {remedy}")


def check_order(least: str, low: object, most: str, high: object) -> None:
    """`low` is below `high` where both are Python numbers."""
    for name, value in ((least, low), (most, high)):
        if not isinstance(value, numbers.Real | Tensor) or isinstance(value, bool):
            raise TypeError(checks.message("be a real number", name, value, f"Try {name}=1.0."))
    if isinstance(low, numbers.Real) and isinstance(high, numbers.Real) and not low < high:
        remedy = f"Try {least}={high!r}, {most}={low!r}." if low > high else f"Try a larger {most}."
        raise ValueError(checks.message(f"be below {most}={high!r}", least, low, remedy))


def length(name: str, x: int | Tensor, axis: int = 0) -> int:
    """How many slices a tensor has along an axis; an integer stands for itself."""
    if not isinstance(x, Tensor):
        checks.integer(least=0, **{name: x})
    elif not x.dim():
        raise ValueError(checks.message("be an integer or have an axis", name, x, f"Try int({name})."))
    rank = x.dim() if isinstance(x, Tensor) else 1
    checks.integer(axis=axis)
    if not -rank <= axis < rank:
        raise ValueError(checks.message(f"be one of the {rank} axes", "axis", axis, "Try axis=0."))
    return x.shape[axis] if isinstance(x, Tensor) else x


def floating(dtype: torch.dtype | None) -> torch.dtype:
    """The dtype of real draws: the one asked for, or torch's default."""
    chosen = torch.get_default_dtype() if dtype is None else dtype
    checks.floating(dtype=chosen)
    return chosen


def bound(value: float | Tensor, key: Tensor, dtype: torch.dtype) -> Tensor:
    """A number or a tensor as a tensor beside the key."""
    if isinstance(value, Tensor):
        return value.to(device=key.device, dtype=dtype)
    return torch.full((), value, dtype=dtype, device=key.device)
