"""Activation functions by name."""

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from funcsci import checks
from funcsci.nn.model import check_no_parameters

Activation: TypeAlias = Callable[[Tensor], Tensor]
"""A function of each entry of a tensor."""


def identity(x: Tensor) -> Tensor:
    """`x` itself: no activation."""
    return x


ACTIVATIONS: dict[str, Activation] = {
    "tanh": torch.tanh,
    "sin": torch.sin,
    "sigmoid": torch.sigmoid,
    "softplus": F.softplus,
    "silu": F.silu,
    "gelu": F.gelu,
    "elu": F.elu,
    "selu": F.selu,
    "relu": F.relu,
    "identity": identity,
}
"""The known activations.

An equation with second derivatives needs an activation that has one: `relu` and `identity` have zero
everywhere, and those of `elu` and `selu` jump at zero.
"""


def activation(name_or_function: str | Activation) -> Activation:
    """The activation of that name; a function is returned as it is.

    Args:
        name_or_function: one of `ACTIVATIONS`, or any function of one tensor.

    Returns:
        The function.

    Raises:
        TypeError: if it is neither a name nor a function, or a `torch.nn.Module` with parameters.
        ValueError: if the name is unknown; the message gives the nearest.

    Example:
        >>> import torch
        >>> activation("silu")(torch.tensor([0.0, 1.0]))
        tensor([0.0000, 0.7311])
        >>> activation("tanhh")
        Traceback (most recent call last):
        ...
        ValueError: activation must be one of 'tanh', ... Did you mean 'tanh'?

    Differs from: JAX in that `gelu` is the exact one, `x Φ(x)`, as torch's default.
    """
    if isinstance(name_or_function, str):
        checks.one_of(ACTIVATIONS, activation=name_or_function)
        return ACTIVATIONS[name_or_function]
    wrong: Any = name_or_function
    # A class such as torch.nn.Tanh is callable too, but makes a layer where it is given a tensor.
    if isinstance(wrong, type) or not callable(wrong):
        must = "be a name or a function of one tensor"
        raise TypeError(checks.message(must, "activation", wrong, "Try activation='tanh'."))
    check_no_parameters(activation=wrong)
    return name_or_function
