"""Optimizers that use the gradient alone: each a short chain of transformations."""

from collections.abc import Callable
from typing import NamedTuple

import torch

from funcsci import checks, tree
from funcsci.optim.transform import Optimizer, Schedule, chain, scale_by_learning_rate, zero_steps, zeros
from funcsci.tree import Params, Scalar


class MomentumState(NamedTuple):
    """The running direction of `scale_by_momentum`.

    Attributes:
        momentum: $b$, of the structure, shapes and dtypes of the parameters.
    """

    momentum: Params


def scale_by_momentum(momentum: float, *, nesterov: bool = False) -> Optimizer:
    r"""A running sum of gradients, $b' = \mu b + g$; Nesterov's form looks ahead, $g + \mu b'$.

    Args:
        momentum: the factor $\mu$, dimensionless, at least 0.
        nesterov: whether to return $g + \mu b'$ instead of $b'$.

    Returns:
        An optimizer, one link of a `chain`.

    Raises:
        ValueError: if `momentum` is negative.

    Example:
        >>> import torch
        >>> direction = scale_by_momentum(0.5)
        >>> params, grads = torch.tensor(0.0), torch.tensor(1.0)
        >>> first, state = direction.update(grads, direction.init(params), params)
        >>> first, direction.update(grads, state, params)[0]
        (tensor(1.), tensor(1.5000))

    Source: Sutskever et al. (2013), On the importance of initialization and momentum in deep
    learning, ICML.

    Differs from optax's `trace` in the name of the factor alone.
    """
    checks.non_negative(momentum=momentum)

    def init(params: Params) -> MomentumState:
        return MomentumState(zeros(params))

    def update(grads: Params, state: MomentumState, params: Params) -> tuple[Params, MomentumState]:
        buffer = tree.map(lambda b, g: momentum * b + g, state.momentum, grads)
        ahead = tree.map(lambda g, b: g + momentum * b, grads, buffer) if nesterov else buffer
        return ahead, MomentumState(buffer)

    return Optimizer(init, update)


class AdamState(NamedTuple):
    """The two running moments of `scale_by_adam`.

    Attributes:
        steps: $n$, the number of steps taken, int64, shape ().
        first_moment: $m$, of the structure, shapes and dtypes of the parameters.
        second_moment: $v$, likewise.
    """

    steps: Scalar
    first_moment: Params
    second_moment: Params


def scale_by_adam(betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8) -> Optimizer:
    r"""Adam's direction, $\hat m / (\sqrt{\hat v} + \epsilon)$.

    $m' = \beta_1 m + (1 - \beta_1) g,\quad v' = \beta_2 v + (1 - \beta_2) g^2,\quad
    \hat m = m' / (1 - \beta_1^n),\quad \hat v = v' / (1 - \beta_2^n)$ at step $n$.

    Args:
        betas: the decay of the two moments, dimensionless, each in [0, 1).
        eps: keeps the division finite, in units of the gradient.

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

    Source: Kingma and Ba (2015), arXiv:1412.6980, algorithm 1.
    """
    first, second = betas
    for name, beta in (("betas[0]", first), ("betas[1]", second)):
        checks.non_negative(**{name: beta})
        if beta >= 1:
            raise ValueError(checks.message("be below 1", name, beta, "Try betas=(0.9, 0.999)."))
    checks.non_negative(eps=eps)

    def init(params: Params) -> AdamState:
        return AdamState(zero_steps(params), zeros(params), zeros(params))

    def update(grads: Params, state: AdamState, params: Params) -> tuple[Params, AdamState]:
        steps = state.steps + 1
        m = tree.map(lambda m, g: m + (1 - first) * (g - m), state.first_moment, grads)
        v = tree.map(lambda v, g: second * v + (1 - second) * g * g, state.second_moment, grads)

        # In float64, where 1 - beta^n keeps its digits, and then in each leaf's own dtype: under vmap a
        # 0-d float64 tensor would widen a float32 leaf.
        exponent = steps.to(torch.float64)
        first_scale = 1 / (1 - first**exponent)
        second_scale = torch.rsqrt(1 - second**exponent)

        def direction(m: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
            return first_scale.to(m.dtype) * m / (torch.sqrt(v) * second_scale.to(m.dtype) + eps)

        return tree.map(direction, m, v), AdamState(steps, m, v)

    return Optimizer(init, update)


def sgd(
    learning_rate: float | Schedule = 1e-3, *, momentum: float = 0.0, nesterov: bool = False
) -> Optimizer:
    r"""Stochastic gradient descent, $\theta' = \theta - \eta b'$ with $b' = \mu b + g$.

    Args:
        learning_rate: $\eta$, or a schedule of the step count.
        momentum: $\mu$, dimensionless; 0 keeps no state for it.
        nesterov: whether the momentum looks ahead.

    Returns:
        An optimizer, equal to `torch.optim.SGD` step by step.

    Raises:
        ValueError: if an argument is negative, or `nesterov` stands without momentum.

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
    if momentum == 0:
        return scale_by_learning_rate(learning_rate)
    return chain(scale_by_momentum(momentum, nesterov=nesterov), scale_by_learning_rate(learning_rate))


def adam(
    learning_rate: float | Schedule = 1e-3, *, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8
) -> Optimizer:
    r"""Adam, $\theta' = \theta - \eta\, \hat m / (\sqrt{\hat v} + \epsilon)$.

    Args:
        learning_rate: $\eta$, or a schedule of the step count.
        betas: the decay of the first and second moment, dimensionless, each in [0, 1).
        eps: keeps the division finite, in units of the gradient.

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
    return chain(scale_by_adam(betas, eps), scale_by_learning_rate(learning_rate))


OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {"adam": adam, "sgd": sgd}
"""Each optimizer by its name: a constructor whose first argument is the learning rate or a schedule."""
