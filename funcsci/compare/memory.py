"""The most memory that the tensors of a training program take during a step."""

import json
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile, record_function

BEFORE = 3
"""After so many steps all that one step leaves for the next was allocated under the profiler's eyes."""
MARK = "funcsci.compare.memory"


def peak_memory(
    step: Callable[[], object], held: Callable[[], Iterable[Tensor]], device: torch.device
) -> int:
    """The peak of the bytes of all tensors of a training program during a step, its data left out.

    Torch's allocator tells it, which also serves compiled programs: on CUDA by its own statistics, on the CPU
    through the profiler. So it counts what a step allocates, and not what the process keeps of earlier
    work. Work space that a library takes past the allocator is not seen.

    Args:
        step: takes a step of a program that has taken some before.
        held: the tensors that the program has between two steps.
        device: where the program runs.

    Returns:
        The peak in bytes.

    Example:
        >>> import torch
        >>> weights = torch.zeros(1000, dtype=torch.float64)
        >>> peak_memory(lambda: weights.add_(2 * weights), lambda: [weights], torch.device("cpu")) // 1000
        16
    """
    if device.type == "cuda":
        return _on_cuda(step, held, device)
    events = _events(step)
    level = sum(_storages(held(), but=frozenset(event["Addr"] for event in events if event)).values())
    alive: dict[int, int] = {}
    peak = now = 0
    seen = False
    for event in events:
        if event is None:
            seen = True
        else:
            now -= alive.pop(event["Addr"], 0)
            if event["Bytes"] > 0:
                alive[event["Addr"]] = event["Bytes"]
                now += event["Bytes"]
        peak = max(peak, now) if seen else now
    return level + peak


def _events(step: Callable[[], object]) -> list[dict[str, Any] | None]:
    """What was allocated (bytes above zero) and freed during some steps; None where the last begins."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        for _ in range(BEFORE):
            step()
        with record_function(MARK):
            pass
        step()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(path))
        told = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
    events = [one for one in told if one["name"] in ("[memory]", MARK) and "ts" in one]
    events.sort(key=lambda one: (one["ts"], one["args"]["Ev Idx"]))
    return [None if one["name"] == MARK else one["args"] for one in events]


def _on_cuda(step: Callable[[], object], held: Callable[[], Iterable[Tensor]], device: torch.device) -> int:
    own = sum(_storages(held()).values())
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    step()
    torch.cuda.synchronize(device)
    return own + torch.cuda.max_memory_allocated(device) - before


def _storages(tensors: Iterable[Tensor], *, but: frozenset[int] = frozenset()) -> dict[int, int]:
    """The bytes of each storage by its address, without those of the given addresses."""
    found = {one.untyped_storage().data_ptr(): one.untyped_storage().nbytes() for one in tensors}
    return {address: size for address, size in found.items() if address not in but}
