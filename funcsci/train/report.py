"""What a run tells of itself every few steps, and what follows from it."""

import math
from typing import NamedTuple

from funcsci import checks
from funcsci.tree import Params, PyTree


class Report(NamedTuple):
    """What callbacks are told, every `report_every` steps.

    Attributes:
        step: the number of steps taken.
        metrics: the numbers of this report by name: `loss`, the mean over the steps since the last report,
            then the loss's own metrics at the last step and those of `evaluate`.
        params: the parameters after that step.
        state: the model's state after it.
        seconds: the time since the run began, without what came before a checkpoint.
    """

    step: int
    metrics: dict[str, float]
    params: Params
    state: PyTree
    seconds: float


class Best(NamedTuple):
    """The parameters of the best report.

    Attributes:
        params: the parameters.
        state: the model's state that belongs to them.
        value: the monitored number there; infinite where there was no report yet.
        step: the number of steps taken to get there.
        monitor: the name of that number.
    """

    params: Params
    state: PyTree
    value: float
    step: int
    monitor: str


class Watch(NamedTuple):
    """What decides which report is the best, and when to stop for want of a better one.

    Attributes:
        monitor: the name of a number in the reports.
        mode: `"min"` or `"max"`.
        patience: the reports in a row without a better one after which the run stops; None for never.
        min_delta: what counts as better is better by more than this.
    """

    monitor: str
    mode: str
    patience: int | None
    min_delta: float

    def check(self) -> None:
        """Each number is in its range.

        Raises:
            TypeError: if a number is of the wrong type.
            ValueError: if the mode is unknown, `patience` is below 1 or `min_delta` is negative.
        """
        checks.one_of(("min", "max"), mode=self.mode)
        checks.non_negative(min_delta=self.min_delta)
        if self.patience is not None:
            checks.integer(least=1, patience=self.patience)

    @property
    def worst(self) -> float:
        """What every number is better than."""
        return math.inf if self.mode == "min" else -math.inf

    def better(self, value: float, best: float) -> bool:
        """Whether a number improves on the best."""
        sign = 1.0 if self.mode == "min" else -1.0
        return sign * value < sign * best - (self.min_delta if math.isfinite(best) else 0.0)
