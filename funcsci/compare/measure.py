"""What a step of each form costs: time and memory, side by side in one process."""

import functools
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import torch

from funcsci.compare.forms import Form, form_names, make_form
from funcsci.compare.memory import peak_memory
from funcsci.compare.pair import batches_of
from funcsci.compare.twin import Twin
from funcsci.random import Key

BLOCKS = 9
"""The forms take turns in so many blocks of steps, so that a drift of the machine hits all alike."""
BLOCK_SECONDS = 0.1
"""About how long a block of one form is."""
WARM = 4
"""Steps before the clock counts: a compiled optimizer is compiled anew once it has a state."""
BATCHES = 8
"""How many batches the forms go round."""


class Cost(NamedTuple):
    """What a form costs.

    Attributes:
        name: which form.
        first: the seconds until its first step is done, with its compilation, which is short where an earlier
            process has left its programs on the disk; None if it does not run.
        seconds: the time of a later step, the median of the blocks; None if it does not run.
        memory: the peak bytes of its tensors during a step; None where it was not asked for, too.
        failure: why it does not run; empty if it does.
    """

    name: str
    first: float | None = None
    seconds: float | None = None
    memory: int | None = None
    failure: str = ""


def measure(
    twin: Twin,
    key: Key,
    dtype: torch.dtype,
    device: torch.device,
    *,
    compiled: bool = True,
    memory: bool = True,
    said: Callable[[str], object] = lambda what: None,
) -> list[Cost]:
    """The cost of each form of a twin.

    Args:
        twin: what is trained.
        key: decides weights, data and their order.
        dtype: the precision.
        device: where it runs.
        compiled: whether to compile too.
        memory: whether to measure memory too.
        said: told what is done next, once for each form, block, and form of which memory is measured.

    Returns:
        The costs in the order of `form_names`.
    """
    batches = list(batches_of(twin, twin.samples(key, dtype, device), key, BATCHES))
    runners: dict[str, Runner] = {}
    costs: dict[str, Cost] = {}
    for name in form_names(twin, compiled=compiled):
        said(name)
        try:
            runner = Runner(make_form(name, twin, batches, key, dtype, device), device)
            costs[name] = Cost(name, first=runner.take(1))
            runners[name] = runner
        except RuntimeError as error:  # a compiler's errors are of many kinds, all of them of this one
            costs[name] = Cost(name, failure=f"{type(error).__name__}: {error}")
    for name, seconds in times(runners, said).items():
        costs[name] = costs[name]._replace(seconds=seconds)
    for name, runner in runners.items() if memory else ():
        said(f"memory of {name}")
        peak = peak_memory(functools.partial(runner.take, 1), runner.form.held, device)
        costs[name] = costs[name]._replace(memory=peak)
    return list(costs.values())


class Runner:
    """Takes steps of a form on one batch after the other, and tells how long they took."""

    def __init__(self, form: Form, device: torch.device) -> None:
        self.form, self.device, self.taken = form, device, 0

    def take(self, count: int) -> float:
        """Take so many steps, and return the seconds they took."""
        begun = time.perf_counter()
        for _ in range(count):
            self.form.step(self.form.batches[self.taken % len(self.form.batches)])
            self.taken += 1
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter() - begun


def times(runners: dict[str, Runner], said: Callable[[str], object]) -> dict[str, float]:
    """The seconds of a step of each, the median of blocks that take turns."""
    counts = {}
    for name, runner in runners.items():
        runner.take(WARM)
        counts[name] = max(1, round(BLOCK_SECONDS / runner.take(1)))
    taken: dict[str, list[float]] = {name: [] for name in runners}
    for block in range(BLOCKS):
        said(f"block {block + 1} of {BLOCKS}")
        for name, runner in runners.items():
            taken[name].append(runner.take(counts[name]) / counts[name])
    return {name: statistics.median(blocks) for name, blocks in taken.items()}
