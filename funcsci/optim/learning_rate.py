"""The learning rate: a tensor in the state, or a function of the number of steps taken."""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from funcsci import checks, tree
from funcsci.optim.transform import Optimizer, placement, zero_steps
from funcsci.tree import Params, PyTree, Scalar

Schedule: TypeAlias = Callable[[Scalar], Scalar]
"""A learning rate as a function of the 0-d count of steps taken."""


class ScaleState(NamedTuple):
    """A constant learning rate: the rate itself, so that it can be read and replaced.

    Attributes:
        learning_rate: the rate, shape (), in the widest dtype of the parameters.
    """

    learning_rate: Scalar


class ScheduleState(NamedTuple):
    """A scheduled learning rate.

    Attributes:
        steps: the number of steps taken, int64, shape ().
    """

    steps: Scalar


class LearningRate(NamedTuple):
    """A rate as two pure functions, for the transformations that it enters in their own way.

    Attributes:
        init: `init(params) -> state`, a `ScaleState` or a `ScheduleState`.
        read: `read(state) -> (rate, state)`, the 0-d rate of this step and the state of the next.
    """

    init: Callable[[Params], PyTree]
    read: Callable[[PyTree], tuple[Scalar, PyTree]]


def learning_rate_of(lr: float | Schedule) -> LearningRate:
    """The rate that a number or a schedule stands for.

    Args:
        lr: a rate that is not negative, or a function of the 0-d count of steps taken.

    Returns:
        The functions that keep and read it.

    Raises:
        ValueError: if the rate is negative or not finite.
        TypeError: (when read) if a schedule returns something other than a 0-d tensor.

    Example:
        >>> import torch
        >>> rate = learning_rate_of(0.1)
        >>> rate.read(rate.init(torch.tensor(1.0)))
        (tensor(0.1000), ScaleState(learning_rate=tensor(0.1000)))
    """
    if callable(lr):
        schedule = lr

        def scheduled(state: ScheduleState) -> tuple[Scalar, ScheduleState]:
            rate = schedule(state.steps)
            if not isinstance(rate, Tensor) or rate.dim() != 0:
                raise TypeError(
                    f"A schedule must return a tensor of shape (). Got {rate!r}. Compute it from the count."
                )
            return rate, ScheduleState(state.steps + 1)

        return LearningRate(lambda params: ScheduleState(zero_steps(params)), scheduled)

    checks.non_negative(lr=lr)

    def init(params: Params) -> ScaleState:
        dtype, device = placement(params)
        return ScaleState(torch.full((), lr, dtype=dtype, device=device))

    return LearningRate(init, lambda state: (state.learning_rate, state))


def scale_by_learning_rate(lr: float | Schedule) -> Optimizer:
    r"""Steps down the gradient, $\Delta\theta = -\eta g$.

    Args:
        lr: $\eta$, kept in the state as a 0-d tensor of the parameters' dtype; or a schedule, a
            function of the 0-d count of steps taken.

    Returns:
        An optimizer. Replacing `learning_rate` in its state changes the rate and compiles nothing.

    Raises:
        ValueError: if the rate is negative or not finite.
        TypeError: (when called) if a schedule returns something other than a 0-d tensor.

    Example:
        >>> import torch
        >>> optimizer = scale_by_learning_rate(0.1)
        >>> w = torch.tensor(1.0)
        >>> faster = optimizer.init(w)._replace(learning_rate=torch.tensor(0.5))
        >>> optimizer.update(w, faster, w)[0]
        tensor(-0.5000)
    """
    rate = learning_rate_of(lr)

    def update(grads: Params, state: PyTree, params: Params) -> tuple[Params, PyTree]:
        now, state = rate.read(state)
        # In each leaf's own dtype: under vmap a 0-d float64 tensor would widen a float32 leaf.
        return tree.map(lambda grad: -now.to(grad.dtype) * grad, grads), state

    return Optimizer(rate.init, update)
