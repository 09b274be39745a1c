"""Adafactor: second moments of matrices kept as one row and one column."""

import math
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from funcsci import checks, tree
from funcsci.optim.learning_rate import Schedule, learning_rate_of
from funcsci.optim.transform import Optimizer, chain, map_leaves, scale, zero_steps, zeros
from funcsci.tree import Params, PyTree, Scalar


class Factored(NamedTuple):
    """The second moment of a tensor of two or more dimensions, up to their product.

    Attributes:
        row: the mean over the last dimension, which is kept with size 1.
        column: the mean over the last but one, likewise.
    """

    row: Tensor
    column: Tensor


SecondMoment: TypeAlias = Tensor | Factored


class FactoredRmsState(NamedTuple):
    """The second moments of `scale_by_factored_rms`.

    Attributes:
        steps: $n$, the number of steps taken, int64, shape ().
        second_moment: in place of each parameter a `Factored`, or a tensor where it has less than two
            dimensions.
    """

    steps: Scalar
    second_moment: PyTree


def scale_by_factored_rms(beta2_decay: float = -0.8, eps: float | None = None, d: float = 1.0) -> Optimizer:
    r"""Adafactor's direction $u / \max(1, \mathrm{rms}(u) / d)$ with $u = g / \max(\sqrt{v'}, \epsilon)$.

    $v' = r' c' / \mathrm{mean}(r')$ for the last two dimensions, with
    $r' = r + n^{-\tau} (\mathrm{mean}_j\, g^2 - r)$ and $c'$ likewise over $i$ at step $n$;
    $v' = v + n^{-\tau} (g^2 - v)$ for vectors and scalars.

    Args:
        beta2_decay: $-\tau$, dimensionless, at most 0.
        eps: $\epsilon$, in units of the gradient; None for the round-off of each leaf's dtype.
        d: the largest root mean square of the direction, dimensionless.

    Returns:
        An optimizer, one link of a `chain`.

    Raises:
        ValueError: if an argument is out of its range.

    Example:
        >>> import torch
        >>> direction = scale_by_factored_rms()
        >>> params, grads = torch.ones(2, 2), torch.tensor([[1.0, 2.0], [-2.0, 4.0]])
        >>> direction.update(grads, direction.init(params), params)[0]
        tensor([[ 1.,  1.],
                [-1.,  1.]])

    Source: Shazeer and Stern (2018), arXiv:1804.04235, algorithm 4, as `torch.optim.Adafactor` has it.
    """
    checks.finite(beta2_decay=beta2_decay)
    if beta2_decay > 0:
        raise ValueError(
            checks.message("not be positive", "beta2_decay", beta2_decay, "Try beta2_decay=-0.8.")
        )
    checks.positive(d=d)
    if eps is not None:
        checks.non_negative(eps=eps)

    def init(params: Params) -> FactoredRmsState:
        def moment(zero: Tensor) -> SecondMoment:
            if zero.dim() < 2:
                return zero
            *outer, rows, columns = zero.shape
            return Factored(zero.new_zeros(*outer, rows, 1), zero.new_zeros(*outer, 1, columns))

        return FactoredRmsState(zero_steps(params), tree.map(moment, zeros(params)))

    def update(grads: Params, state: FactoredRmsState, params: Params) -> tuple[Params, FactoredRmsState]:
        steps = state.steps + 1
        weight = steps.to(torch.float64) ** beta2_decay

        def leaf(p: Tensor, g: Tensor, moment: SecondMoment) -> tuple[Tensor, SecondMoment]:
            least = torch.finfo(g.dtype).eps if eps is None else eps
            share = weight.to(g.dtype)
            square = g * g
            if isinstance(moment, Factored):
                moment = Factored(
                    moment.row + share * (_mean(square, -1) - moment.row),
                    moment.column + share * (_mean(square, -2) - moment.column),
                )
                v = moment.row * moment.column / torch.clamp(_mean(moment.row, -2), min=least)
            else:
                v = moment = moment + share * (square - moment)
            u = g * torch.rsqrt(torch.clamp(v, min=least * least))
            return u / torch.clamp(_rms(u) / d, min=1.0), moment

        direction, moments = map_leaves(leaf, params, grads, state.second_moment)
        return direction, FactoredRmsState(steps, moments)

    return Optimizer(init, update)


def scale_by_parameter_rms(least: float = 1e-3) -> Optimizer:
    r"""Steps in proportion to the parameters of a leaf, $\Delta = \max(\epsilon, \mathrm{rms}(\theta))\, g$.

    Args:
        least: $\epsilon$, so that a leaf of zeros can move, in units of the parameters.

    Returns:
        An optimizer, one link of a `chain`; its state is empty.

    Raises:
        ValueError: if `least` is negative.

    Example:
        >>> import torch
        >>> scale_by_parameter_rms().update(torch.ones(2), (), torch.tensor([3.0, 4.0]))[0]
        tensor([3.5355, 3.5355])

    Source: Shazeer and Stern (2018), arXiv:1804.04235, section 8.
    """
    checks.non_negative(least=least)

    def update(grads: Params, state: PyTree, params: Params) -> tuple[Params, PyTree]:
        (scaled,) = map_leaves(lambda p, g: (torch.clamp(_rms(p), min=least) * g,), params, grads)
        return scaled, state

    return Optimizer(lambda params: (), update)


