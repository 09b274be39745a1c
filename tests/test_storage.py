"""A file is whole, unchanged and of the right kind, or refused; it is replaced at once or not at all."""

import os
import stat
from pathlib import Path

import pytest
import torch

from funcsci import random
from funcsci.storage import DamagedFileError, Format

FORMAT = Format("funcsci.test", 2, writer="test.write")
TENSORS = {
    "number": torch.tensor(0.1),
    "none": torch.zeros(0, 3),
    "half": torch.ones(3, dtype=torch.bfloat16),
    "flags": torch.tensor([True, False]),
    "whole": torch.arange(40).reshape(5, 8).T,
    "nan": torch.tensor([float("nan"), float("-inf"), -0.0]),
}
STORY = {"text": "θ → ∞", "list": [1, 2.5, None], "nested": {"true": True}}


@pytest.fixture
def written(tmp_path: Path) -> Path:
    FORMAT.write(tmp_path / "file", TENSORS, STORY)
    return tmp_path / "file"


def test_everything_comes_back_in_every_bit(written):
    tensors, story = FORMAT.read(written)
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert (tensors[name].dtype, tensors[name].shape) == (tensor.dtype, tensor.shape)
        assert torch.equal(tensors[name].view(-1).view(torch.uint8), tensor.reshape(-1).view(torch.uint8))
    assert {name: story[name] for name in STORY} == STORY
    assert (story["format"], story["version"], story["torch"]) == ("funcsci.test", 2, str(torch.__version__))
    assert [path.name for path in written.parent.iterdir()] == ["file"]


def test_a_file_cut_at_any_of_fifty_places_is_refused(written):
    content = written.read_bytes()
    for place in random.choice(random.key(1), len(content), (50,), replace=False).tolist():
        written.write_bytes(content[:place])
        with pytest.raises(DamagedFileError, match=r"path must be a whole file written by test\.write"):
            FORMAT.read(written)


def test_a_file_with_any_of_its_bits_flipped_is_refused(written):
    """Every bit of the header, whose text has the most ways to be read, and 200 of the rest."""
    content = written.read_bytes()
    header = 8 * (8 + int.from_bytes(content[:8], "little"))
    others = header + random.randint(random.key(2), (200,), 0, 8 * len(content) - header)
    for place in (*range(header), *others.tolist()):
        broken = bytearray(content)
        broken[place // 8] ^= 1 << place % 8
        written.write_bytes(broken)
        with pytest.raises(DamagedFileError):
            FORMAT.read(written)


def test_bytes_behind_the_end_are_refused(written):
    written.write_bytes(written.read_bytes() + b"\0")
    with pytest.raises(DamagedFileError, match="cannot be read"):
        FORMAT.read(written)


@pytest.mark.parametrize("other", [("funcsci.other", 2), ("funcsci.test", 3)])
def test_a_file_of_another_kind_or_version_is_refused(written, other):
    with pytest.raises(DamagedFileError, match="it holds 'funcsci.test', version 2"):
        Format(*other, writer="other.write").read(written)


def test_where_writing_fails_the_old_file_stays_and_nothing_else(written, monkeypatch):
    before = written.read_bytes()

    def fail(descriptor):
        os.ftruncate(descriptor, 100)
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no space left"):
        FORMAT.write(written, TENSORS, {})
    assert written.read_bytes() == before
    assert [path.name for path in written.parent.iterdir()] == ["file"]


def test_a_file_takes_its_name_only_once_its_bytes_are_on_the_disk(written, monkeypatch):
    order = []
    sync, replace = os.fsync, Path.replace
    kinds = {True: "folder", False: "file"}
    monkeypatch.setattr(
        os, "fsync", lambda one: (order.append(kinds[stat.S_ISDIR(os.fstat(one).st_mode)]), sync(one))
    )
    monkeypatch.setattr(Path, "replace", lambda *paths: (order.append("name"), replace(*paths)))
    FORMAT.write(written, TENSORS, {})
    assert order == ["file", "name", "folder"]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"Got path='.*nowhere'\. Pass what test\.write wrote"):
        FORMAT.read(tmp_path / "nowhere")
