"""Map-style datasets: what they offer, and how their samples become a batch."""

import numbers
from collections.abc import Callable, Sequence
from typing import Any, Protocol, overload, runtime_checkable

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor

from funcsci import tree
from funcsci.tree import PyTree, Structure


@runtime_checkable
class Dataset(Protocol):
    """Samples by their index, `data[i]`, and their number, `len(data)`.

    A sample is a pytree of tensors, NumPy arrays and numbers; all samples of a dataset have one structure,
    and at each leaf one shape and one dtype. A `torch.utils.data.Dataset` is one, and so are a list of
    samples, a NumPy array and a memory map.

    A dataset that fetches several samples faster than one by one may offer `__getitems__(indices)` besides,
    which takes a list of indices and returns the list of their samples, as torch's datasets may; or, faster
    still, a `Stacked` of them.

    Example:
        >>> class Squares:
        ...     def __len__(self):
        ...         return 10
        ...
        ...     def __getitem__(self, index):
        ...         return {"x": float(index), "y": float(index) ** 2}
        >>> isinstance(Squares(), Dataset), isinstance(iter([1.0]), Dataset)
        (True, False)
    """

    def __getitem__(self, index: int, /) -> Any: ...

    def __len__(self) -> int: ...


class Stacked(Sequence[PyTree]):
    """A list of samples that is kept as one batch, which `batches` takes as it is.

    Args:
        batch: a pytree of tensors with the samples along their first dimension.

    Raises:
        TypeError: if a leaf is not a tensor.
        ValueError: if the tensors have no common first dimension.

    Example:
        >>> found = Stacked({"x": torch.tensor([0.5, 1.5])})
        >>> len(found), found[1]
        (2, {'x': tensor(1.5000)})
    """

    def __init__(self, batch: PyTree) -> None:
        self._length = samples("batch", batch)
        self.batch = batch

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> PyTree: ...

    @overload
    def __getitem__(self, index: slice) -> "Stacked": ...

    def __getitem__(self, index: Any) -> Any:
        chosen = tree.map(lambda leaf: leaf[index], self.batch)
        return Stacked(chosen) if isinstance(index, slice) else chosen


def samples(name: str, data: PyTree) -> int:
    """The number of samples: the common first dimension of all tensors.

    Raises:
        TypeError: if a leaf is not a tensor.
        ValueError: if there is no common first dimension.
    """
    tree.check_tensors(**{name: data})
    lengths = {leaf.shape[0] if leaf.dim() else None for leaf in tree.leaves(data)}
    if len(lengths) != 1 or None in lengths:
        raise ValueError(
            f"{name} must have the same number of samples along the first dimension of all its tensors. "
            f"Got shapes {[tuple(leaf.shape) for leaf in tree.leaves(data)]}. "
            "Stack the samples, or pass iter(data) if these are batches."
        )
    return int(lengths.pop() or 0)


def fetch(data: Dataset, indices: list[int]) -> PyTree:
    """The samples at the indices, as one batch.

    Args:
        data: a dataset of n samples.
        indices: at least one, each in [0, n).

    Returns:
        The pytree of a sample, with tensors that have the samples along a new first dimension.

    Raises:
        RuntimeError: if the dataset fails on a sample; the message gives its index.
        TypeError: if a sample has a leaf that is neither a tensor nor a number.
        ValueError: if two samples differ in structure, shape or dtype.

    Example:
        >>> fetch([{"x": 0.5, "y": 1}, {"x": 1.5, "y": 0}], [1, 0])
        {'x': tensor([1.5000, 0.5000]), 'y': tensor([0, 1])}
    """
    if isinstance(data, np.ndarray):
        return rows(data, indices)
    together = getattr(data, "__getitems__", None)
    found = _together(data, together, indices) if callable(together) else _one_by_one(data, indices)
    return found.batch if isinstance(found, Stacked) else _stack(found, indices)


def rows(array: Shaped[np.ndarray, "n *shape"], indices: list[int]) -> Shaped[Tensor, "rows *shape"]:
    """Rows of an array as a tensor of their own, read in the order in which they lie in memory or on disk."""
    chosen = np.asarray(indices, dtype=np.int64)
    order = np.argsort(chosen, kind="stable")
    found = array[chosen[order]]  # a copy, of a memory map too
    back = torch.from_numpy(np.argsort(order, kind="stable"))
    return torch.from_numpy(found.astype(_native(found), copy=False)).index_select(0, back)


