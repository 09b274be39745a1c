"""Datasets: files of any size give the batches of the same tensors in memory; errors name the sample."""

import json
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader, Subset, TensorDataset

from funcsci import random, tree
from funcsci.data import Dataset, RawFile, Stacked, batches, memory_mapped
from funcsci.data.datasets import fetch
from funcsci.storage import DamagedFileError

KEY = random.key(71)
X = np.arange(28, dtype=np.float32).reshape(7, 2, 2) ** 2
Y = np.arange(7) * 3


def equal(left, right) -> bool:
    same = [
        a.dtype == b.dtype and torch.equal(a, b)
        for a, b in zip(*map(tree.leaves, (left, right)), strict=True)
    ]
    return tree.flatten(left)[1] == tree.flatten(right)[1] and all(same)


def written(folder: Path):
    """The arrays in files of four kinds, and the same as tensors."""
    np.save(folder / "x.npy", X)
    np.save(folder / "columns.npy", np.asfortranarray(X))
    (folder / "y.bin").write_bytes(b"head" + Y.astype(">i8").tobytes())
    np.save(folder / "z.npy", Y.astype(">f8"))
    files = {
        "x": folder / "x.npy",
        "more": (str(folder / "columns.npy"), RawFile(folder / "y.bin", ">i8", offset=4), folder / "z.npy"),
    }
    x, y = torch.from_numpy(X), torch.from_numpy(Y)
    return files, {"x": x, "more": (x, y, y.double())}


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    files, tensors = written(tmp_path_factory.mktemp("stored"))
    return memory_mapped(files), tensors


@given(size=st.integers(1, 7), shuffle=st.booleans(), step=st.integers(0, 9), last=st.booleans())
def test_files_give_the_batches_of_the_same_tensors(stored, size, shuffle, step, last):
    mapped, tensors = stored
    options = {"batch_size": size, "shuffle": shuffle, "drop_last": last, "key": KEY}
    one, other = (batches(data, **options) for data in (mapped, tensors))
    assert one[1:] == other[1:]
    for _, found, wanted in zip(range(4), one.start(step), other.start(step), strict=False):
        assert equal(found.data, wanted.data)
        assert (found.mask is None) == (wanted.mask is None)
        assert found.mask is None or torch.equal(found.mask, wanted.mask)


def test_a_mapped_dataset_is_a_map_style_dataset_of_torch(stored):
    mapped, tensors = stored
    assert isinstance(mapped, Dataset)
    for index in (0, 6, -1, np.int64(3)):
        assert equal(mapped[index], tree.map(lambda leaf, at=index: leaf[at], tensors))
    assert [sample["more"][1].item() for sample in mapped] == Y.tolist()
    (batch,) = DataLoader(mapped, batch_size=7)
    assert all(
        map(torch.equal, tree.leaves((batch["x"], *batch["more"])), tree.leaves(list(tensors.values())))
    )
    part = next(batches(Subset(mapped, [5, 1, 3]), batch_size=2, shuffle=False).start(0)).data
    assert equal(part, tree.map(lambda leaf: leaf[[5, 1]], tensors))
    assert repr(mapped).startswith("MemoryMapped(7 samples of {'x': 'float32 (2, 2)', 'more': (")
    for index in (7, -8):
        with pytest.raises(IndexError, match=f"index must be at least -7 and below 7. Got index={index}."):
            mapped[index]


def test_a_batch_is_a_copy_and_the_files_cannot_be_written(stored):
    mapped, tensors = stored
    batch = mapped.__getitems__([1, 1]).batch
    batch["x"].fill_(9.0)
    assert equal(mapped[1], tree.map(lambda leaf: leaf[1], tensors))
    assert not any(array.flags.writeable for array in mapped._arrays)


def test_another_process_gets_the_names_of_the_files_alone(tmp_path, monkeypatch):
    np.save(tmp_path / "x.npy", np.arange(10_000.0))
    monkeypatch.chdir(tmp_path)
    sent = pickle.dumps(memory_mapped("x.npy"))
    monkeypatch.chdir("/")
    assert len(sent) < 1000
    assert pickle.loads(sent)[9_999] == 9_999.0


@pytest.mark.parametrize(
    "data",
    [TensorDataset(torch.ones(3)), [1.0, 2.0], np.ones(3), torch.ones(3)],
    ids=["torch", "list", "array", "tensor"],
)
def test_what_has_items_and_a_length_is_a_dataset(data):
    assert isinstance(data, Dataset)


def test_what_has_no_items_or_no_length_is_none():
    for other in (3, iter([1]), (number for number in range(3)), {1, 2}):
        assert not isinstance(other, Dataset)


