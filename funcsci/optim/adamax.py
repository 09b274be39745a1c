"""Adamax: Adam with a running maximum for the scale."""

from typing import NamedTuple

import torch
from torch import Tensor

from funcsci import checks
from funcsci.optim.descent import descend
from funcsci.optim.learning_rate import Schedule
from funcsci.optim.moments import debias, running_mean
from funcsci.optim.transform import Optimizer, check_betas, map_leaves, zero_steps, zeros
from funcsci.tree import Params, Scalar


class AdamaxState(NamedTuple):
    """The running mean and maximum of `scale_by_adamax`.

    Attributes:
        steps: $n$, the number of steps taken, int64, shape ().
        first_moment: $m$, of the structure, shapes and dtypes of the parameters.
        largest: $u$, likewise.
    """

    steps: Scalar
    first_moment: Params
    largest: Params


def scale_by_adamax(betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8) -> Optimizer:
    r"""Adamax' direction, $\hat m / u'$.

    $m' = \beta_1 m + (1 - \beta_1) g,\quad u' = \max(\beta_2 u, |g| + \epsilon),\quad
    \hat m = m' / (1 - \beta_1^n)$ at step $n$.

    Args:
        betas: the decay of the mean and of the maximum, dimensionless, each in [0, 1).
        eps: keeps the division finite, in units of the gradient.

    Returns:
        An optimizer, one link of a `chain`.

    Raises:
        ValueError: if a beta is outside [0, 1) or `eps` is negative.

    Example:
        >>> import torch
        >>> direction = scale_by_adamax()
        >>> params = torch.tensor([1.0, 1.0])
        >>> direction.update(torch.tensor([3.0, -0.1]), direction.init(params), params)[0]
        tensor([ 1., -1.])

    Source: Kingma and Ba (2015), arXiv:1412.6980, algorithm 2.
    """
    check_betas(betas)
    checks.non_negative(eps=eps)
    first, second = betas

    def init(params: Params) -> AdamaxState:
        return AdamaxState(zero_steps(params), zeros(params), zeros(params))

    def update(grads: Params, state: AdamaxState, params: Params) -> tuple[Params, AdamaxState]:
        steps = state.steps + 1
        mean_scale = 1 / debias(first, steps)

        def leaf(p: Tensor, g: Tensor, m: Tensor, u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            m, u = running_mean(m, g, first), torch.maximum(second * u, g.abs() + eps)
            return mean_scale.to(m.dtype) * m / u, m, u

        direction, mean, largest = map_leaves(leaf, params, grads, state.first_moment, state.largest)
        return direction, AdamaxState(steps, mean, largest)

    return Optimizer(init, update)


def adamax(
    lr: float | Schedule = 2e-3,
    *,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    maximize: bool = False,
) -> Optimizer:
    r"""Adam in the maximum norm, $\theta' = \theta - \eta\, \hat m / u'$.

    Args:
        lr: $\eta$, or a schedule of the step count.
        betas: the decay of the mean and of the maximum, dimensionless, each in [0, 1).
        eps: keeps the division finite, in units of the gradient.
        weight_decay: an L2 penalty.
        maximize: whether to go up.

    Returns:
        An optimizer, equal to `torch.optim.Adamax` step by step.

    Raises:
        ValueError: if an argument is out of its range.

    Example:
        >>> import torch
        >>> w = torch.tensor(1.0)
        >>> optimizer = adamax(0.1)
        >>> optimizer.update(torch.tensor(2.0), optimizer.init(w), w)[0]
        tensor(-0.1000)

    Source: Kingma and Ba (2015), arXiv:1412.6980, algorithm 2.

    Differs from `torch.optim.Adamax`: a pure function, and the rate stands in the state as a tensor.
    """
    return descend(scale_by_adamax(betas, eps), lr=lr, weight_decay=weight_decay, maximize=maximize)
