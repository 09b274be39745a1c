"""Gradient transformations: pure `init`/`update` pairs, and how they are joined."""

import functools
from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeAlias

import torch
from torch import Tensor

from funcsci import checks, tree
from funcsci.tree import Params, PyTree, Scalar

Schedule: TypeAlias = Callable[[Scalar], Scalar]
"""A learning rate as a function of the 0-d count of steps taken."""


class Update(Protocol):
    """`update(grads, state, params) -> (updates, state)`."""

    def __call__(self, grads: Params, state: PyTree, params: Params, /) -> tuple[Params, PyTree]:
        """Turn gradients into updates, and the state into the next one."""
        ...


class Optimizer(NamedTuple):
    """A gradient transformation, or a chain of them: two pure functions.

    Attributes:
        init: `init(params) -> state`, a pytree of tensors.
        update: `update(grads, state, params) -> (updates, state)`; the updates have the structure
            of `params` and are added to them by `apply_updates`.
    """

    init: Callable[[Params], PyTree]
    update: Update


def apply_updates(params: Params, updates: Params) -> Params:
    r"""The next parameters, $\theta' = \theta + \Delta\theta$.

    Args:
        params: a pytree of tensors.
        updates: a pytree of the same structure and shapes.

    Returns:
        A new pytree with the structure, shapes and dtypes of `params`.

    Raises:
        ValueError: if the structures differ; the message names the paths.

    Example:
        >>> import torch
        >>> apply_updates({"w": torch.tensor(1.0)}, {"w": torch.tensor(0.5)})
        {'w': tensor(1.5000)}
    """
    tree.check_structure(params=params, updates=updates)
    return tree.map(lambda param, update: param + update.to(param.dtype), params, updates)


def chain(*transforms: Optimizer) -> Optimizer:
    """One optimizer that applies each transformation to the result of the one before.

    Args:
        *transforms: at least one optimizer.

    Returns:
        An optimizer whose state is the tuple of their states.

    Raises:
        ValueError: if there is none.

    Example:
        >>> import torch
        >>> halve_twice = chain(scale_by_learning_rate(0.5), scale_by_learning_rate(0.5))
        >>> w = torch.tensor(1.0)
        >>> halve_twice.update(w, halve_twice.init(w), w)[0]
        tensor(0.2500)
    """
    if not transforms:
        raise ValueError("chain needs at least one transformation. Got none. Try chain(adam(0.01)).")

    def init(params: Params) -> PyTree:
        return tuple(one.init(params) for one in transforms)

    def update(grads: Params, state: PyTree, params: Params) -> tuple[Params, PyTree]:
        states = []
        for one, own in zip(transforms, state, strict=True):
            grads, new = one.update(grads, own, params)
            states.append(new)
        return grads, tuple(states)

    return Optimizer(init, update)


class ScaleState(NamedTuple):
    """The state of `scale_by_learning_rate`: the rate itself, so that it can be read and replaced.

    Attributes:
        learning_rate: the rate, shape (), in the widest dtype of the parameters.
    """

    learning_rate: Scalar


class ScheduleState(NamedTuple):
    """The state of `scale_by_learning_rate` with a schedule.

    Attributes:
        steps: the number of steps taken, int64, shape ().
    """

    steps: Scalar


def scale_by_learning_rate(learning_rate: float | Schedule) -> Optimizer:
    r"""Steps down the gradient, $\Delta\theta = -\eta g$.

    Args:
        learning_rate: $\eta$, kept in the state as a 0-d tensor of the parameters' dtype; or a
            schedule, a function of the 0-d count of steps taken.

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
    if callable(learning_rate):
        schedule = learning_rate

        def scheduled(grads: Params, state: ScheduleState, params: Params) -> tuple[Params, ScheduleState]:
            rate = schedule(state.steps)
            if not isinstance(rate, Tensor) or rate.dim() != 0:
                raise TypeError(
                    f"A schedule must return a tensor of shape (). Got {rate!r}. Compute it from the count."
                )
            return _descend(rate, grads), ScheduleState(state.steps + 1)

        return Optimizer(lambda params: ScheduleState(zero_steps(params)), scheduled)

    checks.non_negative(learning_rate=learning_rate)

    def init(params: Params) -> ScaleState:
        dtype, device = placement(params)
        return ScaleState(torch.full((), learning_rate, dtype=dtype, device=device))

    def update(grads: Params, state: ScaleState, params: Params) -> tuple[Params, ScaleState]:
        return _descend(state.learning_rate, grads), state

    return Optimizer(init, update)


def _descend(rate: Scalar, grads: Params) -> Params:
    return tree.map(lambda grad: -rate.to(grad.dtype) * grad, grads)


def zero_steps(params: Params) -> Scalar:
    """A step counter: int64 zero of shape (), on the device of the parameters."""
    return torch.zeros((), dtype=torch.int64, device=placement(params)[1])


def zeros(params: Params) -> Params:
    """The first value of a running mean: zero at each leaf; the checks are those of `placement`."""
    placement(params)
    return tree.map(torch.zeros_like, params)


def placement(params: Params) -> tuple[torch.dtype, torch.device]:
    """Where an optimizer's scalars live: the widest dtype of the parameters, and their device.

    Raises:
        TypeError: if a leaf is not a floating-point tensor.
        ValueError: if there are no parameters.

    Example:
        >>> placement({"w": torch.ones(2), "b": torch.ones(2, dtype=torch.float64)})
        (torch.float64, device(type='cpu'))
    """
    tree.check_tensors(params=params)
    leaves = tree.leaves(params)
    if not leaves:
        raise ValueError("params must hold at least one tensor. Got an empty tree. Add what to optimize.")
    for path, leaf in zip(tree.paths(params, "params"), leaves, strict=True):
        if not leaf.is_floating_point():
            raise TypeError(
                f"{path} must have a floating-point dtype. Got {leaf.dtype}. Cast it, or freeze it."
            )
    return functools.reduce(torch.promote_types, (leaf.dtype for leaf in leaves)), leaves[0].device