def test_an_array_of_numpy_is_fetched_at_once_in_the_order_asked():
    class Counted(np.ndarray):
        reads = 0

        def __getitem__(self, index):
            Counted.reads += 1
            return super().__getitem__(index)

    found = fetch(X.view(Counted), [5, 0, 5, 2])
    assert torch.equal(found, torch.from_numpy(X)[[5, 0, 5, 2]])
    assert Counted.reads == 1


class Together(list):
    """A dataset with torch's batched fetching."""

    calls = 0

    def __getitems__(self, indices):
        self.calls += 1
        return [self[index] for index in indices]


def test_batched_fetching_is_used_where_it_is_offered():
    data = Together({"x": float(index), "y": index} for index in range(6))
    found = fetch(data, [4, 1])
    assert equal(found, {"x": torch.tensor([4.0, 1.0]), "y": torch.tensor([4, 1])})
    assert data.calls == 1


def test_stacked_samples_are_a_list_and_taken_as_they_are():
    batch = {"x": torch.arange(6.0).reshape(3, 2)}
    found = Stacked(batch)
    assert [sample["x"].tolist() for sample in found] == [[0, 1], [2, 3], [4, 5]]
    assert equal(found[1:].batch, {"x": batch["x"][1:]})
    data = Together(range(9))
    data.__class__ = type("Whole", (Together,), {"__getitems__": lambda self, indices: found})
    assert fetch(data, [0, 1, 2]) is batch
    with pytest.raises(ValueError, match="one sample for each of the 2 indices. Got a Stacked. Return"):
        fetch(data, [0, 1])
    with pytest.raises(
        ValueError, match=r"batch must have the same number of samples .* Got shapes \[\(3,\), \(2"
    ):
        Stacked({"x": torch.ones(3), "y": torch.ones(2)})


def test_arrays_that_torch_does_not_take_are_taken():
    fixed = np.arange(4.0)
    fixed.flags.writeable = False
    sample = {
        "fixed": fixed,
        "flipped": np.arange(3)[::-1],
        "swapped": np.arange(2, dtype=">f4"),
        "n": np.int64(2),
    }
    found = fetch([sample], [0])
    wanted = {
        "fixed": torch.arange(4.0),
        "flipped": torch.tensor([2, 1, 0]),
        "swapped": torch.tensor([0.0, 1.0]).float(),
    }
    assert equal(found, {name: leaf[None] for name, leaf in {**wanted, "n": torch.tensor(2)}.items()})


