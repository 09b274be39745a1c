"""MNIST: 70,000 handwritten digits, from the four files in which they were published."""

import hashlib
import importlib
import os
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from funcsci import checks, progress, storage
from funcsci.data.idx import content, damaged, parsed

DIGESTS = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
"""SHA-256 of the files' content, which is the same however it is compressed."""
MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
"""Where the compressed files are, in the order in which they are tried."""
SECONDS = 30.0
"""How long a mirror may be silent."""


class Images(NamedTuple):
    """Pictures and what they show; a pytree of tensors, as `batches` and `train.fit` take it.

    Attributes:
        images: one channel of brightness, 0 is background and 1 is ink; shape `(n, 1, 28, 28)`.
        labels: the digit, 0 to 9; shape `(n,)`.
    """

    images: Float[Tensor, "n 1 28 28"]
    labels: Int64[Tensor, "n"]


def mnist(
    train: bool = True,
    *,
    folder: str | os.PathLike[str] | None = None,
    download: bool = True,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device | None = None,
) -> Images:
    """The handwritten digits of MNIST: 60,000 to learn from, 10,000 to test with.

    The original files are looked for in `folder` alone, if it is given; else in the folder that the
    environment variable FUNCSCI_DATA names, then in the user's cache, and in each of these in its subfolder
    `mnist` too. Files that are nowhere are downloaded into the cache. Each is checked by its SHA-256.

    Args:
        train: whether to read the digits to learn from, or those to test with.
        folder: where the files are, `train-images-idx3-ubyte.gz` and its like, compressed or not.
        download: whether to download what is not here, 11 MB in all; needs `pip install "funcsci[data]"`.
        dtype: of the images.
        device: where the tensors go; None: torch's default.

    Returns:
        The `Images`.

    Raises:
        FileNotFoundError: if a file is missing and is not to be downloaded.
        DamagedFileError: if a file is cut short or changed; a ValueError. A damaged file in the cache is
            downloaded again where that is allowed.
        ImportError: if pooch, which downloads, is not installed.
        OSError: if no mirror can be reached. Nothing of a failed download is left in the cache.
        ValueError: if `dtype` is not float32 or float64, or `device` names none.
        RuntimeError: if there is no such device here.

    Example:
        >>> digits = mnist(train=False)  # doctest: +SKIP
        >>> digits.images.shape, digits.labels[:4]  # doctest: +SKIP
        (torch.Size([10000, 1, 28, 28]), tensor([7, 2, 1, 0]))

    Source: LeCun, Bottou, Bengio, Haffner (1998), Gradient-based learning applied to document recognition,
    doi:10.1109/5.726791.
    """
    checks.floating(dtype=dtype)
    if device is not None:
        checks.device(abstract=True, device=device)
    name = "train" if train else "t10k"
    images = _read(f"{name}-images-idx3-ubyte", folder, download)
    labels = _read(f"{name}-labels-idx1-ubyte", folder, download)
    where = torch.empty(0).device if device is None else device
    return Images(images.unsqueeze(1).to(where, dtype) / 255, labels.to(where, torch.int64))


def _read(name: str, folder: str | os.PathLike[str] | None, download: bool) -> UInt8[Tensor, "..."]:
    given = os.environ.get("FUNCSCI_DATA") if folder is None else folder
    path = _find(name, Path(given)) if given else None
    if path is not None:
        return _checked(name, path)
    if folder is not None:
        raise FileNotFoundError(
            f"folder must hold {name}.gz or {name}. Got folder={str(folder)!r}, which does not. "
            f"Download {MIRRORS[0]}{name}.gz into it, or leave folder out."
        )
    pooch = _pooch()
    cache = None if pooch is None else Path(pooch.os_cache("funcsci"))
    path = None if cache is None else _find(name, cache)
    if path is not None:
        try:
            return _checked(name, path)
        except storage.DamagedFileError:
            if not download:
                raise
            path.unlink()
    by_hand = (
        f"Download {MIRRORS[0]}{name}.gz by hand, and set the environment variable FUNCSCI_DATA to its folder"
    )
    if not download:
        raise FileNotFoundError(
            f"download must be True where {name} is not on this computer. Got download=False, and looked in "
            f"FUNCSCI_DATA={given!r} and in the cache {str(cache)!r}. {by_hand}."
        )
    if cache is None:
        raise ImportError(
            f"pooch must be installed to download {name}.gz. Got no such package. "
            f'Run `pip install "funcsci[data]"`. Or: {by_hand}.'
        )
    return _downloaded(name, cache / "mnist", pooch, by_hand)


def _find(name: str, folder: Path) -> Path | None:
    """The file in the folder or in its subfolder for this data set."""
    paths = [place / file for place in (folder, folder / "mnist") for file in (f"{name}.gz", name)]
    return next(filter(Path.is_file, paths), None)


def _checked(name: str, path: Path) -> UInt8[Tensor, "..."]:
    data = content(path)
    found = parsed(data, path)  # first, for it knows better what is wrong
    digest = hashlib.sha256(data).hexdigest()
    if digest != DIGESTS[name]:
        raise damaged(path, f"its SHA-256 is {digest}, where that of {name} is {DIGESTS[name]}")
    return found


def _pooch() -> Any:
    """The package that downloads and knows the user's cache, an optional one; None if it is missing."""
    try:
        return importlib.import_module("pooch")
    except ImportError:
        return None


def _downloaded(name: str, folder: Path, pooch: Any, by_hand: str) -> UInt8[Tensor, "..."]:
    """The file from the first mirror that has it, which takes its name when it is whole and checked."""
    target = folder / f"{name}.gz"
    prepared = storage.part(target)
    reasons = []
    for mirror in MIRRORS:
        url = f"{mirror}{name}.gz"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with progress.bar(1, name) as bar:  # whose total pooch sets; with 0 it would count as no bar
                pooch.HTTPDownloader(progressbar=bar, timeout=SECONDS)(url, str(prepared), None)
            found = _checked(name, prepared)
            prepared.replace(target)
            return found
        except storage.DamagedFileError:
            reasons.append(f"{url} sent a file that is cut short or changed")
        except OSError as error:  # as those of the network are
            reasons.append(f"{url}: {type(error).__name__}: {error}")
        finally:
            if prepared.is_file():
                prepared.unlink()
    raise OSError(
        f"{name}.gz must be on this computer or be downloaded. Got it from no mirror: {'; '.join(reasons)}. "
        f"Look at the network and at {str(folder)!r}. Or: {by_hand}."
    )
