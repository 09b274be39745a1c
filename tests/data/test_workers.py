"""Worker processes fetch the batches that would have been fetched without them, and are gone afterwards."""

import itertools
import multiprocessing
import re

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Subset, TensorDataset

from funcsci import optim, random, train, tree
from funcsci.data import batches, memory_mapped

KEY = random.key(73)
SAMPLES = [{"x": index / 2, "y": index, "z": np.arange(index, index + 3)} for index in range(14)]

pytestmark = [
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]


@pytest.fixture(autouse=True)
def _none_is_left():
    before = set(multiprocessing.active_children())
    yield
    assert set(multiprocessing.active_children()) <= before


def take(data, workers, *, count, step=0, **options):
    return list(itertools.islice(batches(data, key=KEY, workers=workers, **options).start(step), count))


@pytest.mark.parametrize("step", [0, 3])
def test_the_batches_are_those_without_workers(step):
    """Also their dtype, which for Python's numbers is this process's default."""
    generator = torch.get_rng_state()
    alone, helped = (take(SAMPLES, workers, count=6, step=step, batch_size=4) for workers in (0, 2))
    for one, other in zip(alone, helped, strict=True):
        assert all(map(torch.equal, tree.leaves(one), tree.leaves(other)))
        assert [leaf.dtype for leaf in tree.leaves(other.data)] == [torch.float64, torch.int64, torch.int64]
    assert torch.equal(torch.get_rng_state(), generator)


@pytest.mark.slow
def test_a_worker_that_is_no_copy_of_this_process_fetches_the_same():
    """As on other systems, where it learns the default dtype anew."""
    (alone,) = take(SAMPLES, 0, count=1, batch_size=4)
    before = multiprocessing.get_start_method()
    multiprocessing.set_start_method("spawn", force=True)
    try:
        (helped,) = take(SAMPLES, 1, count=1, batch_size=4)
    finally:
        multiprocessing.set_start_method(before, force=True)
    for one, other in zip(tree.leaves(alone), tree.leaves(helped), strict=True):
        assert one.dtype == other.dtype
        assert torch.equal(one, other)


def test_all_samples_as_one_batch_come_from_a_worker_too():
    (found,) = take(SAMPLES, 1, count=1)
    assert found.data["y"].tolist() == list(range(14))


def test_an_error_in_a_worker_is_the_one_without_it_and_tells_where_it_was():
    """The third sample is missing; the error that says so ends the workers."""
    data = Subset([0.0, 1.0], [0, 1, 5, 0])
    errors = []
    for workers in (0, 2):
        with pytest.raises(
            RuntimeError, match=re.escape("data[2] must return what it is asked for.")
        ) as found:
            take(data, workers, count=4, batch_size=1, shuffle=False)
        assert set(multiprocessing.active_children()) == set()
        errors.append(found.value)
    assert str(errors[0]) == str(errors[1])
    assert "in a worker process" in str(errors[1].__cause__)
    assert "IndexError: list index out of range" in str(errors[1].__cause__)


@pytest.mark.parametrize("size", [1, 3])
def test_ragged_samples_are_named_from_a_worker(size):
    data = [*({"x": torch.ones(2), "y": 0} for _ in range(5)), {"x": torch.ones(3), "y": 0}]
    with pytest.raises(
        ValueError, match=r"data\[5\]\['x'\] must have the shape of data\[[03]\]\['x'\]"
    ) as found:
        take(data, 2, count=6, batch_size=size, shuffle=False)
    assert "Got (3,), where that is (2,). Pad or crop the samples" in str(found.value)


def test_a_run_with_workers_has_the_bits_of_one_without(tmp_path):
    """From files, which each worker opens for itself, and from the same tensors in memory."""
    x = random.normal(KEY, (48, 3))
    data = {"x": x, "y": x @ torch.tensor([1.0, -2.0, 0.5])}
    for name, leaf in data.items():
        np.save(tmp_path / f"{name}.npy", leaf.numpy())
    mapped = memory_mapped({name: tmp_path / f"{name}.npy" for name in data})

    def run(data, **options):
        def loss(w, batch):
            return (batch["x"] @ w - batch["y"]).square().mean()

        options = {"key": KEY, "epochs": 3, "batch_size": 8, "progress_bar": False, **options}
        return train.fit(loss, torch.zeros(3), optim.adam(1e-2), data, **options).params

    wanted = run(data)
    assert torch.equal(run(mapped), wanted)
    assert torch.equal(run(mapped, workers=2), wanted)


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("data", "workers", "error", "message"),
    [
        (SAMPLES, -1, ValueError, "workers must be at least 0. Got workers=-1."),
        (SAMPLES, 1.0, TypeError, "workers must be an integer."),
        (
            torch.ones(3),
            2,
            ValueError,
            "workers must be 0 where data is in memory already, as tensors are. Got workers=2. Leave it out.",
        ),
        (iter([]), 2, ValueError, "workers must be 0 where data is an iterator, which cannot be shared."),
        (
            DataLoader(TensorDataset(torch.ones(3))),
            2,
            ValueError,
            "workers must be 0 where data is a DataLoader, which has its own num_workers. Got workers=2.",
        ),
    ],
)
def test_workers_that_cannot_help_are_refused(data, workers, error, message):
    with pytest.raises(error, match=re.escape(message)):
        batches(data, workers=workers)
