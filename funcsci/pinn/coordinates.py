"""Coordinates as a user gives them, numbers, arrays or tensors, made into points and back."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from funcsci import checks
from funcsci.pinn.domain import Domain

Given: TypeAlias = Any
"""A number, a NumPy array or a tensor."""


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
    if isinstance(given, bool) or not isinstance(given, (Tensor, np.ndarray, np.generic, int, float)):
        raise TypeError(checks.message("be a number, an array or a tensor", name, given, f"Try {name}=0.5."))
    if given.is_complex() if isinstance(given, Tensor) else np.iscomplexobj(given):
        raise TypeError(f"{name} must be real. Got complex numbers. Pass their real part.")
    # The copy is contiguous, writable and of native byte order, as torch wants it.
    if isinstance(given, Tensor):
        return given
    return torch.from_numpy(np.array(given, dtype=np.float64, order="C"))


def answer(values: Tensor, given: tuple[Given, ...]) -> Any:
    """Values as the kind of thing that the coordinates were: a tensor or an array if any of them was."""
    for one in given:
        if isinstance(one, Tensor):
            return values.to(one.device)
    if any(isinstance(one, np.ndarray) for one in given):
        return values.detach().cpu().numpy()
    return float(values)
