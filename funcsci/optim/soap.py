"""SOAP: Adam in the eigenbasis of Shampoo's preconditioner."""

from typing import NamedTuple

import torch
from torch import Tensor

from funcsci import checks, tree
from funcsci.optim.descent import descend
from funcsci.optim.learning_rate import Schedule
from funcsci.optim.moments import debias, running_mean, running_square
from funcsci.optim.transform import Optimizer, check_betas, map_leaves, zero_steps, zeros
from funcsci.tree import Params, PyTree, Scalar


class Rotation(NamedTuple):
    r"""The bases of one leaf: a matrix for each dimension that is rotated.

    Attributes:
        grams: the running mean of $G G^\top$, unfolded along the dimension, shape `(size, size)` each.
        bases: its eigenvectors, roughly, as columns, likewise.
    """

    grams: tuple[Tensor, ...]
    bases: tuple[Tensor, ...]


class SoapState(NamedTuple):
    """The state of `scale_by_soap`.

    Attributes:
        steps: $n$, the number of steps taken, int64, shape ().
        first_moment: $M$, of the structure, shapes and dtypes of the parameters.
        second_moment: $V$, of the rotated gradients, likewise.
        rotations: a `Rotation` in place of each parameter.
    """

    steps: Scalar
    first_moment: Params
    second_moment: Params
    rotations: PyTree


def scale_by_soap(
    betas: tuple[float, float] = (0.95, 0.95),
    eps: float = 1e-8,
    *,
    precondition_frequency: int = 1,
    max_precond_dim: int = 10000,
    shift: float = 0.1,
) -> Optimizer:
    r"""SOAP's direction, $Q_L N Q_R^\top$ with $N = Q_L^\top \hat M Q_R / (\sqrt{\hat V} + \epsilon)$.

    $M$ is the running mean of the gradient $G$, $V$ that of the squares of $Q_L^\top G Q_R$, both without
    bias as in Adam. After the step, $L' = \beta_2 L + (1 - \beta_2) G G^\top$, and a step of power iteration,
    $Q_L' = \mathrm{qr}((L' + \sigma I) Q_L)$, turns the basis towards the eigenvectors of $L'$; likewise $R$,
    and each dimension of a tensor of more. The bases start as $I$.

    Args:
        betas: the decay of the moments, dimensionless, each in [0, 1).
        eps: keeps the division finite, in units of the gradient.
        precondition_frequency: the number of steps between turns of the basis. A compiled program
            computes the turn in every step and takes it or not, so a larger number saves no time; 1 was
            best in the paper.
        max_precond_dim: the largest dimension that is rotated.
        shift: $\sigma$ in units of the mean eigenvalue, dimensionless. It keeps the directions in place
            that no gradient has had yet, and turns those of small eigenvalues more slowly. With 0, as in
            the paper, round-off chooses them, so that programs that round differently part ways.

    Returns:
        An optimizer, one link of a `chain`. Leaves of less than two dimensions take Adam's direction.

    Raises:
        ValueError: if an argument is out of its range.
        TypeError: if a frequency or dimension is not an integer.

    Example:
        >>> import torch
        >>> direction = scale_by_soap()
        >>> params, grads = torch.ones(2, 2), torch.tensor([[3.0, 1.0], [1.0, -0.1]])
        >>> first, state = direction.update(grads, direction.init(params), params)
        >>> first
        tensor([[ 1.0000,  1.0000],
                [ 1.0000, -1.0000]])
        >>> state.rotations.bases[0].shape
        torch.Size([2, 2])

    Source: Vyas et al. (2024), arXiv:2409.11321, algorithms 3 and 4.
    """
    check_betas(betas)
    checks.non_negative(eps=eps, shift=shift)
    checks.integer(precondition_frequency=precondition_frequency, max_precond_dim=max_precond_dim, least=1)
    first, second = betas

    def rotated(leaf: Tensor) -> list[int]:
        """The dimensions that have a basis of their own."""
        if leaf.dim() < 2 or not leaf.numel():
            return []
        return [dim for dim, size in enumerate(leaf.shape) if 1 < size <= max_precond_dim]

    def start(leaf: Tensor) -> Rotation:
        bases = [torch.eye(leaf.shape[dim], dtype=leaf.dtype, device=leaf.device) for dim in rotated(leaf)]
        return Rotation(tuple(map(torch.zeros_like, bases)), tuple(bases))

    def init(params: Params) -> SoapState:
        still = zeros(params)
        return SoapState(zero_steps(params), still, zeros(params), tree.map(start, still))

    def turn(gram: Tensor, basis: Tensor) -> Tensor:
        mean = gram.diagonal().sum() / len(gram)
        turned, upper = torch.linalg.qr(gram @ basis + shift * mean * basis)
        # The signs that make it continuous; and row by row in memory, as the first basis is.
        signed: Tensor = torch.where(upper.diagonal() < 0, -turned, turned)
        return signed.contiguous()

    def update(grads: Params, state: SoapState, params: Params) -> tuple[Params, SoapState]:
        steps = state.steps + 1
        mean_scale = 1 / debias(first, steps)
        root_scale = torch.rsqrt(debias(second, steps))
        due = steps % precondition_frequency == 0

        def leaf(p: Tensor, g: Tensor, m: Tensor, v: Tensor, rotation: Rotation) -> tuple[PyTree, ...]:
            dims = rotated(p)
            m = running_mean(m, g, first)
            v = running_square(v, _rotate(g, dims, rotation.bases), second)
            root = torch.sqrt(v) * root_scale.to(v.dtype) + eps
            mean = mean_scale.to(m.dtype) * _rotate(m, dims, rotation.bases)
            direction = _rotate(mean / root, dims, [basis.mT for basis in rotation.bases])
            grams = [running_gram(gram, g, dim) for gram, dim in zip(rotation.grams, dims, strict=True)]
            turned = [turn(gram, basis) for gram, basis in zip(grams, rotation.bases, strict=True)]
            if precondition_frequency > 1:
                pairs = zip(turned, rotation.bases, strict=True)
                turned = [torch.where(due, new, old) for new, old in pairs]
            return direction, m, v, Rotation(tuple(grams), tuple(turned))

        direction, *kept = map_leaves(leaf, params, grads, *state[1:])
        return direction, SoapState(steps, *kept)

    def running_gram(gram: Tensor, g: Tensor, dim: int) -> Tensor:
        unfolded = torch.movedim(g, dim, 0).reshape(g.shape[dim], -1)
        return second * gram + (1 - second) * (unfolded @ unfolded.mT)

    return Optimizer(init, update)


