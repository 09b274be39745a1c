"""IDX files: what a writer of the format puts in comes out, and nothing else passes for it."""

import gzip
import re
import struct

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from funcsci.data import read_idx
from funcsci.storage import DamagedFileError

CODES = {"uint8": 8, "int8": 9, "int16": 11, "int32": 12, "float32": 13, "float64": 14}


def written(array: np.ndarray) -> bytes:
    header = struct.pack(f">HBB{array.ndim}I", 0, CODES[array.dtype.name], array.ndim, *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


@given(data=st.data(), name=st.sampled_from(sorted(CODES)), compressed=st.booleans())
def test_what_was_written_is_read(tmp_path_factory, data, name, compressed):
    shape = data.draw(arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
    array = data.draw(arrays.arrays(name, shape))
    path = tmp_path_factory.mktemp("idx") / "file"
    path.write_bytes(gzip.compress(written(array)) if compressed else written(array))
    found = read_idx(path)
    assert found.dtype == getattr(torch, name)
    np.testing.assert_array_equal(found.numpy(), array)


WHOLE = written(np.arange(6, dtype="int16").reshape(2, 3))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it begins with nothing, where an IDX file has 00 00 08, "),
        (b"PK\x03\x04" + WHOLE, "it begins with 50 4b 03 04, where"),
        (b"\0\0\x0a" + WHOLE[3:], "it begins with 00 00 0a 02, where"),
        (WHOLE[:9], "it ends in the sizes of its 2 dimensions"),
        (WHOLE[:-1], "it holds 23 bytes, where its shape (2, 3) takes 24"),
        (WHOLE + b"\0", "it holds 25 bytes, where its shape (2, 3) takes 24"),
        (gzip.compress(WHOLE)[:-9], "it cannot be decompressed ("),
        (gzip.compress(WHOLE)[:-6] + b"\1\2\3\4\0\0", "it cannot be decompressed ("),
        (gzip.compress(WHOLE)[:10] + b"\xff" * 20, "it cannot be decompressed ("),
    ],
)
def test_a_damaged_file_says_what_is_wrong_with_it(tmp_path, content, message):
    path = tmp_path / "train-labels-idx1-ubyte.gz"
    path.write_bytes(content)
    with pytest.raises(DamagedFileError, match=re.escape(message)) as found:
        read_idx(path)
    assert str(found.value).startswith(f"path must be a whole, unchanged IDX file. Got {str(path)!r}: ")
    assert str(found.value).endswith("Delete it and get it again from where it is published.")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=re.escape("path must be a file. Got path=")):
        read_idx(str(tmp_path / "nothing"))
