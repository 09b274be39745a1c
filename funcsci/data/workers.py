"""Batches of a dataset for a plan of indices, fetched here or by worker processes: the same either way."""

import contextlib
import functools
import itertools
import traceback
from collections.abc import Generator, Iterator
from typing import Any, NamedTuple

import torch
from torch.utils.data import DataLoader

from funcsci import random, tree
from funcsci.data.datasets import Dataset, check_alike, fetch
from funcsci.random import Key
from funcsci.tree import PyTree


def fetched(data: Dataset, plan: Iterator[list[int]], *, workers: int, key: Key) -> Iterator[PyTree]:
    """The batch for each list of indices of the plan, in its order.

    Args:
        data: the dataset.
        plan: the indices of each batch; it may be endless, and is drawn from no further than the workers
            work ahead.
        workers: how many processes fetch batches; 0: this one does, when it is asked for a batch. They end
            when the iterator is closed or let go.
        key: seeds the generators of the workers.

    Raises:
        RuntimeError: (when iterating) if the dataset fails on a sample.
        TypeError: if a sample has a leaf that is neither a tensor nor a number.
        ValueError: if two samples, also of two batches, differ in structure, shape or dtype.
    """
    asked, known = itertools.tee(plan)
    found = _by_workers(data, asked, workers, key) if workers else (fetch(data, indices) for indices in asked)
    first: tuple[int, PyTree] | None = None
    with contextlib.closing(found):  # at once, and not when an error's traceback is let go
        for indices, batch in zip(known, found, strict=True):
            sample = indices[0], tree.map(_outline, batch)
            first = sample if first is None else first
            check_alike(first, sample)
            yield batch


class _Failure(NamedTuple):
    """An error on its way from a worker. Raised there, the loader would wrap it and keep its workers."""

    error: Exception
    story: str


class _Batches:
    """The dataset as a loader sees it that makes no batches of its own."""

    def __init__(self, data: Dataset) -> None:
        self.data = data

    def __getitem__(self, indices: list[int]) -> PyTree | _Failure:
        try:
            return fetch(self.data, indices)
        except (RuntimeError, TypeError, ValueError) as error:
            return _Failure(error, f"in a worker process:\n{traceback.format_exc()}")


def _by_workers(
    data: Dataset, plan: Iterator[list[int]], workers: int, key: Key
) -> Generator[PyTree, None, None]:
    loader: DataLoader[Any] = DataLoader(
        _Batches(data),  # type: ignore[arg-type]
        batch_size=None,  # one of its samples is one of our batches
        sampler=plan,
        collate_fn=_unchanged,
        num_workers=workers,
        worker_init_fn=functools.partial(_begin, torch.get_default_dtype()),
        generator=torch.Generator().manual_seed(int(random.bits(key))),  # it would move torch's global one
    )
    for batch in loader:
        if isinstance(batch, _Failure):
            raise batch.error from RuntimeError(batch.story)
        yield batch


def _unchanged(batch: PyTree) -> PyTree:
    return batch


def _begin(dtype: torch.dtype, worker: int) -> None:
    """What a worker needs to know of this process, of which it is not always a copy."""
    torch.set_default_dtype(dtype)


def _outline(leaf: torch.Tensor) -> torch.Tensor:
    """The shape and dtype of a batch's samples, which are not kept."""
    return torch.empty(leaf.shape[1:], dtype=leaf.dtype, device="meta")
