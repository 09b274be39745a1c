"""The IDX format, in which MNIST and its relatives are published: a short header, then plain numbers."""

import gzip
import math
import os
import zlib
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor

from funcsci import checks
from funcsci.storage import DamagedFileError

DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
"""The numbers' type by the third byte of a file; the greater byte comes first."""
GZIP = b"\x1f\x8b"
"""The first bytes of a compressed file, whatever its name is."""


def read_idx(path: str | os.PathLike[str]) -> Shaped[Tensor, "..."]:
    """The array in an IDX file, compressed by gzip or not.

    A file is two zero bytes, the type of the numbers, the number of dimensions, the size of each in four
    bytes, and the numbers in row-major order.

    Args:
        path: the file.

    Returns:
        A tensor of the file's shape and dtype: uint8, int8, int16, int32, float32 or float64.

    Raises:
        FileNotFoundError: if there is no such file.
        DamagedFileError: if it is no IDX file, or is cut short or too long; a ValueError.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "labels-idx1-ubyte")
        ...     _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]))
        ...     read_idx(path)
        tensor([7, 2, 1], dtype=torch.uint8)

    Source: LeCun, Cortes, Burges (1998), The MNIST database of handwritten digits, "file formats".
    """
    return parsed(content(Path(path)), Path(path))


def content(path: Path) -> bytes:
    """The bytes of a file, decompressed where it is compressed.

    Raises:
        FileNotFoundError: if there is no such file.
        DamagedFileError: if it is compressed and cut short or changed.
    """
    if not path.is_file():
        raise FileNotFoundError(checks.message("be a file", "path", str(path), "Pass one that exists."))
    stored = path.read_bytes()
    if not stored.startswith(GZIP):
        return stored
    try:
        return gzip.decompress(stored)
    except (EOFError, OSError, zlib.error) as error:
        raise damaged(path, f"it cannot be decompressed ({error})") from error


def parsed(data: bytes, path: Path) -> Shaped[Tensor, "..."]:
    """The array that the bytes of an IDX file describe; `path` is where they come from.

    Raises:
        DamagedFileError: if they are no IDX file, or too few or too many.
    """
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in DTYPES:
        known = ", ".join(f"00 00 {code:02x}" for code in DTYPES)
        raise damaged(path, f"it begins with {data[:4].hex(' ') or 'nothing'}, where an IDX file has {known}")
    dtype, dimensions = np.dtype(DTYPES[data[2]]), data[3]
    begin = 4 + 4 * dimensions
    if len(data) < begin:
        raise damaged(path, f"it ends in the sizes of its {dimensions} dimensions")
    shape = tuple(int(size) for size in np.frombuffer(data, ">u4", dimensions, 4))
    expected = begin + math.prod(shape) * dtype.itemsize
    if len(data) != expected:
        raise damaged(path, f"it holds {len(data)} bytes, where its shape {shape} takes {expected}")
    found = np.frombuffer(data, dtype, offset=begin).reshape(shape)
    return torch.from_numpy(found.astype(dtype.newbyteorder("=")))


def damaged(path: Path, reason: str) -> DamagedFileError:
    """The error for a file that is not what was published."""
    return DamagedFileError(
        f"path must be a whole, unchanged IDX file. Got {str(path)!r}: {reason}. "
        "Delete it and get it again from where it is published."
    )
