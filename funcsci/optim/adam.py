"""Adam, with and without AMSGrad, and AdamW."""

from typing import NamedTuple

import torch
from torch import Tensor

from funcsci import checks
from funcsci.optim.descent import descend
from funcsci.optim.learning_rate import Schedule
from funcsci.optim.moments import debias, running_mean, running_square
from funcsci.optim.transform import Optimizer, check_betas, map_leaves, zero_steps, zeros
from funcsci.tree import Params, PyTree, Scalar


class AdamState(NamedTuple):
    """The running moments of `scale_by_adam`.

    Attributes:
        steps: $n$, the number of steps taken, int64, shape ().
        first_moment: $m$, of the structure, shapes and dtypes of the parameters.
        second_moment: $v$, likewise.
        largest: with AMSGrad the largest $v$ so far, likewise; an empty tuple without.
    """

    steps: Scalar
    first_moment: Params
    second_moment: Params
    largest: Params = ()


def scale_by_adam(
    betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8, *, amsgrad: bool = False
) -> Optimizer:
    r"""Adam's direction, $\hat m / (\sqrt{\hat v} + \epsilon)$.

    $m' = \beta_1 m + (1 - \beta_1) g,\quad v' = \beta_2 v + (1 - \beta_2) g^2,\quad
    \hat m = m' / (1 - \beta_1^n),\quad \hat v = v' / (1 - \beta_2^n)$ at step $n$; AMSGrad takes the largest
    $v'$ so far in place of $v'$.

    Args:
        betas: the decay of the two moments, dimensionless, each in [0, 1).
        eps: keeps the division finite, in units of the gradient.
        amsgrad: whether the scale may only grow.

    Returns:
        An optimizer, one link of a `chain`.

    Raises:
        ValueError: if a beta is outside [0, 1) or `eps` is negative.

    Example:
        >>> import torch
        >>> direction = scale_by_adam()
        >>> params = torch.tensor([1.0, 1.0])
        >>> direction.update(torch.tensor([3.0, -0.1]), direction.init(params), params)[0]
        tensor([ 1.0000, -1.0000])

    Source: Kingma and Ba (2015), arXiv:1412.6980, algorithm 1; Reddi, Kale and Kumar (2018),
    arXiv:1904.09237, algorithm 2 (AMSGrad).
    """
    check_betas(betas)
    checks.non_negative(eps=eps)
    first, second = betas

    def init(params: Params) -> AdamState:
        largest = zeros(params) if amsgrad else ()
        return AdamState(zero_steps(params), zeros(params), zeros(params), largest)

    def update(grads: Params, state: AdamState, params: Params) -> tuple[Params, AdamState]:
        steps = state.steps + 1
        mean_scale = 1 / debias(first, steps)
        root_scale = torch.rsqrt(debias(second, steps))

        def leaf(p: Tensor, g: Tensor, m: Tensor, v: Tensor, *largest: Tensor) -> tuple[Tensor, ...]:
            m, v = running_mean(m, g, first), running_square(v, g, second)
            top = [torch.maximum(one, v) for one in largest]
            root = torch.sqrt(top[0] if top else v) * root_scale.to(v.dtype) + eps
            return mean_scale.to(m.dtype) * m / root, m, v, *top

        trees: list[PyTree] = [state.first_moment, state.second_moment, *([state.largest] if amsgrad else [])]
        direction, *moments = map_leaves(leaf, params, grads, *trees)
        return direction, AdamState(steps, *moments)

    return Optimizer(init, update)


def adam(
    lr: float | Schedule = 1e-3,
    *,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    amsgrad: bool = False,
    maximize: bool = False,
    decoupled_weight_decay: bool = False,
) -> Optimizer:
    r"""Adam, $\theta' = \theta - \eta\, \hat m / (\sqrt{\hat v} + \epsilon)$.

    Args:
        lr: $\eta$, or a schedule of the step count.
        betas: the decay of the first and second moment, dimensionless, each in [0, 1).
        eps: keeps the division finite, in units of the gradient.
        weight_decay: an L2 penalty.
        amsgrad: whether the scale may only grow.
        maximize: whether to go up.
        decoupled_weight_decay: whether the decay is that of `adamw`.

    Returns:
        An optimizer, equal to `torch.optim.Adam` step by step.

    Raises:
        ValueError: if an argument is out of its range.

    Example:
        >>> import torch
        >>> params = {"w": torch.tensor(1.0)}
        >>> optimizer = adam(0.1)
        >>> updates, state = optimizer.update({"w": torch.tensor(2.0)}, optimizer.init(params), params)
        >>> updates
        {'w': tensor(-0.1000)}

    Source: Kingma and Ba (2015), arXiv:1412.6980, algorithm 1.

    Differs from `torch.optim.Adam`: a pure function, and the rate stands in the state as a tensor.
    """
    direction = scale_by_adam(betas, eps, amsgrad=amsgrad)
    decoupled = decoupled_weight_decay
    return descend(direction, lr=lr, weight_decay=weight_decay, decoupled=decoupled, maximize=maximize)


def adamw(
    lr: float | Schedule = 1e-3,
    *,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 1e-2,
    amsgrad: bool = False,
    maximize: bool = False,
) -> Optimizer:
    r"""AdamW, $\theta' = \theta - \eta\,(\hat m / (\sqrt{\hat v} + \epsilon) + \lambda \theta)$.

    Adam with a decay that its scale does not touch.

    Args:
        lr: $\eta$, or a schedule of the step count.
        betas: the decay of the first and second moment, dimensionless, each in [0, 1).
        eps: keeps the division finite, in units of the gradient.
        weight_decay: $\lambda$, dimensionless; for some of the leaves only, see `add_decayed_weights`.
        amsgrad: whether the scale may only grow.
        maximize: whether to go up.

    Returns:
        An optimizer, equal to `torch.optim.AdamW` step by step.

    Raises:
        ValueError: if an argument is out of its range.

    Example:
        >>> import torch
        >>> w = torch.tensor(10.0)
        >>> optimizer = adamw(0.1)
        >>> optimizer.update(torch.tensor(2.0), optimizer.init(w), w)[0]
        tensor(-0.1100)

    Source: Loshchilov and Hutter (2019), arXiv:1711.05101, algorithm 2.

    Differs from `torch.optim.AdamW`: a pure function, and the rate stands in the state as a tensor.
    """
    direction = scale_by_adam(betas, eps, amsgrad=amsgrad)
    return descend(direction, lr=lr, weight_decay=weight_decay, decoupled=True, maximize=maximize)