def soap(
    lr: float | Schedule = 3e-3,
    *,
    betas: tuple[float, float] = (0.95, 0.95),
    eps: float = 1e-8,
    weight_decay: float = 0.01,
    precondition_frequency: int = 1,
    max_precond_dim: int = 10000,
    shift: float = 0.1,
    maximize: bool = False,
) -> Optimizer:
    r"""SOAP, $\theta' = \theta - \eta\,(Q_L N Q_R^\top + \lambda\theta)$, with Adam's step $N$ in the bases.

    Adam in the coordinates in which the gradients of a matrix are uncorrelated by row and by column.

    Args:
        lr: $\eta$, or a schedule of the step count.
        betas: the decay of the moments, dimensionless, each in [0, 1).
        eps: keeps the division finite, in units of the gradient.
        weight_decay: $\lambda$, dimensionless, decoupled.
        precondition_frequency: the number of steps between turns of the basis; a larger one saves no time.
        max_precond_dim: the largest dimension that is rotated.
        shift: steadies directions without gradient, see `scale_by_soap`.
        maximize: whether to go up.

    Returns:
        An optimizer; leaves of less than two dimensions take AdamW's steps.

    Raises:
        ValueError: if an argument is out of its range.

    Example:
        >>> import torch
        >>> w = torch.zeros(2, 2)
        >>> optimizer = soap(0.1)
        >>> optimizer.update(torch.tensor([[3.0, 1.0], [1.0, -0.1]]), optimizer.init(w), w)[0]
        tensor([[-0.1000, -0.1000],
                [-0.1000,  0.1000]])

    Source: Vyas et al. (2024), arXiv:2409.11321, algorithms 3 and 4.

    Differs from the authors' program: the first step is taken, in the basis $I$; the second moment is not
    reordered as the basis turns; and the basis turns in every step.
    """
    limits = {"precondition_frequency": precondition_frequency, "max_precond_dim": max_precond_dim}
    direction = scale_by_soap(betas, eps, shift=shift, **limits)
    return descend(direction, lr=lr, weight_decay=weight_decay, decoupled=True, maximize=maximize)


def _rotate(x: Tensor, dims: list[int], bases: tuple[Tensor, ...] | list[Tensor]) -> Tensor:
    """The components of x along the columns of the bases, one for each of the dimensions."""
    for dim, basis in zip(dims, bases, strict=True):
        x = torch.movedim(torch.movedim(x, dim, -1) @ basis, -1, dim)
    return x
