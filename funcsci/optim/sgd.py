"""Stochastic gradient descent with momentum."""

from typing import NamedTuple

import torch
from torch import Tensor

from funcsci import checks
from funcsci.optim.descent import descend
from funcsci.optim.learning_rate import Schedule
from funcsci.optim.transform import Optimizer, map_leaves, zero_steps, zeros
from funcsci.tree import Params, Scalar


class MomentumState(NamedTuple):
    """The running direction of `scale_by_momentum`.

    Attributes:
        steps: the number of steps taken, int64, shape ().
        momentum: $b$, of the structure, shapes and dtypes of the parameters.
    """

    steps: Scalar
    momentum: Params


def scale_by_momentum(momentum: float, *, dampening: float = 0.0, nesterov: bool = False) -> Optimizer:
    r"""A running sum of gradients, $b' = \mu b + (1 - \tau) g$; Nesterov's form looks ahead, $g + \mu b'$.

    The first step takes $b' = g$.

    Args:
        momentum: the factor $\mu$, dimensionless, at least 0.
        dampening: $\tau$, dimensionless.
        nesterov: whether to return $g + \mu b'$ instead of $b'$.

    Returns:
        An optimizer, one link of a `chain`.

    Raises:
        ValueError: if `momentum` is negative, or an argument is not finite.

    Example:
        >>> import torch
        >>> direction = scale_by_momentum(0.5)
        >>> params, grads = torch.tensor(0.0), torch.tensor(1.0)
        >>> first, state = direction.update(grads, direction.init(params), params)
        >>> first, direction.update(grads, state, params)[0]
        (tensor(1.), tensor(1.5000))

    Source: Sutskever et al. (2013), On the importance of initialization and momentum in deep
    learning, ICML.
    """
    checks.non_negative(momentum=momentum)
    checks.finite(dampening=dampening)

    def init(params: Params) -> MomentumState:
        return MomentumState(zero_steps(params), zeros(params))

    def update(grads: Params, state: MomentumState, params: Params) -> tuple[Params, MomentumState]:
        share = 1 - dampening * (state.steps > 0).to(torch.float64)

        def leaf(p: Tensor, g: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
            new = g if dampening == 0 else share.to(g.dtype) * g
            b = momentum * b + new
            return g + momentum * b if nesterov else b, b

        ahead, buffer = map_leaves(leaf, params, grads, state.momentum)
        return ahead, MomentumState(state.steps + 1, buffer)

    return Optimizer(init, update)


def sgd(
    lr: float | Schedule = 1e-3,
    *,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
    maximize: bool = False,
) -> Optimizer:
    r"""Stochastic gradient descent, $\theta' = \theta - \eta b'$.

    $b' = \mu b + (1 - \tau)(g + \lambda\theta)$ is the momentum, and $g + \lambda\theta$ at the first step.

    Args:
        lr: $\eta$, or a schedule of the step count.
        momentum: $\mu$, dimensionless; 0 keeps no state for it.
        dampening: $\tau$, dimensionless.
        weight_decay: $\lambda$, an L2 penalty.
        nesterov: whether the momentum looks ahead.
        maximize: whether to go up.

    Returns:
        An optimizer, equal to `torch.optim.SGD` step by step.

    Raises:
        ValueError: if an argument is negative, or `nesterov` stands without momentum or with dampening.

    Example:
        >>> import torch
        >>> params = {"w": torch.tensor(1.0)}
        >>> optimizer = sgd(0.1)
        >>> updates, state = optimizer.update({"w": torch.tensor(2.0)}, optimizer.init(params), params)
        >>> updates
        {'w': tensor(-0.2000)}

    Source: Robbins and Monro (1951), doi:10.1214/aoms/1177729586; Sutskever et al. (2013), ICML
    (momentum).

    Differs from `torch.optim.SGD`: a pure function, and the rate stands in the state as a tensor.
    """
    checks.non_negative(momentum=momentum)
    if nesterov and momentum == 0:
        must = "be positive with nesterov=True"
        raise ValueError(checks.message(must, "momentum", momentum, "Try momentum=0.9."))
    if nesterov and dampening != 0:
        raise ValueError(
            checks.message("be 0 with nesterov=True", "dampening", dampening, "Try dampening=0.0.")
        )
    direction = scale_by_momentum(momentum, dampening=dampening, nesterov=nesterov)
    directions = [direction] if momentum != 0 else []
    return descend(*directions, lr=lr, weight_decay=weight_decay, maximize=maximize)
