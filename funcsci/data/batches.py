"""Batches of one shape from tensors, torch's datasets and loaders, and plain streams.

Which samples make batch n is a function of the key and of n alone, so a run that was stopped goes on with the
batch it would have had. A last batch that is short is filled up, and a mask tells which samples count: every
batch then has one shape, and a compiled step is compiled once.
"""

import itertools
import numbers
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Int64
from torch import Tensor
from torch.utils.data import DataLoader

from funcsci import checks, random, tree
from funcsci.random import Key
from funcsci.tree import PyTree


class Batch(NamedTuple):
    """What one step is given.

    Attributes:
        data: a pytree of tensors with the samples along their first dimension.
        mask: which of the samples count, shape `(samples,)`; None where all do in every batch.
    """

    data: PyTree
    mask: Bool[Tensor, "samples"] | None


class Batches(NamedTuple):
    """A supply of batches that can be taken up at any step.

    Attributes:
        start: `start(step)` iterates over the batches from that step on.
        per_epoch: the number of batches after which all samples have been seen; None if unknown.
        masked: whether the batches have masks, because one of them is short.
    """

    start: Callable[[int], Iterator[Batch]]
    per_epoch: int | None
    masked: bool


def batches(
    data: Any,
    *,
    batch_size: int | None = None,
    key: Key | None = None,
    shuffle: bool = True,
    drop_last: bool = False,
    device: str | torch.device | None = None,
) -> Batches:
    """Batches of one shape, in an order that the key decides.

    Args:
        data: one of

            - a pytree of tensors with the samples along their first dimension, kept where they are;
            - a map-style dataset, `data[i]` and `len(data)`, as `torch.utils.data.Dataset`;
            - a `torch.utils.data.DataLoader`, which makes its own batches, again in each epoch;
            - an iterator that yields batches of one shape, until it ends.
        batch_size: samples in a batch. None: all of them. Loaders and iterators have their own.
        key: decides the order; None is `random.key(0)`.
        shuffle: whether each epoch has a new random order, or always the data's own.
        drop_last: whether to leave out a short last batch instead of masking it.
        device: where the batches go. None: where the data are.

    Returns:
        A supply of batches.

    Raises:
        TypeError: if `data` is none of these.
        ValueError: if the tensors differ in their first dimension or are empty, if `batch_size` does not
            fit, or (when iterating) if a batch has another shape than the first.

    Example:
        >>> import torch
        >>> supply = batches({"x": torch.arange(5)}, batch_size=2, shuffle=False)
        >>> for batch in itertools.islice(supply.start(1), 2):
        ...     print(batch.data["x"], batch.mask)
        tensor([2, 3]) tensor([True, True])
        tensor([4, 0]) tensor([ True, False])

    Differs from `torch.utils.data.DataLoader`: the order comes from a key and is known for every step, and a
    short batch is filled up and masked.
    """
    key = random.key(0) if key is None else key
    if isinstance(data, DataLoader):
        _refuse_size(batch_size, "DataLoader")
        return _from_loader(data, drop_last, device)
    if isinstance(data, Iterator):
        _refuse_size(batch_size, "iterator")
        return _from_iterator(data, device)
    if _is_tree(data):
        length, take = _from_tensors(data, device)
        key = key.to(tree.leaves(data)[0].device)
    elif hasattr(data, "__getitem__") and isinstance(data, Sized) and not isinstance(data, str | Mapping):
        length, take = _from_dataset(data, device)
        key = key.cpu()
    else:
        raise TypeError(
            "data must be a pytree of tensors, a dataset, a DataLoader or an iterator of batches. "
            f"Got a {type(data).__name__}. Try torch.as_tensor for an array, iter(data) for batches in a "
            "list, or a DataLoader around an iterable dataset."
        )
    if length == 0:
        raise ValueError("data must hold at least one sample. Got none. Add a sample.")
    size = length if batch_size is None else batch_size
    checks.integer(least=1, batch_size=size)
    if size > length:
        remedy = f"Try batch_size={length}."
        raise ValueError(checks.message(f"be at most the {length} samples", "batch_size", size, remedy))
    if size == length:
        whole = Batch(take(torch.arange(length, device=key.device)), None)
        return Batches(lambda step: itertools.repeat(whole), 1, False)
    return _in_order(length, take, size, key, shuffle, drop_last, device)