class CappedState(NamedTuple):
    """The state of `scale_by_capped_learning_rate`.

    Attributes:
        steps: $n$, the number of steps taken, int64, shape ().
        rate: the learning rate or its schedule's count.
    """

    steps: Scalar
    rate: PyTree


def scale_by_capped_learning_rate(lr: float | Schedule, weight_decay: float = 0.0) -> Optimizer:
    r"""Adafactor's step, $\Delta\theta = -\min(\eta, 1 / \sqrt n)\, u - \eta \lambda \theta$ at step $n$.

    Args:
        lr: $\eta$, or a schedule of the step count.
        weight_decay: $\lambda$, dimensionless, at least 0.

    Returns:
        An optimizer, the last link of a `chain`.

    Raises:
        ValueError: if an argument is negative.

    Example:
        >>> import torch
        >>> w = torch.tensor(1.0)
        >>> optimizer = scale_by_capped_learning_rate(5.0)
        >>> optimizer.update(torch.tensor(2.0), optimizer.init(w), w)[0]
        tensor(-2.)

    Source: Shazeer and Stern (2018), arXiv:1804.04235, section 8.
    """
    checks.non_negative(weight_decay=weight_decay)
    rate = learning_rate_of(lr)

    def update(grads: Params, state: CappedState, params: Params) -> tuple[Params, CappedState]:
        steps = state.steps + 1
        now, kept = rate.read(state.rate)
        capped = torch.minimum(now.to(torch.float64), torch.rsqrt(steps.to(torch.float64)))

        def leaf(p: Tensor, u: Tensor) -> tuple[Tensor]:
            moved = -capped.to(u.dtype) * u
            return (moved if weight_decay == 0 else moved - weight_decay * now.to(u.dtype) * p,)

        (updates,) = map_leaves(leaf, params, grads)
        return updates, CappedState(steps, kept)

    return Optimizer(lambda params: CappedState(zero_steps(params), rate.init(params)), update)


def adafactor(
    lr: float | Schedule = 1e-2,
    *,
    beta2_decay: float = -0.8,
    eps: tuple[float | None, float] = (None, 1e-3),
    d: float = 1.0,
    weight_decay: float = 0.0,
    maximize: bool = False,
) -> Optimizer:
    r"""Adafactor, $\theta' = \theta - \alpha\, u / \max(1, \mathrm{rms}(u) / d) - \eta\lambda\theta$.

    $\alpha = \max(\epsilon_2, \mathrm{rms}(\theta)) \min(\eta, 1/\sqrt n)$ at step $n$, and $u$ is $g$ over
    the root of a second moment that takes the memory of one row and one column.

    Args:
        lr: $\eta$, dimensionless, or a schedule of the step count.
        beta2_decay: how fast the second moment's memory grows, dimensionless, at most 0.
        eps: $\epsilon_1$ in units of the gradient, None for round-off; $\epsilon_2$ in the parameters'.
        d: the largest root mean square of the direction, dimensionless.
        weight_decay: $\lambda$, decoupled, by the rate without its cap.
        maximize: whether to go up.

    Returns:
        An optimizer, equal to `torch.optim.Adafactor` step by step.

    Raises:
        ValueError: if an argument is out of its range.

    Example:
        >>> import torch
        >>> w = torch.tensor([3.0, 4.0])
        >>> optimizer = adafactor(0.1)
        >>> optimizer.update(torch.tensor([2.0, 2.0]), optimizer.init(w), w)[0]
        tensor([-0.3536, -0.3536])

    Source: Shazeer and Stern (2018), arXiv:1804.04235, algorithms 4 to 6.

    Differs from `torch.optim.Adafactor`: a pure function, the rate stands in the state as a tensor, and
    leaves may be empty.
    """
    sign = [scale(-1.0)] if maximize else []
    directions = [scale_by_factored_rms(beta2_decay, eps[0], d), scale_by_parameter_rms(eps[1])]
    return chain(*sign, *directions, scale_by_capped_learning_rate(lr, weight_decay))


def _mean(x: Tensor, dim: int) -> Tensor:
    """The mean over a dimension, which is kept; 0 over none."""
    return x.sum(dim, keepdim=True) / max(x.shape[dim], 1)


def _rms(x: Tensor) -> Tensor:
    """The root mean square of all elements, shape (); 0 of none."""
    norm: Tensor = torch.linalg.vector_norm(x)
    return norm / math.sqrt(max(x.numel(), 1))
