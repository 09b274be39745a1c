"""RAdam: Adam that trusts its scale once enough gradients have been seen."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from funcsci import checks
from funcsci.optim.descent import descend
from funcsci.optim.learning_rate import Schedule
from funcsci.optim.moments import debias, running_mean, running_square
from funcsci.optim.transform import Optimizer, check_betas, map_leaves, zero_steps, zeros
from funcsci.tree import Params, Scalar

ENOUGH = 5.0
"""The number of gradients that the second moment must stand for before it is used."""


class RadamState(NamedTuple):
    """The running moments of `scale_by_radam`.

    Attributes:
        steps: $n$, the number of steps taken, int64, shape ().
        first_moment: $m$, of the structure, shapes and dtypes of the parameters.
        second_moment: $v$, likewise.
    """

    steps: Scalar
    first_moment: Params
    second_moment: Params


def scale_by_radam(betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8) -> Optimizer:
    r"""RAdam's direction, $r_n \hat m \sqrt{1 - \beta_2^n} / (\sqrt{v'} + \epsilon)$, at first $\hat m$.

    It is $\hat m$ as long as $\rho_n \le 5$, with
    $\rho_n = \rho_\infty - 2 n \beta_2^n / (1 - \beta_2^n),\quad \rho_\infty = 2 / (1 - \beta_2) - 1,\quad
    r_n^2 = \frac{(\rho_n - 4)(\rho_n - 2)\rho_\infty}{(\rho_\infty - 4)(\rho_\infty - 2)\rho_n}$; the moments
    are those of Adam.

    Args:
        betas: the decay of the two moments, dimensionless, each in [0, 1).
        eps: keeps the division finite, in units of the gradient.

    Returns:
        An optimizer, one link of a `chain`.

    Raises:
        ValueError: if a beta is outside [0, 1) or `eps` is negative.

    Example:
        >>> import torch
        >>> direction = scale_by_radam()
        >>> params = torch.tensor([1.0, 1.0])
        >>> direction.update(torch.tensor([3.0, -0.1]), direction.init(params), params)[0]
        tensor([ 3.0000, -0.1000])

    Source: Liu et al. (2020), arXiv:1908.03265, algorithm 2.
    """
    check_betas(betas)
    checks.non_negative(eps=eps)
    first, second = betas
    longest = 2 / (1 - second) - 1

    def init(params: Params) -> RadamState:
        return RadamState(zero_steps(params), zeros(params), zeros(params))

    def rectified(steps: Scalar) -> tuple[Scalar, Scalar]:
        """Whether the scale is used, and its factor."""
        share = debias(second, steps)
        length = longest - 2 * steps * (1 - share) / share
        # Read only where length, and with it longest, is above ENOUGH: there the bounds decide nothing.
        shrink = torch.clamp((length - 4) * (length - 2) / length, min=0.0)
        growth = max((longest - 4) * (longest - 2), math.ulp(0.0)) / longest
        return length > ENOUGH, torch.sqrt(shrink / growth * share)

    def update(grads: Params, state: RadamState, params: Params) -> tuple[Params, RadamState]:
        steps = state.steps + 1
        mean_scale = 1 / debias(first, steps)
        enough, factor = rectified(steps)

        def leaf(p: Tensor, g: Tensor, m: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            m, v = running_mean(m, g, first), running_square(v, g, second)
            mean = mean_scale.to(m.dtype) * m
            return torch.where(enough, factor.to(v.dtype) * mean / (torch.sqrt(v) + eps), mean), m, v

        direction, *moments = map_leaves(leaf, params, grads, state.first_moment, state.second_moment)
        return direction, RadamState(steps, *moments)

    return Optimizer(init, update)


def radam(
    lr: float | Schedule = 1e-3,
    *,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decoupled_weight_decay: bool = False,
    maximize: bool = False,
) -> Optimizer:
    r"""Rectified Adam, $\theta' = \theta - \eta\, r_n \hat m / \sqrt{\hat v}$, after a few steps of momentum.

    Args:
        lr: $\eta$, or a schedule of the step count.
        betas: the decay of the first and second moment, dimensionless, each in [0, 1).
        eps: keeps the division finite, in units of the gradient.
        weight_decay: an L2 penalty, or decoupled decay.
        decoupled_weight_decay: whether the decay is that of `adamw`.
        maximize: whether to go up.

    Returns:
        An optimizer, equal to `torch.optim.RAdam` step by step.

    Raises:
        ValueError: if an argument is out of its range.

    Example:
        >>> import torch
        >>> w = torch.tensor(1.0)
        >>> optimizer = radam(0.1)
        >>> optimizer.update(torch.tensor(2.0), optimizer.init(w), w)[0]
        tensor(-0.2000)

    Source: Liu et al. (2020), arXiv:1908.03265, algorithm 2.

    Differs from `torch.optim.RAdam`: a pure function, and the rate stands in the state as a tensor.
    """
    direction = scale_by_radam(betas, eps)
    decoupled = decoupled_weight_decay
    return descend(direction, lr=lr, weight_decay=weight_decay, decoupled=decoupled, maximize=maximize)
