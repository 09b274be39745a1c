"""NAdam: Adam with Nesterov's momentum."""

from typing import NamedTuple

import torch
from torch import Tensor

from funcsci import checks
from funcsci.optim.descent import descend
from funcsci.optim.learning_rate import Schedule
from funcsci.optim.moments import debias, running_mean, running_square
from funcsci.optim.transform import Optimizer, check_betas, map_leaves, placement, zero_steps, zeros
from funcsci.tree import Params, Scalar


class NadamState(NamedTuple):
    r"""The running moments of `scale_by_nadam`.

    Attributes:
        steps: $n$, the number of steps taken, int64, shape ().
        product: $\prod_i \mu_i$ of the factors of momentum so far, float64, shape ().
        first_moment: $m$, of the structure, shapes and dtypes of the parameters.
        second_moment: $v$, likewise.
    """

    steps: Scalar
    product: Scalar
    first_moment: Params
    second_moment: Params


def scale_by_nadam(
    betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8, momentum_decay: float = 4e-3
) -> Optimizer:
    r"""NAdam's direction, $\hat m / (\sqrt{\hat v} + \epsilon)$ with a mean that looks one step ahead.

    $\hat m = \mu_{n+1} m' / (1 - \prod_{i \le n+1} \mu_i) + (1 - \mu_n) g / (1 - \prod_{i \le n} \mu_i)$ with
    $\mu_n = \beta_1 (1 - 0.96^{n\psi} / 2)$; the moments $m'$ and $\hat v$ are those of Adam.

    Args:
        betas: the decay of the two moments, dimensionless, each in [0, 1).
        eps: keeps the division finite, in units of the gradient.
        momentum_decay: $\psi$, dimensionless, at least 0.

    Returns:
        An optimizer, one link of a `chain`.

    Raises:
        ValueError: if a beta is outside [0, 1) or another argument is negative.

    Example:
        >>> import torch
        >>> direction = scale_by_nadam()
        >>> params = torch.tensor([1.0, 1.0])
        >>> direction.update(torch.tensor([3.0, -0.1]), direction.init(params), params)[0]
        tensor([ 1.0565, -1.0565])

    Source: Dozat (2016), Incorporating Nesterov momentum into Adam, ICLR workshop, algorithm 2.
    """
    check_betas(betas)
    checks.non_negative(eps=eps, momentum_decay=momentum_decay)
    first, second = betas

    def init(params: Params) -> NadamState:
        one = torch.ones((), dtype=torch.float64, device=placement(params)[1])
        return NadamState(zero_steps(params), one, zeros(params), zeros(params))

    def momentum(steps: Scalar) -> Scalar:
        return first * (1 - 0.5 * 0.96 ** (steps.to(torch.float64) * momentum_decay))

    def update(grads: Params, state: NadamState, params: Params) -> tuple[Params, NadamState]:
        steps = state.steps + 1
        now, ahead = momentum(steps), momentum(steps + 1)
        product = state.product * now
        grad_scale, mean_scale = (1 - now) / (1 - product), ahead / (1 - product * ahead)
        root_scale = torch.rsqrt(debias(second, steps))

        def leaf(p: Tensor, g: Tensor, m: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            m, v = running_mean(m, g, first), running_square(v, g, second)
            root = torch.sqrt(v) * root_scale.to(v.dtype) + eps
            return (grad_scale.to(g.dtype) * g + mean_scale.to(m.dtype) * m) / root, m, v

        direction, *moments = map_leaves(leaf, params, grads, state.first_moment, state.second_moment)
        return direction, NadamState(steps, product, *moments)

    return Optimizer(init, update)


def nadam(
    lr: float | Schedule = 2e-3,
    *,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    momentum_decay: float = 4e-3,
    decoupled_weight_decay: bool = False,
    maximize: bool = False,
) -> Optimizer:
    r"""Adam with Nesterov's momentum, $\theta' = \theta - \eta\, \hat m / (\sqrt{\hat v} + \epsilon)$.

    Args:
        lr: $\eta$, or a schedule of the step count.
        betas: the decay of the first and second moment, dimensionless, each in [0, 1).
        eps: keeps the division finite, in units of the gradient.
        weight_decay: an L2 penalty, or decoupled decay.
        momentum_decay: how fast the momentum reaches its full value, dimensionless.
        decoupled_weight_decay: whether the decay is that of `adamw`.
        maximize: whether to go up.

    Returns:
        An optimizer, equal to `torch.optim.NAdam` step by step.

    Raises:
        ValueError: if an argument is out of its range.

    Example:
        >>> import torch
        >>> w = torch.tensor(1.0)
        >>> optimizer = nadam(0.1)
        >>> optimizer.update(torch.tensor(2.0), optimizer.init(w), w)[0]
        tensor(-0.1056)

    Source: Dozat (2016), Incorporating Nesterov momentum into Adam, ICLR workshop, algorithm 2.

    Differs from `torch.optim.NAdam`: a pure function, and the rate stands in the state as a tensor.
    """
    direction = scale_by_nadam(betas, eps, momentum_decay)
    decoupled = decoupled_weight_decay
    return descend(direction, lr=lr, weight_decay=weight_decay, decoupled=decoupled, maximize=maximize)
