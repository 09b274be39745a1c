"""Muon: momentum whose singular values are all made equal."""

import math

import torch
from torch import Tensor

from funcsci import checks
from funcsci.optim.adam import adamw
from funcsci.optim.descent import descend
from funcsci.optim.learning_rate import Schedule
from funcsci.optim.masking import multi_transform
from funcsci.optim.sgd import scale_by_momentum
from funcsci.optim.transform import Optimizer, decay_factor, map_leaves, scale
from funcsci.tree import Params, PyTree

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the polynomial of `orthogonalize`: steepest at 0, and between 0.7 and 1.2 where it ends."""
ADJUSTMENTS = ("original", "match_rms_adamw")


def orthogonalize(
    ns_coefficients: tuple[float, float, float] = COEFFICIENTS,
    ns_steps: int = 5,
    eps: float = 1e-7,
    *,
    dtype: torch.dtype | None = None,
) -> Optimizer:
    r"""The nearest matrix with orthonormal rows or columns, roughly: $U V^\top$ for $g = U S V^\top$.

    Newton-Schulz steps $X' = a X + (b A + c A^2) X$ with $A = X X^\top$, from $X = g / \lVert g \rVert_F$, on
    the smaller side. The usual coefficients bring the singular values into about [0.7, 1.2], fast, and not
    to 1.

    Args:
        ns_coefficients: $(a, b, c)$, dimensionless.
        ns_steps: the number of steps, at least 1.
        eps: the least norm to divide by, in units of the gradient.
        dtype: to compute in, such as torch.bfloat16; None for each leaf's own.

    Returns:
        An optimizer, one link of a `chain`, for trees of matrices; its state is empty.

    Raises:
        ValueError: if an argument is out of its range; (when called) if a leaf is not a matrix.
        TypeError: if `ns_steps` is not an integer.

    Example:
        >>> import torch
        >>> grads = torch.tensor([[3.0, 0.0], [0.0, 100.0]])
        >>> torch.round(orthogonalize().update(grads, (), grads)[0], decimals=2)
        tensor([[1.1200, 0.0000],
                [0.0000, 0.7000]])

    Source: Jordan et al. (2024), Muon: an optimizer for hidden layers in neural networks,
    https://kellerjordan.github.io/posts/muon.
    """
    checks.finite(**{f"ns_coefficients[{place}]": one for place, one in enumerate(ns_coefficients)})
    checks.integer(ns_steps=ns_steps, least=1)
    checks.positive(eps=eps)
    a, b, c = ns_coefficients

    def leaf(p: Tensor, g: Tensor) -> tuple[Tensor]:
        if g.dim() != 2:
            raise ValueError(
                f"Each leaf must be a matrix to be orthogonalized. Got one of shape {tuple(g.shape)}. "
                "Choose the matrices by the argument matrices of muon, or by masked."
            )
        x = g if dtype is None else g.to(dtype)
        tall = x.shape[0] > x.shape[1]
        x = x.mT if tall else x
        x = x / torch.clamp(torch.linalg.vector_norm(x), min=eps)
        for _ in range(ns_steps):
            gram = x @ x.mT
            x = a * x + (b * gram + c * (gram @ gram)) @ x
        return ((x.mT if tall else x).to(g.dtype),)

    def update(grads: Params, state: PyTree, params: Params) -> tuple[Params, PyTree]:
        (orthogonal,) = map_leaves(leaf, params, grads)
        return orthogonal, state

    return Optimizer(lambda params: (), update)


def scale_by_shape(adjust_lr_fn: str | None = None) -> Optimizer:
    r"""Makes steps of matrices of different shapes alike, $\Delta = s\, g$ for $m$ rows and $n$ columns.

    Args:
        adjust_lr_fn: `"original"` or None for $s = \sqrt{\max(1, m / n)}$; `"match_rms_adamw"` for
            $s = 0.2 \sqrt{\max(m, n)}$, with which Adam's rates serve.

    Returns:
        An optimizer, one link of a `chain`, for trees of matrices; its state is empty.

    Raises:
        ValueError: if the name is unknown.

    Example:
        >>> import torch
        >>> grads = torch.ones(4, 1)
        >>> scale_by_shape().update(grads, (), grads)[0].mT
        tensor([[2., 2., 2., 2.]])

    Source: Jordan et al. (2024), https://kellerjordan.github.io/posts/muon; Liu et al. (2025),
    arXiv:2502.16982, equation 4.
    """
    if adjust_lr_fn is not None:
        checks.one_of(ADJUSTMENTS, adjust_lr_fn=adjust_lr_fn)

    def leaf(p: Tensor, g: Tensor) -> tuple[Tensor]:
        rows, columns = g.shape
        if adjust_lr_fn == "match_rms_adamw":
            return (0.2 * math.sqrt(max(rows, columns)) * g,)
        return (math.sqrt(max(1.0, rows / columns)) * g if g.numel() else g,)

    def update(grads: Params, state: PyTree, params: Params) -> tuple[Params, PyTree]:
        (scaled,) = map_leaves(leaf, params, grads)
        return scaled, state

    return Optimizer(lambda params: (), update)


def muon(
    lr: float | Schedule = 1e-3,
    *,
    weight_decay: float = 0.1,
    momentum: float = 0.95,
    nesterov: bool = True,
    ns_coefficients: tuple[float, float, float] = COEFFICIENTS,
    eps: float = 1e-7,
    ns_steps: int = 5,
    adjust_lr_fn: str | None = None,
    maximize: bool = False,
    dtype: torch.dtype | None = None,
    others: Optimizer | None = None,
) -> Optimizer:
    r"""Muon, $\theta' = \theta - \eta\,(s\, U V^\top + \lambda\theta)$ with $U S V^\top$ the momentum.

    The momentum is $b' = \mu b + (1 - \mu) g$, and in Nesterov's form $(1 - \mu) g + \mu b'$. Leaves that are
    not matrices are left to another optimizer. The author advises to leave embeddings and the last layer to
    it too: by `multi_transform`.

    Args:
        lr: $\eta$, or a schedule of the step count.
        weight_decay: $\lambda$, dimensionless, decoupled.
        momentum: $\mu$, dimensionless, in [0, 1).
        nesterov: whether the momentum looks ahead.
        ns_coefficients: of the Newton-Schulz polynomial, see `orthogonalize`.
        eps: the least norm to divide by, in units of the gradient.
        ns_steps: the number of Newton-Schulz steps.
        adjust_lr_fn: how $s$ depends on the shape, see `scale_by_shape`.
        maximize: whether to go up.
        dtype: to orthogonalize in, such as torch.bfloat16; None for each leaf's own.
        others: for the leaves that do not have two dimensions; None for `adamw` with this rate, this
            decay and this sign.

    Returns:
        An optimizer.

    Raises:
        ValueError: if an argument is out of its range.

    Example:
        >>> import torch
        >>> params = {"weight": torch.zeros(2, 2), "bias": torch.zeros(2)}
        >>> grads = {"weight": torch.tensor([[1.0, 0.0], [0.0, 1.0]]), "bias": torch.tensor([2.0, -3.0])}
        >>> optimizer = muon(0.1, others=adamw(0.01))
        >>> updates, _ = optimizer.update(grads, optimizer.init(params), params)
        >>> updates["bias"]
        tensor([-0.0100,  0.0100])
        >>> torch.round(updates["weight"], decimals=2)
        tensor([[-0.1100, -0.0000],
                [-0.0000, -0.1100]])

    Source: Jordan et al. (2024), Muon: an optimizer for hidden layers in neural networks,
    https://kellerjordan.github.io/posts/muon.

    Differs from `torch.optim.Muon`: it orthogonalizes in the parameters' dtype unless told otherwise, where
    that one takes bfloat16; and it takes every leaf, not matrices alone.
    """
    decay_factor(momentum=momentum)
    directions = [
        scale_by_momentum(momentum, nesterov=nesterov),
        scale(1 - momentum),
        orthogonalize(ns_coefficients, ns_steps, eps, dtype=dtype),
        scale_by_shape(adjust_lr_fn),
    ]
    if others is None:
        others = adamw(lr, weight_decay=weight_decay, maximize=maximize)
    matrices = descend(*directions, lr=lr, weight_decay=weight_decay, decoupled=True, maximize=maximize)
    return multi_transform(
        {"matrices": matrices, "others": others},
        lambda path, leaf: "matrices" if leaf.dim() == 2 else "others",
    )
