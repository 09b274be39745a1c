"""Layers of a transformer, one upon the other."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from funcsci import checks, random
from funcsci.nn.activations import Activation
from funcsci.nn.attention import Attended
from funcsci.nn.initializers import Initializer
from funcsci.nn.key_values import KeyValues
from funcsci.nn.model import Model, Params, placed
from funcsci.nn.transformer import norm_of, transformer_layer
from funcsci.random import Key


class TransformerStack(NamedTuple):
    """Layers of a transformer, as pure functions.

    Its params have torch's names: `layers`, a list, and `norm` where there is one at the end.

    Attributes:
        init: `init(key, *, dtype=None, device=None) -> params`.
        apply: `apply(params, x, *, mask=None, return_weights=False, fused=False, last=None)` gives an
            `Attended`, whose weights are those of all layers, shape `(layers, *batch, heads, positions,
            positions)`. With a number for `last`, the last layer works out only so many positions at the
            end, and no weights are given.
        start: `start(params, batch, window)`, empty `KeyValues` for each layer.
        extend: `extend(params, x, past) -> (output, past)`, the outputs at the next positions of a sequence,
            as in `MultiHeadAttention`, with the list of `KeyValues` for `past`.
    """

    init: Callable[..., Params]
    apply: Callable[..., Attended]
    start: Callable[[Params, tuple[int, ...], int], list[KeyValues]]
    extend: Callable[..., tuple[Tensor, list[KeyValues]]]

    @property
    def model(self) -> Model:
        """The outputs alone, without a mask, for `nn.sequential`."""
        return Model(self.init, lambda params, x: self.apply(params, x).output)


def transformer_stack(
    width: int,
    heads: int,
    layers: int,
    hidden: int | None = None,
    *,
    activation: str | Activation = "relu",
    gated: bool = False,
    norm: str | None = "layer",
    norm_first: bool = False,
    eps: float = 1e-5,
    bias: bool = True,
    rotary: bool = False,
    weight_init: Initializer | None = None,
) -> TransformerStack:
    """Layers of a transformer: an encoder without a mask, a decoder alone with a causal one.

    Where layers normalise before their parts, the sum at the end is normalised once more.

    Args:
        width: size of the last dimension of `x`.
        heads: of each attention.
        layers: how many.
        hidden: as in `transformer_layer`, which takes all the others too.
        activation: as there.
        gated: as there.
        norm: as there.
        norm_first: as there.
        eps: as there.
        bias: as there.
        rotary: as there.
        weight_init: as there.

    Returns:
        A `TransformerStack`, whose params are those of `torch.nn.TransformerEncoder` by name and shape.

    Raises:
        TypeError: as `transformer_layer`.
        ValueError: as `transformer_layer`; when applied, if params or past are of another number of layers.

    Example:
        What each of three layers looks at:

        >>> import torch
        >>> from funcsci import nn, random
        >>> stack = nn.transformer_stack(16, 4, layers=3)
        >>> params = stack.init(random.key(0))
        >>> x, mask = torch.zeros(2, 10, 16), nn.causal_mask(10)
        >>> stack.apply(params, x, mask=mask, return_weights=True).weights.shape
        torch.Size([3, 2, 4, 10, 10])

    Source: Vaswani et al. (2017), arXiv:1706.03762, section 3.1.
    """
    checks.integer(least=1, layers=layers)
    layer = transformer_layer(
        width, heads, hidden, activation=activation, gated=gated, norm=norm, norm_first=norm_first, eps=eps,
        bias=bias, rotary=rotary, weight_init=weight_init,
    )  # fmt: skip
    final = norm_of(norm, width, eps, bias) if norm is not None and norm_first else None

    def init(
        key: Key, *, dtype: torch.dtype | None = None, device: str | torch.device | None = None
    ) -> Params:
        keys = random.split(placed(key, device), layers)
        made = {"layers": [layer.init(one, dtype=dtype) for one in keys]}
        return made if final is None else {**made, "norm": final.init(key, dtype=dtype, device=device)}

    def finished(params: Params, x: Tensor) -> Tensor:
        return x if final is None else final.apply(params["norm"], x)

    def apply(
        params: Params,
        x: Float[Tensor, "..."],
        *,
        mask: Tensor | None = None,
        return_weights: bool = False,
        fused: bool = False,
        last: int | None = None,
    ) -> Attended:
        if last is not None and return_weights:
            raise ValueError(
                f"return_weights=True must come without last, for which layers differ in their positions. "
                f"Got last={last}. Try last=None."
            )
        maps: list[Tensor] = []
        for place, own in enumerate(params["layers"], 1):
            few = last if place == layers else None
            x, weights = layer.apply(own, x, mask=mask, return_weights=return_weights, fused=fused, last=few)
            maps += [] if weights is None else [weights]
        return Attended(finished(params, x), torch.stack(maps) if return_weights else None)

    def start(params: Params, batch: tuple[int, ...], window: int) -> list[KeyValues]:
        return [layer.start(own, batch, window) for own in params["layers"]]

    def extend(
        params: Params, x: Float[Tensor, "..."], past: list[KeyValues]
    ) -> tuple[Tensor, list[KeyValues]]:
        rolled = []
        for own, before in zip(params["layers"], past, strict=True):
            x, after = layer.extend(own, x, before)
            rolled.append(after)
        return finished(params, x), rolled

    return TransformerStack(init, apply, start, extend)
