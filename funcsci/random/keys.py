"""Keys and the words that come from them: Threefry-2x32 in plain int64 tensor arithmetic.

Source: Salmon, Moraes, Dror, Shaw (2011), Parallel random numbers: as easy as 1, 2, 3,
doi:10.1145/2063384.2063405.
"""

import math
from typing import TypeAlias

import torch
from jaxtyping import Int, Int64
from torch import Tensor

from funcsci import checks
from funcsci.random.arguments import Shape, bound, check, check_kind

Key: TypeAlias = Int64[Tensor, "2"]
"""Two words of 32 bits, as a key of JAX: all randomness of a call comes from one."""

MASK = 0xFFFFFFFF
"""The low 32 bits."""
_TWICE = (1 << 32) + 1  # a 32-bit word times this is the word written twice, so that one shift rotates it
_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))


def threefry(key: Tensor, low: Tensor | int) -> tuple[Tensor, Tensor]:
    """Threefry-2x32, 20 rounds: the two words for the counter (0, low); `key` has shape (2, ...)."""
    first, second = key[0], key[1]
    # A tensor, for torch 2.1 cannot trace an exclusive or with a Python number.
    schedule = (first, second, first ^ second ^ torch.full_like(first, 0x1BD11BDA))
    left, right = first, (second + low) & MASK
    for group in range(5):
        for rotation in _ROTATIONS[group % 2]:
            left = left + right  # may pass 32 bits; only its low word is ever used
            right = ((right * _TWICE >> (32 - rotation)) ^ left) & MASK
        left = left + schedule[(group + 1) % 3]
        right = (right + (schedule[(group + 2) % 3] + (group + 1))) & MASK
    return left & MASK, right


def words(key: Tensor, shape: Shape) -> tuple[Tensor, Tensor]:
    """Two words for each element of `shape`, from its row-major index; `key` (2,) or (2, keys, 1)."""
    left, right = threefry(key, torch.arange(math.prod(shape), device=key.device))
    full = (*key.shape[1:-1], *shape)
    return left.reshape(full), right.reshape(full)


def random_bits(key: Tensor, shape: Shape, bit_width: int) -> Tensor:
    """`bits` without its checks; `key` as in `words`."""
    high, low = words(key, shape)
    return high ^ low if bit_width == 32 else (high << 32) | low


def key(seed: int, *, device: str | torch.device | None = None) -> Key:
    """The key of a seed: its high and its low 32 bits, a negative one in two's complement.

    Raises:
        ValueError: if the seed is not in [-2**63, 2**63), or `device` cannot be read as a device.
        RuntimeError: if there is no such device here.

    Example:
        >>> from funcsci import random
        >>> random.key(42)
        tensor([ 0, 42])

    Differs from: JAX without jax_enable_x64, which drops the high 32 bits of a seed.
    """
    checks.integer(seed=seed)
    if not -(2**63) <= seed < 2**63:
        raise ValueError(checks.message("be a 64-bit integer", "seed", seed, f"Try seed={seed % 2**32}."))
    if device is not None:
        checks.device(device=device, abstract=True)
    return torch.tensor([(seed >> 32) & MASK, seed & MASK], dtype=torch.int64, device=device)


def split(key: Key, num: int = 2) -> Int64[Tensor, "{num} 2"]:
    """`num` new keys, independent of each other; the old key is not to be used again.

    Example:
        >>> from funcsci import random
        >>> random.split(random.key(42))
        tensor([[1832780943,  270669613],
                [  64467757, 2916123636]])
    """
    check(key, ())
    checks.integer(least=0, num=num)
    return torch.stack(words(key, (num,)), dim=-1)  # (num, 2)


def fold_in(key: Key, data: int | Int[Tensor, ""]) -> Key:
    """A new key from a key and a number, such as a step or the index of a layer.

    It is `split(key, num)[data]` for any larger num, as in JAX: do not use both on one key.

    Args:
        data: an integer in [0, 2**32), or a 0-d integer tensor (its low 32 bits count), also a traced one.

    Example:
        >>> from funcsci import random
        >>> random.fold_in(random.key(42), 1)
        tensor([  64467757, 2916123636])
    """
    check(key, ())
    if isinstance(data, Tensor):
        check_kind("an integer", "data", data)
        if data.dim():
            remedy = "Map over many numbers with torch.func.vmap."
            raise ValueError(checks.message("be a 0-d tensor", "data", tuple(data.shape), remedy))
        return torch.stack(threefry(key, bound(data, key, torch.int64)))
    checks.integer(data=data)
    if not 0 <= data <= MASK:
        raise ValueError(checks.message("be in [0, 2**32)", "data", data, f"Try data={data & MASK}."))
    return torch.stack(threefry(key, data))


def bits(key: Key, shape: Shape = (), *, bit_width: int = 32) -> Int64[Tensor, "..."]:
    """Random words: 32 bits as numbers in [0, 2**32), or 64 bits as the bit pattern of an int64.

    Example:
        >>> from funcsci import random
        >>> random.bits(random.key(42), (2,))
        tensor([2098992034, 2919706841])
    """
    check(key, shape)
    if bit_width not in (32, 64):
        raise ValueError(checks.message("be 32 or 64", "bit_width", bit_width, "Try bit_width=32."))
    return random_bits(key, shape, bit_width)
