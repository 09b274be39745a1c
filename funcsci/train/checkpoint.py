"""Checkpoints: trees of tensors in files that are whole or absent, and the newest whole one found again."""

import re
import warnings
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from funcsci import checks, tree
from funcsci.storage import DamagedFileError, Format
from funcsci.tree import PyTree

FILE = Format("funcsci.checkpoint", 2, writer="train.save_checkpoint")
NAME = "step-{:012d}.safetensors"
PATTERN = re.compile(r"step-\d{12}\.safetensors")


class Checkpoint(NamedTuple):
    """What `load_checkpoint` returns.

    Attributes:
        tree: the tree of tensors, of the structure that was asked for.
        extra: tensors by name that stood beside it, such as histories.
        story: everything else: numbers and texts, with the versions of funcsci and torch.
    """

    tree: PyTree
    extra: dict[str, Tensor]
    story: dict[str, Any]


def save_checkpoint(
    path: str | Path,
    state: PyTree,
    *,
    extra: dict[str, Tensor] | None = None,
    story: dict[str, Any] | None = None,
) -> None:
    """Write a tree of tensors to one safetensors file, whole or not at all: tensors and JSON, no code.

    Args:
        path: the file; it is replaced in one moment, once its content has reached the disk.
        state: any pytree of tensors, such as a `TrainState`; each is written under its path.
        extra: further tensors by name, which may have any shape when they are loaded.
        story: what else is to be kept, as JSON can hold it.

    Raises:
        TypeError: if a leaf is not a tensor.
        OSError: if the path cannot be written.

    Example:
        >>> import os, tempfile, torch
        >>> path = os.path.join(tempfile.mkdtemp(), "params.safetensors")
        >>> save_checkpoint(path, {"w": torch.ones(2)}, story={"epoch": 3})
        >>> loaded = load_checkpoint(path, {"w": torch.zeros(2)})
        >>> loaded.tree, loaded.story["epoch"]
        ({'w': tensor([1., 1.])}, 3)
    """
    tree.check_tensors(state=state)
    tensors = dict(zip(tree.paths(state, "state"), tree.leaves(state), strict=True))
    tensors |= {f"extra.{name}": tensor for name, tensor in (extra or {}).items()}
    FILE.write(path, tensors, {"story": story or {}})


def load_checkpoint(path: str | Path, like: PyTree) -> Checkpoint:
    """Read a file that `save_checkpoint` wrote.

    Args:
        path: the file.
        like: a tree of the structure, shapes, dtypes and devices that are wanted; its numbers are not used.

    Returns:
        The checkpoint, its tensors equal to the saved ones to the last bit.

    Raises:
        FileNotFoundError: if there is no such file.
        DamagedFileError: if the file is not a checkpoint, was cut short or changed; a ValueError.
        ValueError: if it holds another structure than `like`; the message names the paths that differ.
    """
    tensors, story = FILE.read(path)
    tree.check_tensors(like=like)
    saved = {name: tensor for name, tensor in tensors.items() if not name.startswith("extra.")}
    wanted = dict(zip(tree.paths(like, "state"), tree.leaves(like), strict=True))
    differences = [f"{name} is missing" for name in wanted if name not in saved]
    differences += [f"{name} is unknown" for name in saved if name not in wanted]
    differences += [
        f"{name} is {_kind(saved[name])}, not {_kind(leaf)}"
        for name, leaf in wanted.items()
        if name in saved and _kind(saved[name]) != _kind(leaf)
    ]
    if differences:
        shown = "; ".join(differences[:5]) + (f"; and {len(differences) - 5} more" if differences[5:] else "")
        raise ValueError(
            "The checkpoint must have the structure of what is loaded into. "
            f"Got {str(path)!r}, in which {shown}. Use the model, optimizer and dtype it was saved with."
        )
    leaves = [saved[name].to(leaf.device) for name, leaf in wanted.items()]
    extra = {name.removeprefix("extra."): tensors[name] for name in tensors if name.startswith("extra.")}
    versions = {name: story[name] for name in ("funcsci", "torch")}
    return Checkpoint(tree.unflatten(tree.flatten(like)[1], leaves), extra, {**versions, **story["story"]})


def _kind(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')}{list(tensor.shape)}"


class Checkpoints(NamedTuple):
    """Where and how often a run is saved. The last few files are kept, the older ones removed.

    Attributes:
        folder: made if it does not exist; of one run.
        every: steps between two files.
        keep: how many files to keep, the newest; at least 1. Two survive the loss of one.

    Example:
        >>> Checkpoints("runs/first", every=500).keep
        3
    """

    folder: str | Path
    every: int = 1000
    keep: int = 3

    def check(self) -> None:
        """Everything about the folder that can be wrong, before work begins.

        Raises:
            TypeError: if a number is not an integer.
            ValueError: if a number is below 1.
            OSError: if the folder cannot be made or written.
        """
        checks.integer(least=1, every=self.every, keep=self.keep)
        folder = Path(self.folder)
        folder.mkdir(parents=True, exist_ok=True)
        checks.writable(checkpoint=folder / NAME.format(0))

    def save(self, step: int, state: PyTree, *, extra: dict[str, Tensor], story: dict[str, Any]) -> Path:
        """Write the checkpoint of a step, then remove what is older than the last `keep`."""
        folder = Path(self.folder)
        path = folder / NAME.format(step)
        save_checkpoint(path, state, extra=extra, story=story)
        for old in self.files()[self.keep :]:
            old.unlink(missing_ok=True)
        for left in folder.glob(".step-*.part"):  # by a process that was killed while it wrote
            left.unlink(missing_ok=True)
        return path

    def files(self) -> list[Path]:
        """The checkpoints in the folder, the newest first."""
        folder = Path(self.folder)
        found = [path for path in folder.iterdir() if PATTERN.fullmatch(path.name)] if folder.is_dir() else []
        return sorted(found, reverse=True)

    def latest(self, like: PyTree) -> Checkpoint | None:
        """The newest whole checkpoint; None where there is no file.

        A damaged file is passed over with a warning that says what is wrong with it.

        Args:
            like: as in `load_checkpoint`.

        Raises:
            ValueError: if there are files and all are damaged, or the newest whole one has another
                structure.
        """
        files = self.files()
        for path in files:
            try:
                return load_checkpoint(path, like)
            except DamagedFileError as error:
                warnings.warn(f"A checkpoint is passed over. {error}", RuntimeWarning, stacklevel=3)
        if files:
            raise ValueError(
                f"A folder with checkpoints must have a whole one. Got {len(files)} in {str(self.folder)!r}, "
                "all damaged. Remove them to begin again."
            )
        return None
