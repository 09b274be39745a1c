"""Batches: every sample once an epoch, one shape, an order that the key and the step decide."""

import itertools
import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader, Dataset, TensorDataset

from funcsci import random, tree
from funcsci.data import batches

KEY = random.key(61)


class Squares(Dataset):
    """A map-style dataset with a Python number for its label."""

    def __init__(self, length: int) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int):
        return {"x": torch.tensor([float(index), 2.0 * index]), "y": index**2}


def take(supply, count: int, step: int = 0):
    return list(itertools.islice(supply.start(step), count))


def counted(batch):
    """The samples that count, by their first feature."""
    x = batch.data["x"][:, 0] if batch.data["x"].dim() > 1 else batch.data["x"]
    return (x if batch.mask is None else x[batch.mask]).tolist()


KINDS = {
    "tensors": lambda n: {"x": torch.arange(float(n))},
    "dataset": Squares,
}


@given(
    length=st.integers(2, 40),
    size=st.integers(1, 40),
    shuffle=st.booleans(),
    drop_last=st.booleans(),
    kind=st.sampled_from(sorted(KINDS)),
)
def test_an_epoch_has_each_sample_once_in_batches_of_one_shape(length, size, shuffle, drop_last, kind):
    size = min(size, length)
    supply = batches(KINDS[kind](length), batch_size=size, key=KEY, shuffle=shuffle, drop_last=drop_last)
    short = length % size
    assert supply.per_epoch == (length // size if drop_last else -(-length // size))
    assert supply.masked == (bool(short) and not drop_last)
    for epoch in range(2):
        found = take(supply, supply.per_epoch, epoch * supply.per_epoch)
        assert {len(batch.data["x"]) for batch in found} == {size}
        assert {batch.mask is not None for batch in found} == {supply.masked}
        samples = [sample for batch in found for sample in counted(batch)]
        assert len(samples) == len(set(samples)) == (length - short if drop_last else length)
        if not shuffle:
            assert samples == [float(i) for i in range(len(samples))]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("step", [0, 1, 3, 4, 9])
def test_a_supply_can_be_taken_up_at_any_step(kind, step):
    supply = batches(KINDS[kind](14), batch_size=4, key=KEY)
    wanted, found = take(supply, 14)[step:], take(supply, 14 - step, step)
    for one, other in zip(wanted, found, strict=True):
        assert all(map(torch.equal, tree.leaves(one), tree.leaves(other)))


def test_epochs_and_keys_have_orders_of_their_own():
    data = torch.arange(100)
    first, second = (batch.data.tolist() for batch in take(batches(data, batch_size=50, key=KEY), 4)[::2])
    other = take(batches(data, batch_size=50, key=random.key(62)), 1)[0].data.tolist()
    assert len({tuple(first), tuple(second), tuple(other)}) == 3
    generator = torch.get_rng_state()
    assert take(batches(data, batch_size=50, key=KEY), 1)[0].data.tolist() == first
    assert torch.equal(torch.get_rng_state(), generator)


def test_all_samples_as_one_batch_are_left_in_their_order():
    for data in ({"x": torch.arange(5.0)}, Squares(5)):
        first, second = take(batches(data), 2)
        assert first is second
        assert (first.mask, counted(first)) == (None, [0.0, 1.0, 2.0, 3.0, 4.0])


def test_a_short_batch_is_filled_with_samples_of_its_epoch():
    found = take(batches({"x": torch.arange(1.0, 6.0)}, batch_size=4, shuffle=False), 2)[1]
    assert found.data["x"].tolist() == [5.0, 1.0, 2.0, 3.0]
    assert found.mask.tolist() == [True, False, False, False]


@pytest.mark.parametrize("drop_last", [False, True])
def test_a_loader_goes_round_and_its_short_batch_is_masked(drop_last):
    data = TensorDataset(torch.arange(7.0), torch.arange(7))
    supply = batches(DataLoader(data, batch_size=3), drop_last=drop_last)
    assert (supply.per_epoch, supply.masked) == ((2, False) if drop_last else (3, True))
    found = take(supply, 2 * supply.per_epoch)
    samples = [x for b in found for x in (b.data[0] if drop_last else b.data[0][b.mask]).tolist()]
    assert samples == 2 * [float(i) for i in range(6 if drop_last else 7)]
    assert {len(b.data[0]) for b in found} == {3}
    again = take(supply, 1, step=supply.per_epoch - 1)[0]
    assert torch.equal(again.data[0], found[supply.per_epoch - 1].data[0])


def test_a_loader_that_drops_its_short_batch_needs_no_mask():
    supply = batches(DataLoader(TensorDataset(torch.arange(7.0)), batch_size=3, drop_last=True))
    assert (supply.per_epoch, supply.masked) == (2, False)


class Stream(torch.utils.data.IterableDataset):
    def __init__(self, length: int) -> None:
        self.length = length

    def __iter__(self):
        return iter(torch.arange(float(self.length)))


class Counted(Stream):
    """A stream that knows its length is no map-style dataset all the same."""

    def __len__(self) -> int:
        return self.length


@pytest.mark.parametrize(("length", "firsts"), [(4, [0.0, 2.0, 0.0, 2.0, 0.0]), (0, [])])
def test_a_loader_of_a_stream_goes_round_until_it_is_empty(length, firsts):
    supply = batches(DataLoader(Stream(length), batch_size=2))
    assert (supply.per_epoch, supply.masked) == (None, False)
    assert [float(batch.data[0]) for batch in take(supply, 5)] == firsts


def test_a_loader_with_batches_of_a_sampler_is_taken_as_it_is():
    sampler = torch.utils.data.BatchSampler(range(6), 3, drop_last=False)
    supply = batches(DataLoader(TensorDataset(torch.arange(6.0)), batch_sampler=sampler))
    assert (supply.per_epoch, supply.masked) == (2, False)
    assert [batch.data[0].tolist() for batch in take(supply, 3)] == [[0, 1, 2], [3, 4, 5], [0, 1, 2]]


def test_an_iterator_is_drawn_from_only_as_far_as_asked():
    source = iter([{"x": torch.full((2,), float(i))} for i in range(6)])
    supply = batches(source)
    assert (supply.per_epoch, supply.masked) == (None, False)
    assert [float(batch.data["x"][0]) for batch in take(supply, 2, step=1)] == [1.0, 2.0]
    assert float(next(source)["x"][0]) == 3.0


@pytest.mark.parametrize("kind", KINDS)
def test_batches_go_to_the_device(kind):
    for batch in take(batches(KINDS[kind](5), batch_size=2, device="meta"), 3):
        assert {leaf.device.type for leaf in tree.leaves(batch)} == {"meta"}


def test_an_array_is_a_dataset():
    found = take(batches(np.arange(4.0), batch_size=2, shuffle=False), 1)[0]
    assert torch.equal(found.data, torch.tensor([0.0, 1.0]))


X = torch.ones(3)


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: batches(3),
            TypeError,
            "data must be a pytree of tensors, a dataset, a DataLoader or an iter",
        ),
        (lambda: batches("abc"), TypeError, "Got a str."),
        (
            lambda: batches(Counted(3)),
            TypeError,
            "Got a Counted. Try torch.as_tensor for an array, iter(data)",
        ),
        (lambda: batches({"x": X, "n": 1.0}), TypeError, "Got a dict."),
        (lambda: batches({"x": X, "y": X[1:]}), ValueError, "Got shapes [(3,), (2,)]. Stack the samples, or"),
        (lambda: batches(X[0]), ValueError, "Got shapes [()]."),
        (lambda: batches(X[:0]), ValueError, "data must hold at least one sample. Got none."),
        (lambda: batches(X, batch_size=0), ValueError, "batch_size must be at least 1. Got batch_size=0."),
        (
            lambda: batches(X, batch_size=4),
            ValueError,
            "batch_size must be at most the 3 samples. Got batch_size=4.",
        ),
        (
            lambda: batches(DataLoader(TensorDataset(X)), batch_size=2),
            ValueError,
            "batch_size must be None where data is a DataLoader, which makes its own batches. Got",
        ),
        (lambda: batches(iter([X]), batch_size=2), ValueError, "where data is an iterator, which"),
        (
            lambda: take(batches(iter([X, X[1:]])), 2),
            ValueError,
            "Batches must have the shapes and dtypes of the first, for a step is compiled for one shape. "
            "Got [(2,)] after [(3,)].",
        ),
        (
            lambda: take(batches([{"x": "word"}] * 3, batch_size=2, shuffle=False), 1),
            TypeError,
            "data[0]['x'] is a str ('word')",
        ),
    ],
)
def test_wrong_data_say_what_must_hold(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
