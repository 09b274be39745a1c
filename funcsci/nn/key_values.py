"""What attention remembers of the positions that have passed, so that none is worked through twice."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from funcsci import checks


class KeyValues(NamedTuple):
    """Keys and values of the latest positions, a window that rolls along.

    Attributes:
        keys: shape `(*batch, heads, window, features)`, the latest last, not turned by their positions.
        values: the same shape.
        seen: how many positions have passed, shape (); those of the window before them are not looked at.
    """

    keys: Float[Tensor, "*batch heads window features"]
    values: Float[Tensor, "*batch heads window features"]
    seen: Int[Tensor, ""]

    @property
    def window(self) -> int:
        """How many positions are kept."""
        return self.keys.shape[-2]

    def followed_by(self, keys: Tensor, values: Tensor) -> tuple["KeyValues", Tensor, Tensor]:
        """The window after more positions, and the keys and values of both together."""
        all_keys, all_values = torch.cat([self.keys, keys], -2), torch.cat([self.values, values], -2)
        more = keys.shape[-2]
        # Copies: a view would have other strides than the window before it, and need another program.
        kept, held = (x[..., more:, :].contiguous() for x in (all_keys, all_values))
        return KeyValues(kept, held, self.seen + more), all_keys, all_values


def no_key_values(shape: tuple[int, ...], like: Tensor) -> KeyValues:
    """An empty window of the shape `(*batch, heads, window, features)`.

    Args:
        shape: of keys and values.
        like: decides dtype and device.

    Raises:
        TypeError: if a size is no integer.
        ValueError: if one is negative.

    Example:
        >>> import torch
        >>> no_key_values((2, 4, 49, 16), torch.zeros(())).window
        49
    """
    checks.integer(least=0, **{f"shape[{place}]": size for place, size in enumerate(shape)})
    zeros = like.new_zeros(shape)
    return KeyValues(zeros, zeros, torch.zeros((), dtype=torch.int64, device=like.device))
