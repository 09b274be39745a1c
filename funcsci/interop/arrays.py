"""Trees of tensors to trees of NumPy arrays and back: the way to JAX and from it."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from funcsci import checks, tree
from funcsci.interop.names import misfit
from funcsci.tree import PyTree


def to_numpy(tensors: PyTree) -> PyTree:
    """The same tree with a NumPy array at each leaf, ready for `jax.tree.map(jax.numpy.asarray, ...)`.

    Args:
        tensors: a pytree of tensors on any device.

    Returns:
        The tree with copies; writing into an array changes no tensor.

    Raises:
        TypeError: if a leaf is not a tensor, or its dtype is none of NumPy's, such as `torch.bfloat16`.

    Example:
        >>> import torch
        >>> to_numpy({"layers": [torch.ones(2)]})
        {'layers': [array([1., 1.], dtype=float32)]}
    """
    tree.check_tensors(tree=tensors)
    leaves, structure = tree.flatten(tensors)
    places = tree.paths(tensors, "tree")
    return tree.unflatten(structure, [_array(*one) for one in zip(places, leaves, strict=True)])


def from_numpy(
    arrays: PyTree, *, like: PyTree | None = None, device: str | torch.device | None = None
) -> PyTree:
    """The same tree with a tensor at each leaf.

    Args:
        arrays: a pytree of arrays: of NumPy, of JAX, or anything with `__array__`. JAX itself is not
            needed.
        like: a pytree of tensors with the structure and shapes expected; the tensors made get its dtypes, and
            its devices unless `device` is given. None: the arrays' dtypes are kept.
        device: where the tensors go; None is the CPU, or where those of `like` are.

    Returns:
        The tree with copies, `bfloat16` included.

    Raises:
        TypeError: if a leaf is not an array, or its dtype is none of torch's.
        ValueError: if the structure is not that of `like`, or an array has another shape; the message names
            the paths.

    Example:
        >>> import numpy as np
        >>> from_numpy({"layers": [np.ones(2)]})
        {'layers': [tensor([1., 1.], dtype=torch.float64)]}

        A Dense layer of Flax keeps its kernel as `(in, out)`, the transpose of torch's weight:

        >>> dense = from_numpy({"kernel": np.ones((2, 3)), "bias": np.zeros(3)})
        >>> params = {"weight": dense["kernel"].T, "bias": dense["bias"]}

    Differs from: a reader of one library's checkpoints. Names and layouts are left as they are, for they are
        that library's own. In Flax and Haiku a convolution's kernel is `(height, width, in, out)`: torch's
        weight is `kernel.permute(3, 2, 0, 1)`; and a grid is `(batch, height, width, channels)`, so that the
        rows of a Dense kernel after a flattening are in another order too.
    """
    if device is not None:
        checks.device(device=device, abstract=True)
    leaves, structure = tree.flatten(arrays)
    places = tree.paths(arrays, "tree")
    made = tree.unflatten(structure, [_tensor(*one) for one in zip(places, leaves, strict=True)])
    tree.check_tensors(tree=made)  # a None is no leaf, and is still there
    if like is None:
        return made if device is None else tree.map(lambda leaf: leaf.to(device), made)
    tree.check_tensors(like=like)
    tree.check_structure(like=like, tree=made)
    pairs = zip(tree.paths(like, "tree"), tree.leaves(made), tree.leaves(like), strict=True)
    problems = [f"{place}: {problem}" for place, leaf, other in pairs if (problem := misfit(leaf, other))]
    if problems:
        raise ValueError(
            f"tree must have the shapes of like. Got {'; '.join(problems)}. "
            "Transpose it first where the layouts differ, as leaf.T for a Dense kernel of Flax."
        )
    return tree.map(lambda other, leaf: leaf.to(device=device or other.device, dtype=other.dtype), like, made)


def _array(place: str, leaf: Tensor) -> NDArray[Any]:
    try:
        return leaf.detach().cpu().resolve_conj().resolve_neg().numpy().copy()
    except TypeError as error:
        raise TypeError(
            f"{place} must have a dtype that NumPy has. Got {leaf.dtype}. Try {place}.to(torch.float32)."
        ) from error


def _tensor(place: str, leaf: Any) -> Tensor:
    if isinstance(leaf, Tensor) or not hasattr(leaf, "__array__"):
        kind = type(leaf).__name__
        raise TypeError(f"{place} must be an array. Got a {kind}. Pass a pytree of dicts, lists and arrays.")
    array = np.asarray(leaf).copy()  # for JAX's own memory is not to be written
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if array.dtype.name == "bfloat16":  # as JAX spells it; NumPy has no such type of its own
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    try:
        return torch.from_numpy(array)
    except TypeError as error:
        raise TypeError(
            f"{place} must have a dtype that torch has. Got {array.dtype}. Try {place}.astype('float32')."
        ) from error
