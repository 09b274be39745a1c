"""Gradient transformations: pure `init`/`update` pairs, and how they are joined."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from funcsci import checks, tree
from funcsci.tree import Params, PyTree, Scalar


class Optimizer(NamedTuple):
    """A gradient transformation, or a chain of them: two pure functions.

    Attributes:
        init: `init(params) -> state`, a pytree of tensors.
        update: `update(grads, state, params) -> (updates, state)`; the updates have the structure
            of `params` and are added to them by `apply_updates`.
        needs_value: whether `update` also wants the loss at `params`, as `update(..., value=loss)`, a
            tensor of shape (). An optimizer made of others always accepts `value`, and hands it to
            those that need it.

    Example:
        >>> import torch
        >>> signs = Optimizer(lambda params: (), lambda grads, state, params: (grads.sign(), state))
        >>> optimizer = chain(signs, scale(-0.1))
        >>> w = torch.tensor(1.0)
        >>> optimizer.update(torch.tensor(5.0), optimizer.init(w), w)[0]
        tensor(-0.1000)
    """

    init: Callable[[Params], PyTree]
    update: Callable[..., tuple[Params, PyTree]]
    needs_value: bool = False


def call_update(
    optimizer: Optimizer, grads: Params, state: PyTree, params: Params, value: Scalar | None = None
) -> tuple[Params, PyTree]:
    """An optimizer's update, with the loss if it needs it; what every composite calls.

    Args:
        optimizer: any optimizer.
        grads: the gradients at `params`.
        state: the optimizer's state.
        params: a pytree of tensors.
        value: the loss at `params`, shape (), or None where nothing needs it.

    Returns:
        The updates and the next state.

    Raises:
        ValueError: if the optimizer needs the value and there is none.

    Example:
        >>> import torch
        >>> w = torch.tensor(1.0)
        >>> call_update(scale(2.0), w, (), w)
        (tensor(2.), ())
    """
    if not optimizer.needs_value:
        return optimizer.update(grads, state, params)
    return optimizer.update(grads, state, params, value=required(value))


def required(value: Scalar | None) -> Scalar:
    """The value, which must be there.

    Raises:
        ValueError: if it is None, or not of shape ().
    """
    if value is None:
        raise ValueError(
            "value must be the loss at params for this optimizer. Got value=None. "
            "Try optimizer.update(grads, state, params, value=loss)."
        )
    if value.dim() != 0:
        raise ValueError(
            f"value must have shape (). Got shape {tuple(value.shape)}. Pass the loss of these params alone."
        )
    return value


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
        >>> halve_twice = chain(scale(0.5), scale(0.5))
        >>> w = torch.tensor(1.0)
        >>> halve_twice.update(w, halve_twice.init(w), w)[0]
        tensor(0.2500)
    """
    if not transforms:
        raise ValueError("chain needs at least one transformation. Got none. Try chain(adam(0.01)).")

    def init(params: Params) -> PyTree:
        return tuple(one.init(params) for one in transforms)

    def update(
        grads: Params, state: PyTree, params: Params, *, value: Scalar | None = None
    ) -> tuple[Params, PyTree]:
        states = []
        for one, own in zip(transforms, state, strict=True):
            grads, new = call_update(one, grads, own, params, value)
            states.append(new)
        return grads, tuple(states)

    return Optimizer(init, update, any(one.needs_value for one in transforms))


def scale(factor: float) -> Optimizer:
    r"""Multiplies by a constant, $\Delta = c\, g$; with -1 it turns descent into ascent.

    Args:
        factor: $c$, dimensionless.

    Returns:
        An optimizer, one link of a `chain`; its state is empty.

    Raises:
        ValueError: if the factor is not finite.

    Example:
        >>> import torch
        >>> scale(-1.0).update(torch.tensor(2.0), (), torch.tensor(0.0))[0]
        tensor(-2.)
    """
    checks.finite(factor=factor)

    def update(grads: Params, state: PyTree, params: Params) -> tuple[Params, PyTree]:
        return tree.map(lambda grad: factor * grad, grads), state

    return Optimizer(lambda params: (), update)


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


def map_leaves(
    function: Callable[..., Any], params: Params, grads: Params, *state: PyTree
) -> tuple[Any, ...]:
    """Several trees at once, from a function of each leaf and of what stands in its place elsewhere.

    Args:
        function: takes a parameter, its gradient and its part of each tree of the state, and returns a
            tuple.
        params: gives the structure.
        grads: a tree of that structure.
        *state: trees of that structure, whose leaves may be trees themselves.

    Returns:
        As many trees as the function returns values.

    Raises:
        ValueError: if the structures differ; the message names the paths.

    Example:
        >>> import torch
        >>> map_leaves(lambda p, g: (p + g, p - g), {"w": torch.tensor(3)}, {"w": torch.tensor(1)})
        ({'w': tensor(4)}, {'w': tensor(2)})
    """
    leaves, structure = tree.flatten(params)
    try:
        columns = [structure.flatten_up_to(one) for one in (grads, *state)]
    except ValueError as error:
        tree.check_structure(params=params, grads=grads)
        raise ValueError(
            f"state must be that of these params. Got {error}. Make it by optimizer.init(params)."
        ) from error
    results = [function(*leaf) for leaf in zip(leaves, *columns, strict=True)]
    return tuple(tree.unflatten(structure, column) for column in zip(*results, strict=True))


def decay_factor(**values: object) -> None:
    """Each value is the factor of a running mean, in [0, 1).

    Raises:
        TypeError: if a value is not a real number.
        ValueError: if a value is outside [0, 1).
    """
    checks.non_negative(**values)
    for name, value in values.items():
        if value >= 1:  # type: ignore[operator]
            raise ValueError(checks.message("be below 1", name, value, f"Try {name}=0.9."))


def check_betas(betas: tuple[float, float]) -> None:
    """Both are factors of a running mean, in [0, 1)."""
    decay_factor(**{"betas[0]": betas[0], "betas[1]": betas[1]})