def _in_order(
    length: int,
    take: Callable[[Int64[Tensor, "samples"]], PyTree],
    size: int,
    key: Key,
    shuffle: bool,
    drop_last: bool,
    device: Any,
) -> Batches:
    """Batches of some of `length` samples, which `take(indices)` fetches."""
    masked = length % size > 0 and not drop_last
    per_epoch = length // size + masked

    def order(epoch: int) -> Tensor:
        if shuffle:
            return random.permutation(random.fold_in(key, epoch), length)
        return torch.arange(length, device=key.device)

    def counting(samples: int) -> Tensor:
        return _placed(torch.arange(size, device=key.device) < samples, device)

    def start(step: int) -> Iterator[Batch]:
        full = counting(size) if masked else None
        for epoch in itertools.count(step // per_epoch):
            indices = order(epoch)
            for place in range(step % per_epoch if epoch == step // per_epoch else 0, per_epoch):
                chosen = indices[place * size : (place + 1) * size]
                short = size - len(chosen)
                if not short:
                    yield Batch(take(chosen), full)
                else:
                    yield Batch(take(torch.cat([chosen, indices[:short]])), counting(len(chosen)))

    return Batches(start, per_epoch, masked)


def _placed(leaf: Tensor, device: Any) -> Tensor:
    return leaf if device is None else leaf.to(device)


def _is_tree(data: Any) -> bool:
    """Whether these are tensors in containers, and not a dataset, which has tensors as its items."""
    found = tree.leaves(data)
    return bool(found) and all(isinstance(leaf, Tensor) for leaf in found)


def _from_tensors(data: PyTree, device: Any) -> tuple[int, Callable[[Tensor], PyTree]]:
    tree.check_tensors(data=data)
    length = _samples("data", data)
    leaves, structure = tree.flatten(data)

    def take(indices: Tensor) -> PyTree:
        return tree.unflatten(structure, [_placed(leaf.index_select(0, indices), device) for leaf in leaves])

    return length, take


def _samples(name: str, data: PyTree) -> int:
    """The common first dimension."""
    lengths = {leaf.shape[0] if leaf.dim() else None for leaf in tree.leaves(data)}
    if len(lengths) != 1 or None in lengths:
        raise ValueError(
            f"{name} must have the same number of samples along the first dimension of all its tensors. "
            f"Got shapes {[tuple(leaf.shape) for leaf in tree.leaves(data)]}. "
            "Stack the samples, or pass iter(data) if these are batches."
        )
    return int(lengths.pop() or 0)


def _from_dataset(data: Any, device: Any) -> tuple[int, Callable[[Tensor], PyTree]]:
    def take(indices: Tensor) -> PyTree:
        samples = [_as_tensors(data[index]) for index in indices.tolist()]
        return tree.map(lambda leaf: _placed(leaf, device), tree.stack(samples))

    return len(data), take


def _as_tensors(sample: Any) -> PyTree:
    """A dataset's item, whose labels may be Python numbers, as a tree of tensors."""
    numeric = (numbers.Number, np.ndarray, np.generic)
    made = tree.map(lambda leaf: torch.as_tensor(leaf) if isinstance(leaf, numeric) else leaf, sample)
    tree.check_tensors(**{"data[i]": made})
    return made


def _from_loader(loader: "DataLoader[Any]", drop_last: bool, device: Any) -> Batches:
    """A loader's batches, the short one filled up with its own samples, again and again."""
    size = loader.batch_size  # None where a sampler of its own makes the batches
    per_epoch = len(loader) if isinstance(loader.dataset, Sized) else None
    short = False
    if per_epoch is not None and size is not None and not loader.drop_last:
        short = len(loader.dataset) % size > 0  # type: ignore[arg-type]
        per_epoch -= short and drop_last
    masked = short and not drop_last

    def epoch() -> Iterator[Batch]:
        for data in itertools.islice(loader, per_epoch):
            tree.check_tensors(batch=data)
            placed = tree.map(lambda leaf: _placed(leaf, device), data)
            yield _filled(placed, size or 1) if masked else Batch(placed, None)

    def forever() -> Iterator[Batch]:
        while True:
            batch = None
            for batch in epoch():
                yield batch
            if batch is None:
                return

    def start(step: int) -> Iterator[Batch]:
        return _alike(itertools.islice(forever(), step, None))

    return Batches(start, per_epoch, masked)


def _filled(data: PyTree, size: int) -> Batch:
    count = _samples("a batch", data)
    places = torch.arange(size)

    def fill(leaf: Tensor) -> Tensor:
        return leaf if count == size else leaf.index_select(0, (places % count).to(leaf.device))

    device = tree.leaves(data)[0].device
    return Batch(tree.map(fill, data), (places < count).to(device))


def _from_iterator(iterator: Iterator[Any], device: Any) -> Batches:
    def placed() -> Iterator[Batch]:
        for data in iterator:
            tree.check_tensors(batch=data)
            yield Batch(tree.map(lambda leaf: _placed(leaf, device), data), None)

    return Batches(lambda step: _alike(itertools.islice(placed(), step, None)), None, False)


def _alike(supply: Iterable[Batch]) -> Iterator[Batch]:
    """The batches, which must all have the shapes of the first."""
    expected: list[tuple[torch.Size, torch.dtype]] | None = None
    for batch in supply:
        found = [(leaf.shape, leaf.dtype) for leaf in tree.leaves(batch.data)]
        expected = found if expected is None else expected
        if found != expected:
            raise ValueError(
                "Batches must have the shapes and dtypes of the first, for a step is compiled for one shape. "
                f"Got {[tuple(shape) for shape, _ in found]} "
                f"after {[tuple(shape) for shape, _ in expected]}. "
                "Drop the short batch, or pass the samples as data= with batch_size=, which masks it."
            )
        yield batch


def _refuse_size(batch_size: int | None, kind: str) -> None:
    if batch_size is not None:
        remedy = "Leave it out."
        must = f"be None where data is a {kind}, which makes its own batches"
        raise ValueError(checks.message(must, "batch_size", batch_size, remedy))