def check_alike(first: tuple[int, PyTree], other: tuple[int, PyTree]) -> None:
    """Two samples, each with its index, have one structure, and at each leaf one shape and dtype.

    Raises:
        ValueError: if they do not; the message gives the indices, the leaf's path and both shapes.
    """
    (place, one), (here, two) = first, other
    if _kind(*tree.flatten(one)) == _kind(*tree.flatten(two)):
        return  # as nearly always, and names take time
    tree.check_structure(**{f"data[{place}]": one, f"data[{here}]": two})
    paths = tree.paths(one)
    for path, known, found in zip(paths, tree.leaves(one), leaves_in_order(one, two), strict=True):
        law = f"data[{here}]{path} must have the {{}} of data[{place}]{path}, for samples are stacked. "
        if found.shape != known.shape:
            raise ValueError(
                f"{law.format('shape')}Got {tuple(found.shape)}, where that is {tuple(known.shape)}. "
                "Pad or crop the samples in the dataset, or pass a DataLoader with a collate_fn that does."
            )
        if found.dtype != known.dtype:
            raise ValueError(
                f"{law.format('dtype')}Got {found.dtype}, where that is {known.dtype}. "
                "Convert it in the dataset."
            )


def leaves_in_order(first: PyTree, other: PyTree) -> list[Tensor]:
    """The leaves of a tree in the order of those of another, whose dicts may be OrderedDicts."""
    return tree.leaves(tree.map(lambda _, leaf: leaf, first, other))


def _together(data: Dataset, getitems: Callable[..., Any], indices: list[int]) -> Sequence[Any]:
    try:
        found = getitems(indices)
    except Exception as error:
        _one_by_one(data, indices)  # raises for the sample that is to blame
        raise _failed("data.__getitems__", error) from error
    if not isinstance(found, Sequence) or len(found) != len(indices):
        raise ValueError(
            f"data.__getitems__ must return a list with one sample for each of the {len(indices)} indices. "
            f"Got a {type(found).__name__}. Return [self[i] for i in indices], or data.Stacked(batch)."
        )
    return found


def _one_by_one(data: Dataset, indices: list[int]) -> list[Any]:
    found = []
    for index in indices:
        try:
            found.append(data[index])
        except Exception as error:
            raise _failed(f"data[{index}]", error) from error
    return found


def _failed(name: str, error: Exception) -> RuntimeError:
    """What is raised instead of a dataset's own error, which knows nothing of the index."""
    return RuntimeError(
        f"{name} must return what it is asked for. Got {type(error).__name__}: {error}. "
        "Mend the dataset there, or leave the sample out of it."
    )


def _stack(found: Sequence[Any], indices: list[int]) -> PyTree:
    flat = [_flat(index, sample) for index, sample in zip(indices, found, strict=True)]
    leaves, structure = flat[0]
    first = tree.unflatten(structure, leaves)
    tree.check_tensors(**{f"data[{indices[0]}]": first})  # which finds a None too
    if not leaves:
        raise ValueError(
            f"data[{indices[0]}] must hold at least one tensor or number. Got {found[0]!r}. Return what the "
            "loss needs, as {'x': x, 'y': y}."
        )
    kind = _kind(leaves, structure)
    aligned = [leaves]
    for index, (others, other) in zip(indices[1:], flat[1:], strict=True):
        if _kind(others, other) != kind:
            sample = tree.unflatten(other, others)
            check_alike((indices[0], first), (index, sample))
            others = leaves_in_order(first, sample)
        aligned.append(others)
    return tree.unflatten(structure, [torch.stack(column) for column in zip(*aligned, strict=True)])


def _flat(index: int, sample: Any) -> tuple[list[Tensor], Structure]:
    """The leaves of a dataset's item as tensors, and its structure."""
    found, structure = tree.flatten(sample)
    leaves = [leaf if isinstance(leaf, Tensor) else _as_tensor(leaf) for leaf in found]
    if not all(isinstance(leaf, Tensor) for leaf in leaves):
        tree.check_tensors(**{f"data[{index}]": tree.unflatten(structure, leaves)})
    return leaves, structure


def _as_tensor(leaf: Any) -> Any:
    """The tensor of a number or an array, copied, for torch takes none that is read-only or runs backward."""
    if isinstance(leaf, np.ndarray | np.generic):
        try:
            return torch.from_numpy(np.array(leaf, dtype=_native(leaf), order="C"))
        except TypeError:  # of words or objects
            return leaf
    return torch.as_tensor(leaf) if isinstance(leaf, numbers.Number) else leaf


def _native(array: Any) -> np.dtype[Any]:
    """The dtype in this machine's byte order, which torch asks for."""
    native: np.dtype[Any] = array.dtype.newbyteorder("=")
    return native


def _kind(leaves: list[Tensor], structure: Structure) -> tuple[Any, ...]:
    return structure, [(leaf.shape, leaf.dtype) for leaf in leaves]
