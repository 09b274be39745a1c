"""Coordinates as a user gives them, numbers, arrays or tensors, made into points and back."""

import numbers
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from funcsci import checks
from funcsci.pinn.domain import Domain

Given: TypeAlias = Any
"""A number, a NumPy array, a list or a tensor."""


def given_points(
    domain: Domain, coordinates: tuple[Given, ...], by_name: Mapping[str, Given], like: Tensor
) -> tuple[Float[Tensor, "n dimensions"], torch.Size]:
    """Coordinates as points, and the shape that they had together.

    Args:
        domain: names them.
        coordinates: in order.
        by_name: the rest of them.
        like: a tensor of the dtype and device that the points shall have.

    Raises:
        TypeError: if one is missing, unknown, given twice, complex or no number, array or tensor.
        ValueError: if the shapes do not broadcast.
    """
    names = domain.names
    given = dict(zip(names, coordinates, strict=False)) | dict(by_name)
    many = len(coordinates) + len(by_name)
    if many != len(names) or set(given) != set(names):
        raise TypeError(
            f"A solution takes the coordinates {', '.join(names)}. Got {len(coordinates)} in order and "
            f"{', '.join(by_name) or 'none'} by name. Try solution({', '.join(names)})."
        )
    tensors = [as_tensor(name, given[name]).to(like.dtype).to(like.device) for name in names]
    try:
        shape = torch.Size(np.broadcast_shapes(*(tuple(one.shape) for one in tensors)))
    except ValueError as error:
        shapes = ", ".join(f"{name} of {tuple(one.shape)}" for name, one in zip(names, tensors, strict=True))
        raise ValueError(
            f"Coordinates must have shapes that broadcast. Got {shapes}. Use indexing as x[:, None], t[None]."
        ) from error
    return torch.stack([one.expand(shape).reshape(-1) for one in tensors], 1), shape


def as_tensor(name: str, given: Given) -> Tensor:
    """A coordinate of any kind as a real tensor."""
    if isinstance(given, Tensor):
        kind = "b" if given.dtype == torch.bool else "c" if given.is_complex() else "f"
    else:
        try:
            kind = np.asarray(given).dtype.kind
        except (TypeError, ValueError):  # a ragged list
            kind = "O"
    if kind == "c":
        raise TypeError(f"{name} must be real. Got complex numbers. Pass their real part.")
    if kind not in "iuf":
        must = "be a number, an array, a list of numbers or a tensor"
        raise TypeError(checks.message(must, name, given, f"Try {name}=0.5."))
    # The copy is contiguous, writable and of native byte order, as torch wants it.
    return given if isinstance(given, Tensor) else torch.from_numpy(np.array(given, np.float64, order="C"))


def answer(values: Tensor, given: tuple[Given, ...]) -> Any:
    """Values as the kind of thing that the coordinates were: tensor, array, else numbers."""
    for one in given:
        if isinstance(one, Tensor):
            return values.to(one.device)
    if any(not isinstance(one, numbers.Real) for one in given):
        return values.detach().cpu().numpy()
    return float(values)
