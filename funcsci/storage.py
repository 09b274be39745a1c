"""One file for tensors and their story: safetensors for the numbers, JSON in its header for the rest.

A file appears whole or not at all, and a file that was cut short or changed is not read. The checksum
finds damage, not malice; nothing in a file is ever executed.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialize
from torch import Tensor

from funcsci import __version__, checks


class DamagedFileError(ValueError):
    """A file is not the whole, unchanged file of its kind that it should be."""


class Format(NamedTuple):
    """A kind of file.

    Attributes:
        name: stands in the file and says what it is.
        version: of the file's layout; a file of another version is refused.
        writer: the function that writes such files, as a user calls it: errors name it.
    """

    name: str
    version: int
    writer: str

    def write(self, path: str | Path, tensors: dict[str, Tensor], story: dict[str, Any]) -> None:
        """Write tensors and a JSON-able dict to one file, whole or not at all.

        The bytes go to a temporary file beside it, reach the disk, and then take its name.

        Args:
            path: the file.
            tensors: by name, on any device.
            story: everything else.

        Raises:
            OSError: if the path cannot be written.
        """
        checks.writable(path=path)
        whole = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
        facts = {
            "format": self.name,
            "version": self.version,
            "funcsci": __version__,
            "torch": str(torch.__version__),
        }
        text = json.dumps({**facts, **story}, sort_keys=True)
        content = serialize(whole, {"story": text, "sha256": _digest(whole, text)})
        _replace(Path(path), content)

    def read(
        self, path: str | Path, device: str | torch.device = "cpu"
    ) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Read what `write` wrote.

        Args:
            path: the file.
            device: where the tensors go.

        Returns:
            The tensors by name, and the dict.

        Raises:
            FileNotFoundError: if there is no such file.
            DamagedFileError: if the file is of another kind, is cut short or was changed; a ValueError.
        """
        if not Path(path).is_file():
            remedy = f"Pass what {self.writer} wrote."
            raise FileNotFoundError(checks.message("be a file", "path", str(path), remedy))
        try:
            with safe_open(str(path), framework="pt") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118, it is no dict
        except (SafetensorError, OSError) as error:
            raise self.damaged(path, f"it cannot be read ({error})") from error
        if not {"story", "sha256"} <= metadata.keys():
            raise self.damaged(path, "it holds tensors of something else")
        text = metadata["story"]
        if _digest(tensors, text) != metadata["sha256"]:
            raise self.damaged(path, "its checksum does not fit its content")
        story = json.loads(text)
        if story.get("format") != self.name or story.get("version") != self.version:
            raise self.damaged(path, f"it holds {story.get('format')!r}, version {story.get('version')!r}")
        return {name: tensor.to(device) for name, tensor in tensors.items()}, story

    def damaged(self, path: str | Path, reason: str) -> DamagedFileError:
        """The error for a file that is not a whole, unchanged file of this kind."""
        return DamagedFileError(
            f"path must be a whole file written by {self.writer}. Got {str(path)!r}: {reason}. "
            "Write it again."
        )


def part(target: Path) -> Path:
    """The temporary file in which this process prepares the target's next content."""
    return target.with_name(f".{target.name}.{os.getpid()}.part")


def _replace(target: Path, content: bytes) -> None:
    """Give the file a new content in one moment, which a crash or a power cut cannot tear."""
    prepared = part(target)
    try:
        with prepared.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        prepared.replace(target)
    finally:
        prepared.unlink(missing_ok=True)
    if os.name == "posix":  # elsewhere a folder cannot be opened, and the new name takes its own time
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _digest(tensors: dict[str, Tensor], text: str) -> str:
    """A checksum of everything in the file."""
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype} ".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
