"""Where the channels lie in memory."""

from typing import overload

import torch
from torch import Tensor

from funcsci import checks
from funcsci.nn.model import Model, Params, State, StatefulModel
from funcsci.random import Key

FIELDS = (4, 5)
"""The numbers of dimensions of what has a layout, `(batch, channels, *size)`."""


@overload
def channels_last(model: Model) -> Model: ...
@overload
def channels_last(model: StatefulModel) -> StatefulModel: ...
def channels_last(model: Model | StatefulModel) -> Model | StatefulModel:
    """The same function, whose input is laid out with the channels innermost in memory.

    Shapes and values stay as they are. Convolutions keep the layout they are given, and on CPUs they, the
    normalisation and the pooling between them run faster in this one, compiled or not.

    Args:
        model: of either kind; params and state are its own.

    Returns:
        A model of the same kind. An input of four or five dimensions, `(batch, channels, *size)`, is copied
        to the layout; other inputs pass as they are.

    Raises:
        TypeError: if `model` is no model.

    Example:
        >>> import torch
        >>> from funcsci import nn, random
        >>> model = channels_last(nn.conv2d(3, 8, 3))
        >>> y = model.apply(model.init(random.key(0)), torch.zeros(2, 3, 10, 10))
        >>> y.shape, y.stride()
        (torch.Size([2, 8, 8, 8]), (512, 1, 64, 8))
    """
    if isinstance(model, StatefulModel):
        inner = model

        def apply_with_state(
            params: Params, state: State, x: Tensor, *, train: bool, key: Key | None = None
        ) -> tuple[Tensor, State]:
            return inner.apply(params, state, _laid_out(x), train=train, key=key)

        return StatefulModel(inner.init, apply_with_state)
    if not isinstance(model, Model):
        must = "be a Model or a StatefulModel"
        raise TypeError(checks.message(must, "model", model, "Try nn.conv2d(1, 8, 3)."))
    return Model(model.init, lambda params, x: model.apply(params, _laid_out(x)))


def _laid_out(x: Tensor) -> Tensor:
    if x.dim() not in FIELDS:
        return x
    # A copy, also where one channel has both layouts at once: its strides tell the kernels which is meant.
    # Under vmap there is no `to(memory_format=...)`.
    return x.movedim(1, -1).clone(memory_format=torch.contiguous_format).movedim(-1, 1)
