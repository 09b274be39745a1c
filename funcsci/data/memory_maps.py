"""Datasets in files that are larger than the memory: arrays that the system maps and reads page by page."""

import dataclasses
import math
import operator
import os
from collections.abc import Callable
from pathlib import Path
from typing import SupportsIndex, TypeAlias

import numpy as np
from jaxtyping import Shaped
from numpy.typing import DTypeLike

from funcsci import checks, tree
from funcsci.data.datasets import Stacked, rows
from funcsci.storage import DamagedFileError
from funcsci.tree import PyTree

Array: TypeAlias = Shaped[np.ndarray, "..."]


@dataclasses.dataclass(frozen=True)
class RawFile:
    """A file of numbers alone: one sample after the other, each row-major.

    Attributes:
        path: the file.
        dtype: of a number, as NumPy has it: `"float32"`, `"uint8"`, `">f8"` (the greater byte first).
        sample_shape: the shape of one sample; `()` is one number.
        offset: bytes of a header to pass over.
    """

    path: str | os.PathLike[str]
    dtype: DTypeLike
    sample_shape: tuple[int, ...] = ()
    offset: int = 0


class MemoryMapped:
    """A dataset whose samples stay in their files until they are asked for; made by `memory_mapped`."""

    def __init__(self, files: PyTree) -> None:
        self._files = files
        opened, self._structure = tree.flatten(files)
        self._arrays = [_open(file) for file in opened]
        lengths = [len(array) for array in self._arrays]
        if len(set(lengths)) != 1:
            found = {_path(file).name: length for file, length in zip(opened, lengths, strict=True)}
            raise ValueError(
                "files must hold the same number of samples, along the first dimension of each array. "
                f"Got {found}. Pass files of one length."
            )
        self._length = lengths[0]

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: SupportsIndex) -> PyTree:
        place = operator.index(index)
        if not -self._length <= place < self._length:
            remedy = f"Try {self._length - 1}."
            must = f"be at least {-self._length} and below {self._length}"
            raise IndexError(checks.message(must, "index", place, remedy))
        return self.__getitems__([place % self._length])[0]

    def __getitems__(self, indices: list[int]) -> Stacked:
        """The samples at the indices; those of a file are read at once, in the file's order."""
        return Stacked(tree.unflatten(self._structure, [rows(array, indices) for array in self._arrays]))

    def __reduce__(self) -> tuple[Callable[..., "MemoryMapped"], tuple[PyTree]]:
        return memory_mapped, (self._files,)  # another process opens the files anew and copies nothing

    def __repr__(self) -> str:
        described = [f"{array.dtype.name} {array.shape[1:]}" for array in self._arrays]
        return f"MemoryMapped({self._length} samples of {tree.unflatten(self._structure, described)})"


def memory_mapped(files: PyTree) -> MemoryMapped:
    """A dataset in files of any size, of which only what a batch needs is copied into memory.

    The files are mapped, read-only: the system reads the pages that are touched and drops them again when
    memory runs short, for it can read them anew. What the process itself holds is the batch.

    Args:
        files: a pytree of paths of `.npy` files and of `RawFile`. The first dimension of each array counts
            the samples, and is the same in all.

    Returns:
        A map-style dataset, `data[i]` and `len(data)`, whose samples are the pytree of `files` with a tensor
        for each file. `batches`, `train.fit` and a `DataLoader` take it. It can be sent to another process.

    Raises:
        FileNotFoundError: if there is no such file.
        DamagedFileError: if a file is no `.npy` file or is cut short, or a raw file does not hold a whole
            number of samples; a ValueError.
        TypeError: if a leaf is no path, or torch has no such dtype.
        ValueError: if there is no file or no first dimension, or the numbers of samples differ.

    Example:
        >>> import numpy as np, pathlib, tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> path = pathlib.Path(folder.name, "x.npy")
        >>> np.save(path, np.arange(6.0).reshape(3, 2))
        >>> data = memory_mapped({"x": path})
        >>> data, data[2]
        (MemoryMapped(3 samples of {'x': 'float64 (2,)'}), {'x': tensor([4., 5.], dtype=torch.float64)})
        >>> del data
        >>> folder.cleanup()

    The numbers come as they are in the file; a loss that gets bytes may begin with
    `batch["x"].float() / 255`, where a byte costs a quarter of what a float32 would on its way. Rows are read
    fastest where they lie one after the other: an array in Fortran's order works, slowly.
    """
    paths, structure = tree.flatten(files)
    if not paths:
        raise ValueError(checks.message("name at least one file", "files", files, "Try {'x': 'x.npy'}."))
    for name, file in zip(tree.paths(files, "files"), paths, strict=True):
        if not isinstance(file, str | os.PathLike | RawFile):
            raise TypeError(
                f"{name} must be the path of a .npy file or a RawFile. Got {file!r}. Try 'x.npy', or batches "
                "alone for what is in memory."
            )
    return MemoryMapped(tree.unflatten(structure, [_absolute(file) for file in paths]))


def _absolute(file: str | os.PathLike[str] | RawFile) -> Path | RawFile:
    """The same file from whatever folder another process looks at it."""
    if isinstance(file, RawFile):
        return dataclasses.replace(file, path=Path(file.path).absolute())
    return Path(file).absolute()


def _path(file: Path | RawFile) -> Path:
    return Path(file.path if isinstance(file, RawFile) else file)


def _open(file: Path | RawFile) -> Array:
    path = _path(file)
    if not path.is_file():
        remedy = "Pass the path of a file that exists."
        raise FileNotFoundError(checks.message("be a file", "path", str(path), remedy))
    array = _open_raw(path, file) if isinstance(file, RawFile) else _open_npy(path)
    if array.ndim == 0:
        raise ValueError(
            f"path must hold an array whose first dimension counts the samples. Got {str(path)!r}, which "
            "holds a single number. Save it with np.save(path, numbers[None])."
        )
    try:
        rows(array[:1], [0] if len(array) else [])
    except TypeError as error:
        raise TypeError(
            f"path must hold numbers of a dtype that torch has. Got {str(path)!r} of dtype {array.dtype}. "
            "Save it as float32 or int64."
        ) from error
    return array


def _open_npy(path: Path) -> Array:
    try:
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise DamagedFileError(
            f"path must be a whole .npy file of numbers. Got {str(path)!r}: {error}. Write it again with "
            "np.save, or pass a RawFile if it holds numbers alone."
        ) from error
    if not isinstance(mapped, np.ndarray):
        mapped.close()
        raise ValueError(
            f"path must be a .npy file, which can be mapped. Got {str(path)!r}, an archive of arrays. "
            "Save each array with np.save."
        )
    return np.asarray(mapped)


def _open_raw(path: Path, file: RawFile) -> Array:
    checks.integer(least=0, offset=file.offset)
    dtype = np.dtype(file.dtype)
    shape = tuple(file.sample_shape)
    for size in shape:
        checks.integer(least=1, **{"a size in sample_shape": size})
    content = path.stat().st_size - file.offset
    each = math.prod(shape) * dtype.itemsize
    if content < each or content % each:
        raise DamagedFileError(
            f"path must hold whole samples of {each} bytes behind the first {file.offset}. "
            f"Got {str(path)!r} of {path.stat().st_size} bytes, for {file}. "
            "Look at dtype, sample_shape and offset, or write the file again."
        )
    mapped = np.memmap(path, dtype, "r", file.offset, (content // each, *shape))
    return np.asarray(mapped)
