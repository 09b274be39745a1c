"""Different optimizers for different leaves, chosen by path."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import torch
from torch import Tensor

from funcsci import tree
from funcsci.optim.transform import Optimizer, call_update
from funcsci.tree import Params, PyTree, Scalar

Mask: TypeAlias = Callable[[str, Tensor], bool] | PyTree
"""Which leaves: a predicate of path and leaf, or a tree of bools for leaves or whole branches."""
Labels: TypeAlias = Callable[[str, Tensor], str] | PyTree
"""A label for each leaf: a function of path and leaf, or a tree of strings for leaves or whole branches."""


def masked(optimizer: Optimizer, mask: Mask) -> Optimizer:
    """An optimizer for some of the leaves; the gradients of the others pass through as they are.

    It sees the tree with empty tuples in place of the others, so the paths do not change. To hold
    the others fixed instead, use `multi_transform` with `freeze`.

    Args:
        optimizer: what to apply where the mask is true; not called where it nowhere is.
        mask: `mask(path, leaf)` with paths as `tree.paths(params)` gives them, or a tree of bools, in
            which one bool may stand for a whole branch.

    Returns:
        An optimizer.

    Raises:
        ValueError: (when called) if the tree of bools does not fit the parameters.
        TypeError: (when called) if the mask says something other than True or False.

    Example:
        >>> import torch
        >>> from funcsci.optim import scale
        >>> halve = masked(scale(0.5), lambda path, leaf: "weight" in path)
        >>> params = {"weight": torch.ones(1), "bias": torch.ones(1)}
        >>> halve.update(params, halve.init(params), params)[0]
        {'weight': tensor([0.5000]), 'bias': tensor([1.])}
    """

    def chosen(params: Params) -> list[bool]:
        flags = _spread(mask, params, "mask")
        for path, flag in zip(tree.paths(params), flags, strict=True):
            if not isinstance(flag, bool):
                raise TypeError(f"mask must be True or False. Got {flag!r} at params{path}. Try True.")
        return flags

    def init(params: Params) -> PyTree:
        tree.check_tensors(params=params)
        flags = chosen(params)
        return optimizer.init(_keep(params, flags)) if any(flags) else ()

    def update(
        grads: Params, state: PyTree, params: Params, *, value: Scalar | None = None
    ) -> tuple[Params, PyTree]:
        tree.check_structure(params=params, grads=grads)
        flags = chosen(params)
        if not any(flags):
            return grads, state
        updates, state = call_update(optimizer, _keep(grads, flags), state, _keep(params, flags), value)
        return _fill(grads, flags, updates), state

    return Optimizer(init, update, optimizer.needs_value)


def multi_transform(optimizers: Mapping[str, Optimizer], labels: Labels) -> Optimizer:
    """An optimizer for each group of leaves: other rates by path, or frozen parts.

    Args:
        optimizers: from label to optimizer; one whose label no leaf has is not called.
        labels: `labels(path, leaf)` with paths as `tree.paths(params)` gives them, or a tree of strings,
            in which one string may stand for a whole branch.

    Returns:
        An optimizer whose state is a dict from label to state.

    Raises:
        ValueError: if there is no optimizer; (when called) if a label is unknown, or the tree of labels
            does not fit the parameters.

    Example:
        >>> import torch
        >>> from funcsci.optim import sgd
        >>> params = {"body": [torch.ones(1), torch.ones(1)], "head": torch.ones(1)}
        >>> labels = {"body": "fixed", "head": "fast"}
        >>> optimizer = multi_transform({"fixed": freeze(), "fast": sgd(0.5)}, labels)
        >>> optimizer.update(params, optimizer.init(params), params)[0]
        {'body': [tensor([0.]), tensor([0.])], 'head': tensor([-0.5000])}

    Differs from a `torch.optim` optimizer with groups: each group has an optimizer of its own.
    """
    if not optimizers:
        raise ValueError("optimizers must hold at least one optimizer. Got {}. Try {'all': adam(1e-3)}.")

    def groups(params: Params) -> dict[str, list[bool]]:
        found = _spread(labels, params, "labels")
        for path, label in zip(tree.paths(params), found, strict=True):
            if label not in optimizers:
                known = ", ".join(map(repr, sorted(optimizers)))
                raise ValueError(
                    f"labels must be among those of optimizers, {known}. Got {label!r} at params{path}. "
                    "Add an optimizer for it; freeze() holds leaves fixed."
                )
        return {label: [one == label for one in found] for label in sorted(optimizers)}

    def init(params: Params) -> dict[str, PyTree]:
        tree.check_tensors(params=params)
        if not tree.leaves(params):
            raise ValueError("params must hold at least one tensor. Got an empty tree. Add what to optimize.")
        return {
            label: optimizers[label].init(_keep(params, flags)) if any(flags) else ()
            for label, flags in groups(params).items()
        }

    def update(
        grads: Params, state: dict[str, PyTree], params: Params, *, value: Scalar | None = None
    ) -> tuple[Params, dict[str, PyTree]]:
        tree.check_structure(params=params, grads=grads)
        updates, states = grads, dict(state)
        for label, flags in groups(params).items():
            if any(flags):
                part = _keep(grads, flags), state[label], _keep(params, flags)
                moved, states[label] = call_update(optimizers[label], *part, value)
                updates = _fill(updates, flags, moved)
        return updates, states

    return Optimizer(init, update, any(one.needs_value for one in optimizers.values()))


def freeze() -> Optimizer:
    r"""No step at all, $\Delta\theta = 0$: for the parts of `multi_transform` that are to stay.

    Returns:
        An optimizer; its state is empty, and its leaves may have any dtype.

    Example:
        >>> import torch
        >>> freeze().update(torch.tensor(2.0), (), torch.tensor(1.0))
        (tensor(0.), ())
    """

    def update(grads: Params, state: PyTree, params: Params) -> tuple[Params, PyTree]:
        return tree.map(torch.zeros_like, grads), state

    return Optimizer(lambda params: (), update)


def _spread(rule: Any, params: Params, name: str) -> list[Any]:
    """What a function or a tree says of each leaf of params, in order."""
    leaves, structure = tree.flatten(params)
    if callable(rule):
        return [rule(path, leaf) for path, leaf in zip(tree.paths(params), leaves, strict=True)]
    said, shape = tree.flatten(rule)
    try:
        branches = shape.flatten_up_to(params)
    except ValueError as error:
        raise ValueError(
            f"{name} must have the structure of params, or of its first branches. "
            f"Got {shape}, where params is of {structure}. Try a function of path and leaf."
        ) from error
    return [one for one, branch in zip(said, branches, strict=True) for _ in tree.leaves(branch)]


def _keep(one: PyTree, flags: list[bool]) -> PyTree:
    """The tree with an empty tuple in place of each leaf whose flag is false."""
    leaves, structure = tree.flatten(one)
    kept = [leaf if flag else () for leaf, flag in zip(leaves, flags, strict=True)]
    return tree.unflatten(structure, kept)


def _fill(one: PyTree, flags: list[bool], kept: PyTree) -> PyTree:
    """The tree with the leaves of `kept` where the flags are true."""
    leaves, structure = tree.flatten(one)
    new = iter(tree.leaves(kept))
    return tree.unflatten(
        structure, [next(new) if flag else leaf for leaf, flag in zip(leaves, flags, strict=True)]
    )
