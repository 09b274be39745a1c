"""Attention with several heads, at once or position by position."""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from funcsci import checks, random
from funcsci.nn import initializers
from funcsci.nn.attention import Attended, attention, causal_mask, check_positions
from funcsci.nn.key_values import KeyValues, no_key_values
from funcsci.nn.linear import check_features
from funcsci.nn.model import Params, placed
from funcsci.nn.positions import rotary_positions
from funcsci.random import Key


class MultiHeadAttention(NamedTuple):
    """Attention with several heads, as pure functions.

    Its params are torch's: `in_proj_weight`, shape `(3 * width, width)`, with the rows of queries, keys and
    values in this order, `in_proj_bias`, and `out_proj` with `weight` and `bias`.

    Attributes:
        init: `init(key, *, dtype=None, device=None) -> params`.
        apply: `apply(params, query, memory=None, *, mask=None, return_weights=False, fused=False)` gives an
            `Attended`. `query` has the shape `(*batch, queries, width)`; `memory`, shape `(*batch, keys,
            width)`, is what is looked at, None the queries themselves. The rest is as in `attention`.
        start: `start(params, batch, window) -> past`, empty `KeyValues` for the shape of the batch
            dimensions and a window of so many positions.
        extend: `extend(params, x, past) -> (output, past)`, the outputs at the next positions of a sequence,
            `x` of shape `(*batch, positions, width)`. Each looks at itself and at as many before it as the
            window holds, as `apply` does with `causal_mask(..., window=...)`.
    """

    init: Callable[..., Params]
    apply: Callable[..., Attended]
    start: Callable[[Params, tuple[int, ...], int], KeyValues]
    extend: Callable[..., tuple[Tensor, KeyValues]]


def multi_head_attention(
    width: int, heads: int, *, bias: bool = True, rotary: bool = False
) -> MultiHeadAttention:
    r"""Attention in several subspaces at once.

    $\mathrm{concat}_i(\mathrm{attention}(x W_i^Q, y W_i^K, y W_i^V))\, W^O$ with one $i$ for each head.

    Args:
        width: size of the last dimension of inputs and output.
        heads: how many; each works in `width / heads` dimensions.
        bias: whether the maps in and out have biases.
        rotary: whether queries and keys are turned by their positions, of which the last query has that of
            the last key; see `rotary_positions`.

    Returns:
        A `MultiHeadAttention`, whose params are those of `torch.nn.MultiheadAttention` by name and shape.

    Raises:
        TypeError: if a number is no integer.
        ValueError: if it is not positive, the heads do not divide the width, or rotary heads have an odd
            width; when applied, if an input has another width, or the mask does not fit.

    Example:
        >>> import torch
        >>> from funcsci import nn, random
        >>> model = nn.multi_head_attention(16, 4)
        >>> params = model.init(random.key(0))
        >>> mask = nn.causal_mask(10)
        >>> output, weights = model.apply(params, torch.ones(2, 10, 16), mask=mask, return_weights=True)
        >>> output.shape, weights.shape
        (torch.Size([2, 10, 16]), torch.Size([2, 4, 10, 10]))

    Source: Vaswani et al. (2017), arXiv:1706.03762, section 3.2.2.
    """
    checks.integer(least=1, width=width, heads=heads)
    if width % heads:
        fitting = max(count for count in range(1, heads + 1) if width % count == 0)
        must = f"divide the width {width}"
        raise ValueError(checks.message(must, "heads", heads, f"Try heads={fitting}."))
    if rotary and width // heads % 2:
        must = f"leave an even width for each head where positions are rotary, of the width {width}"
        raise ValueError(checks.message(must, "heads", heads, f"Try width={2 * width}."))

    def init(
        key: Key, *, dtype: torch.dtype | None = None, device: str | torch.device | None = None
    ) -> Params:
        keys = random.split(placed(key, device))
        projection = initializers.xavier_uniform()(keys[0], (3 * width, width), dtype=dtype)
        out = {"weight": initializers.fan_in_uniform()(keys[1], (width, width), dtype=dtype)}
        if not bias:
            return {"in_proj_weight": projection, "out_proj": out}
        return {
            "in_proj_weight": projection,
            "in_proj_bias": projection.new_zeros(3 * width),
            "out_proj": {**out, "bias": projection.new_zeros(width)},
        }

    def project(params: Params, query: Tensor, memory: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, shape `(*batch, heads, positions, features)`."""
        for x in (query,) if memory is None else (query, memory):
            check_features(width, x)
            check_positions(x)
        weight, offset = params["in_proj_weight"], params.get("in_proj_bias")
        if memory is None:
            parts = F.linear(query, weight, offset).chunk(3, -1)
        else:
            own = F.linear(query, weight[:width], None if offset is None else offset[:width])
            others = F.linear(memory, weight[width:], None if offset is None else offset[width:])
            parts = (own, *others.chunk(2, -1))
        q, k, v = (x.reshape(*x.shape[:-1], heads, width // heads).transpose(-3, -2) for x in parts)
        return q, k, v

    def attend(params: Params, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, **how: bool) -> Attended:
        if rotary:
            q, k = rotary_positions(q, first=max(0, k.shape[-2] - q.shape[-2])), rotary_positions(k)
        found = attention(q, k, v, mask=mask, **how)
        joined = found.output.transpose(-3, -2).flatten(-2)
        output = F.linear(joined, params["out_proj"]["weight"], params["out_proj"].get("bias"))
        return Attended(output, found.weights)

    def apply(
        params: Params,
        query: Float[Tensor, "..."],
        memory: Float[Tensor, "..."] | None = None,
        *,
        mask: Tensor | None = None,
        return_weights: bool = False,
        fused: bool = False,
    ) -> Attended:
        if mask is not None and mask.dim() > 2:
            mask = mask.unsqueeze(-3)  # one for all heads
        parts = project(params, query, memory)
        return attend(params, *parts, mask, return_weights=return_weights, fused=fused)

    def start(params: Params, batch: tuple[int, ...], window: int) -> KeyValues:
        return no_key_values((*batch, heads, window, width // heads), params["in_proj_weight"])

    def extend(params: Params, x: Float[Tensor, "..."], past: KeyValues) -> tuple[Tensor, KeyValues]:
        q, keys, values = project(params, x, None)
        rolled, keys, values = past.followed_by(keys, values)
        there = keys.shape[-2]
        empty = past.window - past.seen  # places of the window that no position has filled yet
        mask = causal_mask(x.shape[-2], there, window=past.window, device=x.device)
        mask = mask & (torch.arange(there, device=x.device) >= empty)
        return attend(params, q, keys, values, mask).output, rolled

    return MultiHeadAttention(init, apply, start, extend)
