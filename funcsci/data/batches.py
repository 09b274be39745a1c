"""Batches of one shape from tensors, torch's datasets and loaders, and plain streams.

Which samples make batch n is a function of the key and of n alone, so a run that was stopped goes on with the
batch it would have had. A last batch that is short is filled up, and a mask tells which samples count: every
batch then has one shape, and a compiled step is compiled once.
"""

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from typing import Any, NamedTuple, TypeAlias

import torch
from jaxtyping import Bool, Int64
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from funcsci import checks, random, tree
from funcsci.data.datasets import Dataset, samples
from funcsci.data.workers import fetched
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


Indices: TypeAlias = Int64[Tensor, "samples"]
Draw: TypeAlias = Callable[[Iterator[Indices]], Iterator[PyTree]]
"""Yields the batch for each of the indices, in their order; it may read ahead in them."""


def batches(
    data: Any,
    *,
    batch_size: int | None = None,
    key: Key | None = None,
    shuffle: bool = True,
    drop_last: bool = False,
    workers: int = 0,
    device: str | torch.device | None = None,
) -> Batches:
    """Batches of one shape, in an order that the key decides.

    Args:
        data: one of

            - a pytree of tensors with the samples along their first dimension, kept where they are;
            - a map-style dataset, `data[i]` and `len(data)`: a `Dataset`, torch's ones too, or
              `memory_mapped` files;
            - a `torch.utils.data.DataLoader`, which makes its own batches, again in each epoch;
            - an iterator that yields batches of one shape, until it ends.
        batch_size: samples in a batch. None: all of them. Loaders and iterators have their own.
        key: decides the order; None is `random.key(0)`.
        shuffle: whether each epoch has a new random order, or always the data's own.
        drop_last: whether to leave out a short last batch instead of masking it.
        workers: how many processes fetch the batches of a dataset, ahead of their use; 0: this one does. The
            batches are the same. A dataset that draws random numbers should draw them from its index.
        device: where the batches go. None: where the data are.

    Returns:
        A supply of batches.

    Raises:
        TypeError: if `data` is none of these, or (when iterating) a sample is no pytree of tensors, arrays
            and numbers.
        ValueError: if the tensors differ in their first dimension or are empty, if `batch_size` or `workers`
            does not fit, or (when iterating) if a sample or batch has another shape than the first.
        RuntimeError: (when iterating) if a dataset fails on a sample, which the message names.

    Example:
        >>> import torch
        >>> supply = batches({"x": torch.arange(5)}, batch_size=2, shuffle=False)
        >>> for batch in itertools.islice(supply.start(1), 2):
        ...     print(batch.data["x"], batch.mask)
        tensor([2, 3]) tensor([True, True])
        tensor([4, 0]) tensor([ True, False])

    The order of an epoch is in memory: 8 bytes a sample, and 50 to 130 while it is shuffled, which for ten
    million samples is half a gigabyte and takes some seconds.

    Differs from `torch.utils.data.DataLoader`: the order comes from a key and is known for every step, and a
    short batch is filled up and masked.
    """
    key = random.key(0) if key is None else key
    checks.integer(least=0, workers=workers)
    if isinstance(data, DataLoader):
        _refuse("a DataLoader, which makes its own batches", None, batch_size=batch_size)
        _refuse("a DataLoader, which has its own num_workers", 0, workers=workers)
        return _from_loader(data, drop_last, device)
    if isinstance(data, Iterator):
        _refuse("an iterator, which makes its own batches", None, batch_size=batch_size)
        _refuse("an iterator, which cannot be shared", 0, workers=workers)
        return _from_iterator(data, device)
    if _is_tree(data):
        _refuse("in memory already, as tensors are", 0, workers=workers)
        length, draw = _from_tensors(data, device)
        key = key.to(tree.leaves(data)[0].device)
    elif isinstance(data, Dataset) and not isinstance(data, str | Mapping | IterableDataset):
        key = key.cpu()
        length, draw = _from_dataset(data, workers, key, device)
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
        whole = Batch(next(draw(iter([torch.arange(length, device=key.device)]))), None)
        return Batches(lambda step: itertools.repeat(whole), 1, False)
    return _in_order(length, draw, size, key, shuffle, drop_last, device)


def _in_order(
    length: int, draw: Draw, size: int, key: Key, shuffle: bool, drop_last: bool, device: Any
) -> Batches:
    """Batches of some of `length` samples."""
    masked = length % size > 0 and not drop_last
    per_epoch = length // size + masked

    def order(epoch: int) -> Tensor:
        if shuffle:
            return random.permutation(random.fold_in(key, epoch), length)
        return torch.arange(length, device=key.device)

    def counting(count: int) -> Tensor:
        return _placed(torch.arange(size, device=key.device) < count, device)

    def plan(step: int) -> Iterator[tuple[Tensor, Tensor | None]]:
        full = counting(size) if masked else None
        for epoch in itertools.count(step // per_epoch):
            indices = order(epoch)
            for place in range(step % per_epoch if epoch == step // per_epoch else 0, per_epoch):
                chosen = indices[place * size : (place + 1) * size]
                short = size - len(chosen)
                if not short:
                    yield chosen, full
                else:
                    yield torch.cat([chosen, indices[:short]]), counting(len(chosen))

    def start(step: int) -> Iterator[Batch]:
        masks, ahead = itertools.tee(plan(step))
        found = draw(chosen for chosen, _ in ahead)
        for (_, mask), data in zip(masks, found, strict=True):
            yield Batch(data, mask)

    return Batches(start, per_epoch, masked)


def _placed(leaf: Tensor, device: Any) -> Tensor:
    return leaf if device is None else leaf.to(device)


def _is_tree(data: Any) -> bool:
    """Whether these are tensors in containers, and not a dataset, which has tensors as its items."""
    found = tree.leaves(data)
    return bool(found) and all(isinstance(leaf, Tensor) for leaf in found)


def _from_tensors(data: PyTree, device: Any) -> tuple[int, Draw]:
    length = samples("data", data)
    leaves, structure = tree.flatten(data)

    def take(indices: Tensor) -> PyTree:
        return tree.unflatten(structure, [_placed(leaf.index_select(0, indices), device) for leaf in leaves])

    return length, functools.partial(map, take)


def _from_dataset(data: Dataset, workers: int, key: Key, device: Any) -> tuple[int, Draw]:
    def draw(plan: Iterator[Tensor]) -> Iterator[PyTree]:
        lists = (indices.tolist() for indices in plan)
        for batch in fetched(data, lists, workers=workers, key=key):
            yield tree.map(lambda leaf: _placed(leaf, device), batch)

    return len(data), draw


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
    count = samples("a batch", data)
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


def _refuse(kind: str, expected: object, **values: object) -> None:
    for name, value in values.items():
        if value != expected:
            raise ValueError(
                checks.message(f"be {expected} where data is {kind}", name, value, "Leave it out.")
            )
