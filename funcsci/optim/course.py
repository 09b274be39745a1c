"""The course of a search on the host: what each step found, and what ends it besides its tolerances."""

import time

import torch
from torch import Tensor
from tqdm import tqdm

from funcsci.optim.status import Status


class Clock:
    """The wall-clock time since a call began, and its limit.

    Args:
        limit: in seconds; None is none.
    """

    def __init__(self, limit: float | None) -> None:
        self.limit = limit
        self.begun = time.perf_counter()

    @property
    def seconds(self) -> float:
        """The time since the beginning."""
        return time.perf_counter() - self.begun

    def ended(self, taken: int, steps: int) -> Status | None:
        """The status of a search whose time is over after so many of its steps; None before."""
        if self.limit is None or self.seconds < self.limit:
            return None
        return Status(False, f"the time limit was reached after {taken} of {steps} steps")


def interrupted(taken: int, steps: int) -> Status:
    """The status of a search that Ctrl-C stopped after so many of its steps."""
    return Status(False, f"interrupted after {taken} of {steps} steps")


class Course:
    """The value and the time after each step of a search.

    Args:
        value: at the start.
        steps: the most steps.
        clock: runs since the search began.
        bar: shows the progress.
    """

    def __init__(self, value: float, steps: int, clock: Clock, bar: "tqdm[None]") -> None:
        self.steps, self.clock, self._bar = steps, clock, bar
        self._entries = [(value, clock.seconds)]

    @property
    def taken(self) -> int:
        """The number of steps taken."""
        return len(self._entries) - 1

    def record(self, value: float) -> None:
        """Note the value after a step."""
        self._entries.append((value, self.clock.seconds))  # one operation: Ctrl-C cannot divide it
        self._bar.update()
        self._bar.set_postfix_str(f"value {value:.2e}", refresh=False)

    def ended(self) -> Status | None:
        """The status of a search that may take no further step; None while it may."""
        if self.taken >= self.steps:
            return Status(False, "the steps allowed were used up")
        return self.clock.ended(self.taken, self.steps)

    def interrupted(self) -> Status:
        """The status after Ctrl-C."""
        return interrupted(self.taken, self.steps)

    def history(self) -> tuple[Tensor, Tensor]:
        """The values and the times, at the start and after each step, float64, shape `(steps + 1,)`."""
        values, seconds = zip(*self._entries, strict=True)
        return torch.tensor(values, dtype=torch.float64), torch.tensor(seconds, dtype=torch.float64)
