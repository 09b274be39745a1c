"""What a model is: two pure functions, and how models are lifted and joined."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias, overload

import torch
from torch import Tensor

from funcsci import checks, random
from funcsci.random import Key
from funcsci.tree import Params as Params
from funcsci.tree import PyTree

State: TypeAlias = PyTree
"""A pytree of tensors that a model carries along but does not learn, such as running statistics."""


class Model(NamedTuple):
    """A pure function of parameters and input, and the function that makes its first parameters.

    `init(key, *, dtype=None, device=None) -> params` and `apply(params, x) -> y`.

    Attributes:
        init: makes the params from a key. `dtype=None` is torch's default dtype, `device=None` the
            key's device. The same key gives the same params on every device.
        apply: the function itself. It changes nothing, so `grad`, `vmap` and `jit` apply to it.

    Example:
        >>> import torch
        >>> from funcsci import random
        >>> scale = Model(
        ...     init=lambda key, *, dtype=None, device=None: torch.full((), 3.0, dtype=dtype, device=device),
        ...     apply=lambda params, x: params * x,
        ... )
        >>> scale.apply(scale.init(random.key(0)), torch.tensor([1.0, 2.0]))
        tensor([3., 6.])

    Differs from: `torch.nn.Module`, which holds its parameters and changes its buffers in place.
    """

    init: Callable[..., Params]
    apply: Callable[..., Tensor]


class StatefulModel(NamedTuple):
    """A model with running statistics or random numbers, which it takes and returns explicitly.

    `init(key, *, dtype=None, device=None) -> (params, state)` and
    `apply(params, state, x, *, train, key=None) -> (y, state)`.

    Attributes:
        init: makes the params, which are learned, and the state, which is carried along.
        apply: the function itself. `train` tells training from evaluation; `key` is what dropout
            draws from, and only layers that draw need one.
    """

    init: Callable[..., tuple[Params, State]]
    apply: Callable[..., tuple[Tensor, State]]


Layer: TypeAlias = Model | StatefulModel | Callable[[Tensor], Tensor]
"""What `sequential` joins: a model of either kind, or a plain function of one tensor."""


def placed(key: Key, device: str | torch.device | None) -> Key:
    """The key on the device (None: where it is), so that what is made from it is made there.

    Raises:
        TypeError: if `key` is not a tensor, as when a seed is passed for a key.
        ValueError: if `device` cannot be read as a device.
        RuntimeError: if there is no such device here.
    """
    if not isinstance(key, Tensor):
        seed = key if isinstance(key, int) else 0
        raise TypeError(f"key must be a key, not a seed. Got key={key!r}. Try key=random.key({seed}).")
    if device is None:
        return key
    checks.device(device=device, abstract=True)
    return key.to(device)


def stateful(model: Model | StatefulModel) -> StatefulModel:
    """The model in its stateful form, `apply(params, state, x) = (model.apply(params, x), state)`.

    Args:
        model: a model of either kind; one that is stateful already is returned as it is.

    Returns:
        A model whose state is an empty tree, and whose `train` and `key` change nothing.

    Raises:
        TypeError: if `model` is neither kind of model.

    Example:
        >>> import torch
        >>> from funcsci import nn, random
        >>> model = nn.stateful(nn.linear(2, 3))
        >>> params, state = model.init(random.key(0))
        >>> y, state = model.apply(params, state, torch.ones(5, 2), train=True)
        >>> y.shape, state
        (torch.Size([5, 3]), {})
    """
    if isinstance(model, StatefulModel):
        return model
    if not isinstance(model, Model):
        raise TypeError(
            f"model must be a Model or a StatefulModel. Got model={model!r}. "
            "Try nn.linear(2, 3), or nn.sequential to lift a plain function."
        )

    def init(
        key: Key, *, dtype: torch.dtype | None = None, device: str | torch.device | None = None
    ) -> tuple[Params, State]:
        return model.init(key, dtype=dtype, device=device), {}

    def apply(
        params: Params, state: State, x: Tensor, *, train: bool, key: Key | None = None
    ) -> tuple[Tensor, State]:
        return model.apply(params, x), state

    return StatefulModel(init, apply)


@overload
def sequential(*models: Model | Callable[[Tensor], Tensor]) -> Model: ...
@overload
def sequential(*models: Layer) -> Model | StatefulModel: ...
def sequential(*models: Layer) -> Model | StatefulModel:
    """The models one after the other, `y = f_n(... f_2(f_1(x)))`.

    Args:
        *models: models of either kind, or plain functions such as `torch.tanh`, which learn nothing.

    Returns:
        A `Model`, or a `StatefulModel` if any part is one. Its params (and its state) are a list with
        one entry per part, an empty dict for a part that has none. Part `i` draws from
        `random.fold_in(key, i)`, both in `init` and in `apply`.

    Raises:
        TypeError: if a part is neither a model nor a function.
        ValueError: if there are no parts; and, when applied, if the params have another length.

    Example:
        >>> import torch
        >>> from funcsci import nn, random, tree
        >>> model = nn.sequential(nn.linear(1, 8), torch.tanh, nn.linear(8, 1))
        >>> params = model.init(random.key(0))
        >>> tree.paths(params, "params")  # doctest: +NORMALIZE_WHITESPACE
        ["params[0]['bias']", "params[0]['weight']",
         "params[2]['bias']", "params[2]['weight']"]
        >>> model.apply(params, torch.zeros(5, 1)).shape
        torch.Size([5, 1])

    Differs from: `torch.nn.Sequential` in taking plain functions as layers; the indices are the same.
    """
    if not models:
        raise ValueError("models must hold at least one model. Got models=(). Try nn.linear(1, 1).")
    parts = [_as_model(index, model) for index, model in enumerate(models)]
    plain = [part for part in parts if isinstance(part, Model)]
    if len(plain) == len(parts):
        return _join(plain)
    return _join_stateful([stateful(part) for part in parts])


def _join(parts: list[Model]) -> Model:
    def init(
        key: Key, *, dtype: torch.dtype | None = None, device: str | torch.device | None = None
    ) -> Params:
        key = placed(key, device)
        return [
            part.init(random.fold_in(key, index), dtype=dtype, device=device)
            for index, part in enumerate(parts)
        ]

    def apply(params: Params, x: Tensor) -> Tensor:
        check_length(len(parts), params=params)
        for index, part in enumerate(parts):
            x = part.apply(params[index], x)
        return x

    return Model(init, apply)


def _join_stateful(parts: list[StatefulModel]) -> StatefulModel:
    def init(
        key: Key, *, dtype: torch.dtype | None = None, device: str | torch.device | None = None
    ) -> tuple[Params, State]:
        key = placed(key, device)
        made = [
            part.init(random.fold_in(key, index), dtype=dtype, device=device)
            for index, part in enumerate(parts)
        ]
        return [params for params, _ in made], [state for _, state in made]

    def apply(
        params: Params, state: State, x: Tensor, *, train: bool, key: Key | None = None
    ) -> tuple[Tensor, State]:
        check_length(len(parts), params=params, state=state)
        states = []
        for index, part in enumerate(parts):
            part_key = None if key is None else random.fold_in(key, index)
            x, part_state = part.apply(params[index], state[index], x, train=train, key=part_key)
            states.append(part_state)
        return x, states

    return StatefulModel(init, apply)


def _as_model(index: int, layer: Any) -> Model | StatefulModel:
    """The layer as a model: a plain function becomes one whose params are an empty dict."""
    if isinstance(layer, (Model, StatefulModel)):
        return layer
    if isinstance(layer, type) or not callable(layer):
        raise TypeError(
            f"models[{index}] must be a model or a function of one tensor. Got {layer!r}. "
            "Try nn.linear(2, 3) or torch.tanh."
        )
    check_no_parameters(**{f"models[{index}]": layer})

    def init(
        key: Key, *, dtype: torch.dtype | None = None, device: str | torch.device | None = None
    ) -> Params:
        return {}

    def apply(params: Params, x: Tensor) -> Tensor:
        y: Tensor = layer(x)
        return y

    return Model(init, apply)


def check_no_parameters(**functions: object) -> None:
    """No function is a Module with weights: they would be constants, never learned, and no one would be told.

    Raises:
        TypeError: if a function is a `torch.nn.Module` that has parameters.
    """
    for name, function in functions.items():
        if isinstance(function, torch.nn.Module) and next(function.parameters(), None) is not None:
            raise TypeError(
                f"{name} must keep its parameters outside. Got the Module {type(function).__name__}, whose "
                "parameters would not be learned. Use the library's own layer, such as nn.linear, or a plain "
                "function, such as torch.tanh."
            )


def check_length(expected: int, **trees: PyTree) -> None:
    """Each tree is a list or tuple with the expected number of entries, one per layer.

    Raises:
        TypeError: if a tree is no list.
        ValueError: if it has more or fewer entries.
    """
    for name, tree in trees.items():
        if not isinstance(tree, (list, tuple)):
            raise TypeError(
                f"{name} must be a list of {expected} entries, one per layer. Got a {type(tree).__name__}. "
                "Use what init returns."
            )
        if len(tree) != expected:
            raise ValueError(
                f"{name} must have {expected} entries, one per layer. Got {len(tree)}. "
                "Use what this model's init returns."
            )
