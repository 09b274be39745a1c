"""Transformer layers: attention among the positions, then a network at each of them."""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from funcsci import checks, random
from funcsci.nn.activations import Activation
from funcsci.nn.attention import Attended
from funcsci.nn.feed_forward import feed_forward
from funcsci.nn.initializers import Initializer
from funcsci.nn.key_values import KeyValues
from funcsci.nn.model import Model, Params, placed
from funcsci.nn.multi_head_attention import multi_head_attention
from funcsci.nn.norm import layer_norm, rms_norm
from funcsci.random import Key

T = TypeVar("T")


class TransformerLayer(NamedTuple):
    """One layer of a transformer, as pure functions.

    Its params have torch's names: `self_attn`, `linear1`, `linear2`, `norm1` and `norm2`.

    Attributes:
        init: `init(key, *, dtype=None, device=None) -> params`.
        apply: `apply(params, x, *, mask=None, return_weights=False, fused=False, last=None)` gives an
            `Attended`: the output has the shape of `x`, `(*batch, positions, width)`; the weights are those
            of its attention. With a number for `last`, only so many positions at the end are worked out.
        start: as in `MultiHeadAttention`, whose `KeyValues` are what a layer remembers.
        extend: `extend(params, x, past) -> (output, past)`, as there.
    """

    init: Callable[..., Params]
    apply: Callable[..., Attended]
    start: Callable[[Params, tuple[int, ...], int], KeyValues]
    extend: Callable[..., tuple[Tensor, KeyValues]]

    @property
    def model(self) -> Model:
        """The outputs alone, without a mask, for `nn.sequential`."""
        return Model(self.init, lambda params, x: self.apply(params, x).output)


def transformer_layer(
    width: int,
    heads: int,
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
) -> TransformerLayer:
    r"""A layer of a transformer, the encoder's without a mask and the decoder's with a causal one.

    After each part, as in the paper: $z = \mathrm{norm}(x + \mathrm{attention}(x))$, $y = \mathrm{norm}(z +
    \mathrm{network}(z))$. Before each part: $z = x + \mathrm{attention}(\mathrm{norm}(x))$, $y = z +
    \mathrm{network}(\mathrm{norm}(z))$, which trains without a warm-up.

    Args:
        width: size of the last dimension of `x`.
        heads: of the attention.
        hidden: width of the network at each position; None is `4 * width`.
        activation: of that network, a name in `ACTIVATIONS` or a function.
        gated: whether that network has a gate; see `feed_forward`.
        norm: `"layer"` or `"rms"`, by which the positions are normalised, or None: they are not.
        norm_first: whether to normalise before each part.
        eps: of the normalisation.
        bias: whether the maps and the normalisations have biases; that by `"rms"` has none.
        rotary: whether queries and keys are turned by their positions; see `rotary_positions`.
        weight_init: draws the weights of the network at each position; see `feed_forward`.

    Returns:
        A `TransformerLayer`, whose params are those of `torch.nn.TransformerEncoderLayer` by name and shape,
        and `gate` where there is one.

    Raises:
        TypeError: if a size is no integer, or the activation neither name nor function.
        ValueError: if a size is not positive, the heads do not divide the width, or the name is unknown; when
            applied, if `x` has another width, or the mask does not fit.

    Example:
        >>> import torch
        >>> from funcsci import nn, random
        >>> layer = nn.transformer_layer(16, 4)
        >>> params = layer.init(random.key(0))
        >>> layer.apply(params, torch.zeros(2, 10, 16), mask=nn.causal_mask(10)).output.shape
        torch.Size([2, 10, 16])

    Source: Vaswani et al. (2017), arXiv:1706.03762, section 3.1; Xiong et al. (2020), arXiv:2002.04745, for
        the normalisation before each part.

    Differs from: `torch.nn.TransformerEncoderLayer` in having no dropout, and the batch first.
    """
    checks.integer(least=1, width=width)
    attend = multi_head_attention(width, heads, bias=bias, rotary=rotary)
    network = feed_forward(
        width, hidden, activation=activation, gated=gated, bias=bias, weight_init=weight_init
    )
    norms = {} if norm is None else {name: norm_of(norm, width, eps, bias) for name in ("norm1", "norm2")}

    def init(
        key: Key, *, dtype: torch.dtype | None = None, device: str | torch.device | None = None
    ) -> Params:
        keys = random.split(placed(key, device))
        return {
            "self_attn": attend.init(keys[0], dtype=dtype),
            **network.init(keys[1], dtype=dtype),
            **{name: model.init(keys[0], dtype=dtype) for name, model in norms.items()},
        }

    def normalised(params: Params, name: str, x: Tensor) -> Tensor:
        return norms[name].apply(params[name], x) if norms else x

    def around(
        params: Params, x: Tensor, attention: Callable[[Tensor], tuple[Tensor, T]]
    ) -> tuple[Tensor, T]:
        """Both parts around one way to attend, which gives something besides, and maybe the end alone."""
        output, besides = attention(normalised(params, "norm1", x) if norm_first else x)
        x = x[..., -output.shape[-2] :, :] + output
        if norm_first:
            return x + network.apply(params, normalised(params, "norm2", x)), besides
        x = normalised(params, "norm1", x)
        return normalised(params, "norm2", x + network.apply(params, x)), besides

    def apply(
        params: Params,
        x: Float[Tensor, "..."],
        *,
        mask: Tensor | None = None,
        return_weights: bool = False,
        fused: bool = False,
        last: int | None = None,
    ) -> Attended:
        how = {"return_weights": return_weights, "fused": fused}

        def attention(x: Tensor) -> tuple[Tensor, Tensor | None]:
            if last is None:
                return attend.apply(params["self_attn"], x, mask=mask, **how)
            own = mask if mask is None or mask.shape[-2] == 1 else mask[..., -last:, :]
            return attend.apply(params["self_attn"], x[..., -last:, :], x, mask=own, **how)

        if last is not None:
            checks.integer(least=1, last=last)
        return Attended(*around(params, x, attention))

    def extend(params: Params, x: Float[Tensor, "..."], past: KeyValues) -> tuple[Tensor, KeyValues]:
        return around(params, x, lambda x: attend.extend(params["self_attn"], x, past))

    def start(params: Params, batch: tuple[int, ...], window: int) -> KeyValues:
        return attend.start(params["self_attn"], batch, window)

    return TransformerLayer(init, apply, start, extend)


def norm_of(kind: str, width: int, eps: float, bias: bool) -> Model:
    """The normalisation of that kind over the last dimension.

    Raises:
        ValueError: if the kind is unknown.
    """
    checks.one_of(("layer", "rms"), norm=kind)
    return layer_norm(width, eps=eps, bias=bias) if kind == "layer" else rms_norm(width, eps=eps)