def ragged(*samples):
    return lambda: fetch(list(samples), list(range(len(samples))))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            ragged(*({"x": torch.ones(28, 28)} for _ in range(5)), {"x": torch.ones(27, 28)}),
            ValueError,
            "data[5]['x'] must have the shape of data[0]['x'], for samples are stacked. Got (27, 28), where "
            "that is (28, 28). Pad or crop the samples in the dataset, or pass a DataLoader with a",
        ),
        (
            ragged({"x": 1.0, "y": 1}, {"x": 1.0, "y": 0.5}),
            ValueError,
            "data[1]['y'] must have the dtype of data[0]['y'], for samples are stacked. Got torch.float64, "
            "where that is torch.int64. Convert it in the dataset.",
        ),
        (
            ragged({"x": 1.0, "y": 1}, {"x": 1.0}),
            ValueError,
            "data[1] must have the structure of data[0]. Got missing=[\"data[1]['y']\"], unknown=[].",
        ),
        (ragged({}, {}), ValueError, "data[0] must hold at least one tensor or number. Got {}. Return what"),
        (ragged({"x": 1.0, "y": None}), TypeError, "data[0]['y'] is a NoneType (None); expected a Tensor."),
        (ragged({"x": 1.0}, {"x": "word"}), TypeError, "data[1]['x'] is a str ('word'); expected a Tensor."),
        (ragged({"x": np.array(["a"])}), TypeError, "data[0]['x'] is a ndarray (array(['a'], dtype='<U1'));"),
        (
            lambda: fetch([1.0], [0, 3]),
            RuntimeError,
            "data[3] must return what it is asked for. Got IndexError: list index out of range. Mend",
        ),
        (
            lambda: fetch(Subset([0.0, 1.0], [0, 1, 5]), [0, 2]),
            RuntimeError,
            "data[2] must return what it is asked for. Got IndexError: list index out of range.",
        ),
    ],
)
def test_wrong_samples_are_named(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()


def test_a_batched_fetching_that_fails_alone_is_named():
    class Broken(Together):
        def __getitems__(self, indices):
            raise OSError("disk on fire")

    message = "data.__getitems__ must return what it is asked for. Got OSError: disk on fire. Mend"
    with pytest.raises(RuntimeError, match=re.escape(message)):
        fetch(Broken([1.0, 2.0]), [0, 1])


def test_samples_that_are_ragged_from_batch_to_batch_are_named():
    data = [{"x": torch.ones(2), "y": 0}, {"x": torch.ones(2), "y": 0}, {"x": torch.ones(3), "y": 0}]
    supply = batches(data, batch_size=1, shuffle=False).start(0)
    next(supply), next(supply)
    with pytest.raises(ValueError, match=re.escape("data[2]['x'] must have the shape of data[0]['x'], for")):
        next(supply)


def saved(array):
    def write(path):
        np.save(path, array)
        return path

    return write


def raw(content=b"", **arguments):
    def write(path):
        path.write_bytes(content)
        return RawFile(path, **{"dtype": "float32", **arguments})

    return write


def cut(path):
    np.save(path, np.arange(1000.0))
    path.write_bytes(path.read_bytes()[:-1])
    return path


def archive(path):
    with path.open("wb") as file:
        np.savez(file, x=X)
    return path


@pytest.mark.parametrize(
    ("write", "error", "message"),
    [
        (
            lambda path: path,
            FileNotFoundError,
            "path must be a file. Got path='{path}'. Pass the path of a file",
        ),
        (cut, DamagedFileError, "path must be a whole .npy file of numbers. Got '{path}': "),
        (
            raw(),
            DamagedFileError,
            "path must hold whole samples of 4 bytes behind the first 0. Got '{path}' of 0",
        ),
        (raw(b"12345"), DamagedFileError, "Got '{path}' of 5 bytes, for RawFile(path="),
        (raw(b"1234", offset=1), DamagedFileError, "whole samples of 4 bytes behind the first 1."),
        (
            raw(b"1234", sample_shape=(2, 2)),
            DamagedFileError,
            "whole samples of 16 bytes behind the first 0.",
        ),
        (raw(b"1234", sample_shape=(0,)), ValueError, "a size in sample_shape must be at least 1."),
        (raw(b"1234", offset=-4), ValueError, "offset must be at least 0. Got offset=-4."),
        (
            saved(np.float64(1.0)),
            ValueError,
            "path must hold an array whose first dimension counts the samples.",
        ),
        (saved(np.array([None])), DamagedFileError, "path must be a whole .npy file of numbers."),
        (saved(np.array(["a"])), TypeError, "numbers of a dtype that torch has. Got '{path}' of dtype <U1."),
        (
            archive,
            ValueError,
            "path must be a .npy file, which can be mapped. Got '{path}', an archive of arrays.",
        ),
    ],
)
def test_a_file_that_cannot_be_mapped_says_why(tmp_path, write, error, message):
    file = write(tmp_path / "file.npy")
    with pytest.raises(error, match=re.escape(message.format(path=tmp_path / "file.npy"))):
        memory_mapped({"x": file})


@pytest.mark.wrong_types
def test_files_that_do_not_fit_together_are_named(tmp_path):
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", Y[:3])
    message = (
        "along the first dimension of each array. Got {'x.npy': 7, 'y.npy': 3}. Pass files of one length."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        memory_mapped((tmp_path / "x.npy", tmp_path / "y.npy"))
    with pytest.raises(ValueError, match=re.escape("files must name at least one file. Got files={}.")):
        memory_mapped({})
    with pytest.raises(
        TypeError, match=re.escape("files['x'] must be the path of a .npy file or a RawFile. Got 3.")
    ):
        memory_mapped({"x": 3})
    with pytest.raises(TypeError, match="cannot be interpreted as an integer"):
        memory_mapped(tmp_path / "x.npy")[1:3]


def test_an_empty_file_is_an_empty_dataset(tmp_path):
    np.save(tmp_path / "x.npy", X[:0])
    mapped = memory_mapped(tmp_path / "x.npy")
    assert len(mapped) == 0
    with pytest.raises(ValueError, match="data must hold at least one sample. Got none."):
        batches(mapped)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc tells of anonymous memory")
def test_training_from_a_file_ten_times_the_allowed_memory_stays_below_it(tmp_path):
    """And to read the file does not, so the measurement would notice."""
    allowed = 40  # MiB
    script = Path(__file__).with_name("train_mapped.py")
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path), str(allowed)],
        capture_output=True,
        text=True,
        check=False,
    )
    for path in tmp_path.iterdir():
        path.unlink()  # pytest would keep them
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout.splitlines()[-1])
    assert outcome["file"] >= 10 * allowed
    assert outcome["trained"] <= allowed < outcome["read"]
    assert outcome["steps"] == 400  # an epoch
    assert outcome["loss"][1] < 1e-6 * outcome["loss"][0]
