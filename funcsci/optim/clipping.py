"""Bounds for gradients: by value, and by norm."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from funcsci import checks, tree
from funcsci.optim.transform import Optimizer
from funcsci.tree import Params, PyTree

ROUND = 1e-6
"""Added to a norm before dividing by it, as torch does."""


def clip_by_value(clip_value: float) -> Optimizer:
    r"""Bounds each component, $\Delta = \min(\max(g, -c), c)$.

    Args:
        clip_value: $c$, in units of the gradient, positive.

    Returns:
        An optimizer, one link of a `chain`; its state is empty.

    Raises:
        ValueError: if `clip_value` is not positive.

    Example:
        >>> import torch
        >>> grads = torch.tensor([0.5, -3.0])
        >>> clip_by_value(1.0).update(grads, (), grads)[0]
        tensor([ 0.5000, -1.0000])

    Equal to `torch.nn.utils.clip_grad_value_`.
    """
    checks.positive(clip_value=clip_value)
    return _stateless(lambda grads: tree.map(lambda g: torch.clamp(g, -clip_value, clip_value), grads))


def clip_by_norm(max_norm: float, norm_type: float = 2.0) -> Optimizer:
    r"""Bounds the norm of each leaf, $\Delta = g \min(1, c / \lVert g \rVert)$.

    Args:
        max_norm: $c$, in units of the gradient, positive.
        norm_type: the order of the norm, positive; `math.inf` for the largest component.

    Returns:
        An optimizer, one link of a `chain`; its state is empty.

    Raises:
        ValueError: if an argument is not positive.

    Example:
        >>> import torch
        >>> grads = [torch.tensor([3.0, 4.0]), torch.tensor([0.6, 0.8])]
        >>> clip_by_norm(1.0).update(grads, (), grads)[0]
        [tensor([0.6000, 0.8000]), tensor([0.6000, 0.8000])]

    Equal to `torch.nn.utils.clip_grad_norm_` for each leaf alone.
    """
    _check(max_norm, norm_type)

    def clip(grads: Params) -> Params:
        return tree.map(lambda g: g * _factor(_norm(g, norm_type), max_norm) if g.numel() else g, grads)

    return _stateless(clip)


def clip_by_global_norm(max_norm: float, norm_type: float = 2.0) -> Optimizer:
    r"""Bounds the norm of all leaves together, $\Delta = g \min(1, c / \lVert g \rVert)$.

    Args:
        max_norm: $c$, in units of the gradient, positive.
        norm_type: the order of the norm, positive; `math.inf` for the largest component.

    Returns:
        An optimizer, one link of a `chain`; its state is empty.

    Raises:
        ValueError: if an argument is not positive.

    Example:
        >>> import torch
        >>> grads = [torch.tensor(3.0), torch.tensor(4.0)]
        >>> clip_by_global_norm(1.0).update(grads, (), grads)[0]
        [tensor(0.6000), tensor(0.8000)]

    Source: Pascanu, Mikolov and Bengio (2013), arXiv:1211.5063, algorithm 1.

    Equal to `torch.nn.utils.clip_grad_norm_`.
    """
    _check(max_norm, norm_type)

    def clip(grads: Params) -> Params:
        norms = [_norm(g, norm_type) for g in tree.leaves(grads) if g.numel()]
        if not norms:
            return grads
        widest = max((norm.dtype for norm in norms), key=lambda dtype: torch.finfo(dtype).bits)
        factor = _factor(_norm(torch.stack([norm.to(widest) for norm in norms]), norm_type), max_norm)
        return tree.map(lambda g: g * factor.to(g.dtype), grads)

    return _stateless(clip)


def _check(max_norm: float, norm_type: float) -> None:
    checks.positive(max_norm=max_norm)
    if norm_type != math.inf:
        checks.positive(norm_type=norm_type)


def _norm(x: Tensor, order: float) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(x, order)
    return norm


def _factor(norm: Tensor, most: float) -> Tensor:
    return torch.clamp(most / (norm + ROUND), max=1.0)


def _stateless(function: Callable[[Params], Params]) -> Optimizer:
    def update(grads: Params, state: PyTree, params: Params) -> tuple[Params, PyTree]:
        return function(grads), state

    return Optimizer(lambda params: (), update)
