"""Attention: every position looks at the others and takes from them what it looks for."""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from funcsci import checks


class Attended(NamedTuple):
    """What attention gives.

    Attributes:
        output: the values, weighted, shape `(*batch, queries, features)`.
        weights: the share of each key in each query's output, shape `(*batch, queries, keys)`, with the
            heads before the queries where there are several; None where they were not asked for. A row sums
            to one, or is zero where all is masked.
    """

    output: Float[Tensor, "..."]
    weights: Float[Tensor, "..."] | None


def attention(
    query: Float[Tensor, "..."],
    key: Float[Tensor, "..."],
    value: Float[Tensor, "..."],
    *,
    mask: Tensor | None = None,
    return_weights: bool = False,
    fused: bool = False,
) -> Attended:
    r"""Scaled dot-product attention, $\mathrm{softmax}(Q K^\top / \sqrt d + M)\, V$.

    Args:
        query: $Q$, shape `(*batch, queries, d)`.
        key: $K$, shape `(*batch, keys, d)`.
        value: $V$, shape `(*batch, keys, features)`.
        mask: $M$, broadcast to `(*batch, queries, keys)`: numbers that are added, $-\infty$ for none, or True
            where a query may look. A query that may look nowhere gets zeros.
        return_weights: whether to give the softmax too, which the fused kernel does not.
        fused: whether to use torch's kernel, which needs less memory and has one derivative: no forward mode
            and no second one.

    Returns:
        An `Attended`.

    Raises:
        ValueError: if the shapes do not fit, or weights are asked of the fused kernel.

    Example:
        A query that looks only at the first of two keys:

        >>> import torch
        >>> q, k, v = torch.zeros(1, 2), torch.zeros(2, 2), torch.tensor([[1.0], [3.0]])
        >>> attention(q, k, v).output, attention(q, k, v, mask=torch.tensor([[True, False]])).output
        (tensor([[2.]]), tensor([[1.]]))

    Source: Vaswani et al. (2017), arXiv:1706.03762, equation 1.

    Differs from: `torch.nn.functional.scaled_dot_product_attention`, whose result depends on the kernel where
        all is masked.
    """
    _check_shapes(query, key, value, mask)
    if return_weights and fused:
        raise ValueError(
            "return_weights=True must come with fused=False, whose kernel keeps no weights. Got both. "
            "Try fused=False."
        )
    allowed, added = _parts_of(mask)
    if fused:
        return Attended(_fused(query, key, value, allowed, added), None)
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    scores = scores if added is None else scores + added
    if allowed is None:
        weights = torch.softmax(scores, -1)
    else:
        # A finite stand-in for -inf keeps a row that is masked throughout, and its gradient, from being nan.
        lowest = torch.finfo(scores.dtype).min
        weights = torch.softmax(torch.where(allowed, scores, lowest), -1) * allowed
    return Attended(weights @ value, weights if return_weights else None)


def causal_mask(
    queries: int,
    keys: int | None = None,
    *,
    window: int | None = None,
    device: str | torch.device | None = None,
) -> Bool[Tensor, "queries keys"]:
    """Who may look at whom, where time runs: True at and before a query's own position.

    Args:
        queries: how many there are.
        keys: how many there are, of which the last belong to the queries; None: as many as queries.
        window: how many positions a query may look back, itself not counted; None: all.
        device: where the mask goes.

    Returns:
        The mask, for `attention`.

    Raises:
        TypeError: if a number is no integer.
        ValueError: if it is out of its range, or there are fewer keys than queries.

    Example:
        >>> causal_mask(2, 3)
        tensor([[ True,  True, False],
                [ True,  True,  True]])
        >>> causal_mask(3, window=1)[2]
        tensor([False,  True,  True])
    """
    keys = queries if keys is None else keys
    checks.integer(least=1, queries=queries)
    checks.integer(least=queries, keys=keys)
    own = torch.arange(keys - queries, keys, device=device)[:, None]
    back = own - torch.arange(keys, device=device)
    if window is None:
        return back >= 0
    checks.integer(least=0, window=window)
    return (back >= 0) & (back <= window)


def check_positions(x: Tensor) -> None:
    """A sequence has a dimension of positions and one of features.

    Raises:
        ValueError: if `x` has fewer dimensions.
    """
    if x.dim() < 2:
        raise ValueError(
            f"x must have the shape (..., positions, features). Got x of shape {tuple(x.shape)}. "
            "Pass a sequence; one position is a sequence too: x[None]."
        )


def _parts_of(mask: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
    """Where a query may look, and what is added there; None where nothing is said."""
    if mask is None:
        return None, None
    if mask.dtype == torch.bool:
        return mask, None
    allowed = mask != -torch.inf
    return allowed, torch.where(allowed, mask, 0.0)


def _fused(query: Tensor, key: Tensor, value: Tensor, allowed: Tensor | None, added: Tensor | None) -> Tensor:
    if allowed is None:
        return F.scaled_dot_product_attention(query, key, value)
    somewhere = allowed.any(-1, keepdim=True)
    # Kernels differ on a row that may look nowhere: it is let look everywhere, and set to zero.
    open_rows = allowed | ~somewhere
    bias = open_rows if added is None else torch.where(open_rows, added, -torch.inf)
    output = F.scaled_dot_product_attention(query, key, value, bias)
    return torch.where(somewhere, output, 0.0)


def _check_shapes(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> None:
    for x in (query, key, value):
        check_positions(x)
    if query.shape[-1] != key.shape[-1] or key.shape[-2] != value.shape[-2]:
        raise ValueError(
            "query and key must have the same features, and key and value the same positions. "
            f"Got shapes {tuple(query.shape)}, {tuple(key.shape)} and {tuple(value.shape)}. "
            "Transpose or cut one of them."
        )
    if mask is None:
        return
    batch = query.shape[:-2] if query.dim() >= key.dim() else key.shape[:-2]
    needed = (*batch, query.shape[-2], key.shape[-2])
    fits = len(mask.shape) <= len(needed) and all(
        size in (1, whole) for size, whole in zip(reversed(mask.shape), reversed(needed), strict=False)
    )
    if not fits:
        raise ValueError(
            f"mask must broadcast to (..., queries, keys), here {needed}. "
            f"Got mask of shape {tuple(mask.shape)}. Try nn.causal_mask({needed[-2]}, {max(needed[-2:])})."
        )
