"""One file for a solution: safetensors for the numbers, JSON in its header for the rest."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialize
from torch import Tensor

from funcsci import __version__, checks

FORMAT = "funcsci.solution"
VERSION = 1


def write(path: str | Path, tensors: dict[str, Tensor], story: dict[str, Any]) -> None:
    """Write tensors and a JSON-able dict to one file, whole or not at all.

    Args:
        path: the file.
        tensors: by name, on any device.
        story: everything else.

    Raises:
        OSError: if the path cannot be written.
    """
    checks.writable(path=path)
    whole = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    text = json.dumps(
        {
            "format": FORMAT,
            "version": VERSION,
            "funcsci": __version__,
            "torch": str(torch.__version__),
            **story,
        },
        sort_keys=True,
    )
    metadata = {"story": text, "sha256": _digest(whole, text)}
    target = Path(path)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        part.write_bytes(serialize(whole, metadata))
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def read(path: str | Path, device: str | torch.device = "cpu") -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `write` wrote.

    Args:
        path: the file.
        device: where the tensors go.

    Returns:
        The tensors by name, and the dict.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is not a saved solution, is cut short or was changed.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(
            checks.message("be a file", "path", str(path), "Pass what Solution.save wrote.")
        )
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118, it is no dict
    except (SafetensorError, OSError) as error:
        raise ValueError(refusal(path, f"it cannot be read ({error})")) from error
    if not {"story", "sha256"} <= metadata.keys():
        raise ValueError(refusal(path, "it holds tensors of something else"))
    text = metadata["story"]
    if _digest(tensors, text) != metadata["sha256"]:
        raise ValueError(refusal(path, "its checksum does not fit its content"))
    story = json.loads(text)
    if story.get("format") != FORMAT or story.get("version") != VERSION:
        raise ValueError(refusal(path, f"it holds {story.get('format')!r}, version {story.get('version')!r}"))
    return {name: tensor.to(device) for name, tensor in tensors.items()}, story


def refusal(path: str | Path, reason: str) -> str:
    """The message for a file that is not a whole, unchanged solution."""
    return (
        f"path must be a whole file written by Solution.save. Got {str(path)!r}: {reason}. "
        "Solve and save again."
    )


def _digest(tensors: dict[str, Tensor], text: str) -> str:
    """A checksum of everything in the file: it finds damage, not malice."""
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype} ".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
