"""Transformer layers: attention among the positions, then a network at each of them."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from funcsci import checks, random
from funcsci.nn.activations import Activation
from funcsci.nn.activations import activation as activation_of
from funcsci.nn.attention import Attended, multi_head_attention
from funcsci.nn.linear import linear
from funcsci.nn.model import Model, Params, placed
from funcsci.nn.norm import layer_norm
from funcsci.random import Key


class TransformerLayer(NamedTuple):
    """One layer of a transformer, as pure functions.

    Its params have torch's names: `self_attn`, `linear1`, `linear2`, `norm1` and `norm2`.

    Attributes:
        init: `init(key, *, dtype=None, device=None) -> params`.
        apply: `apply(params, x, *, mask=None, return_weights=False, fused=False)` gives an `Attended`: the
            output has the shape of `x`, `(*batch, positions, width)`; the weights are those of its
            attention.
    """

    init: Callable[..., Params]
    apply: Callable[..., Attended]

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
    norm_first: bool = False,
    eps: float = 1e-5,
    bias: bool = True,
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
        norm_first: whether to normalise before each part.
        eps: of the normalisation.
        bias: whether the maps and the normalisations have biases.

    Returns:
        A `TransformerLayer`, whose params are those of `torch.nn.TransformerEncoderLayer` by name and shape.

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
    hidden = 4 * width if hidden is None else hidden
    checks.integer(least=1, width=width, hidden=hidden)
    sigma = activation_of(activation)
    attend = multi_head_attention(width, heads, bias=bias)
    parts: dict[str, Model] = {
        "linear1": linear(width, hidden, bias=bias),
        "linear2": linear(hidden, width, bias=bias),
        "norm1": layer_norm(width, eps=eps, bias=bias),
        "norm2": layer_norm(width, eps=eps, bias=bias),
    }

    def init(
        key: Key, *, dtype: torch.dtype | None = None, device: str | torch.device | None = None
    ) -> Params:
        first, *others = random.split(placed(key, device), 1 + len(parts))
        made = {name: parts[name].init(one, dtype=dtype) for name, one in zip(parts, others, strict=True)}
        return {"self_attn": attend.init(first, dtype=dtype), **made}

    def apply(
        params: Params,
        x: Float[Tensor, "..."],
        *,
        mask: Tensor | None = None,
        return_weights: bool = False,
        fused: bool = False,
    ) -> Attended:
        def part(name: str, x: Tensor) -> Tensor:
            return parts[name].apply(params[name], x)

        def attention(x: Tensor) -> Attended:
            return attend.apply(params["self_attn"], x, mask=mask, return_weights=return_weights, fused=fused)

        def network(x: Tensor) -> Tensor:
            return part("linear2", sigma(part("linear1", x)))

        if norm_first:
            output, weights = attention(part("norm1", x))
            x = x + output
            return Attended(x + network(part("norm2", x)), weights)
        output, weights = attention(x)
        x = part("norm1", x + output)
        return Attended(part("norm2", x + network(x)), weights)

    return TransformerLayer(init, apply)


def sinusoidal_positions(
    positions: int,
    width: int,
    *,
    longest: float = 10_000.0,
    dtype: torch.dtype | None = None,
    device: str | torch.device | None = None,
) -> Float[Tensor, "positions width"]:
    r"""Waves that tell positions apart, $\sin(t / L^{2 i / w})$ and $\cos(t / L^{2 i / w})$ in turn.

    Args:
        positions: how many, $t = 0, 1, \dots$.
        width: $w$, how many numbers for each; even.
        longest: $L$; the wavelengths go from $2 \pi$ to nearly $2 \pi L$ positions.
        dtype: of the result; None is torch's default.
        device: where it goes.

    Returns:
        What is added to the inputs of the first layer.

    Raises:
        TypeError: if a number is of the wrong kind.
        ValueError: if one is not positive, or the width is odd.

    Example:
        >>> sinusoidal_positions(2, 2)
        tensor([[0.0000, 1.0000],
                [0.8415, 0.5403]])

    Source: Vaswani et al. (2017), arXiv:1706.03762, section 3.5.
    """
    checks.integer(least=1, positions=positions, width=width)
    checks.positive(longest=longest)
    if width % 2:
        must = "be even, a sine and a cosine for each wavelength"
        raise ValueError(checks.message(must, "width", width, f"Try width={width + 1}."))
    dtype = torch.get_default_dtype() if dtype is None else dtype
    checks.floating(dtype=dtype)
    place = torch.arange(positions, dtype=torch.float64, device=device)[:, None]
    rate = longest ** (-torch.arange(0, width, 2, dtype=torch.float64, device=device) / width)
    return torch.stack([torch.sin(place * rate), torch.cos(place * rate)], -1).flatten(-2).to(dtype)
