"""What a run has computed so far: its state, its history, its best parameters, and whether it is in order."""

import math
import time
from collections import deque
from typing import Any, NamedTuple

import torch
from torch import Tensor

from funcsci import tree
from funcsci.optim import Status
from funcsci.train.loss import Metrics
from funcsci.train.report import Best, Report, Watch
from funcsci.train.step import TrainState
from funcsci.tree import Params, PyTree


class _Taken(NamedTuple):
    """A step whose loss has not been looked at."""

    before: TrainState
    after: TrainState
    metrics: Metrics
    seconds: float


class Run:
    """The record of a run. Losses may be read a few steps late, and what they tell is told then."""

    def __init__(self, start: TrainState, watch: Watch) -> None:
        self.watch = watch
        self.losses: list[float] = []
        self.seconds: list[float] = []
        self.reports: list[dict[str, float]] = []
        self.best = Best(start.params, start.state, watch.worst, 0, watch.monitor)
        self.idle = 0
        self.bad: str | None = None
        self._unread: deque[_Taken] = deque()
        self._read = start
        self._good = start
        self._metrics: Metrics = {}
        self._dtype = torch.get_default_dtype()
        self._start = time.perf_counter()

    @property
    def now(self) -> TrainState:
        """The state after the last step; after a loss that was not finite, that of the last finite one."""
        return self._unread[-1].after if self._unread else self._read

    @property
    def steps(self) -> int:
        """The number of steps taken, those before a checkpoint included."""
        return len(self.losses) + len(self._unread)

    @property
    def reported(self) -> int:
        """The number of steps at the last report."""
        return int(self.reports[-1]["step"]) if self.reports else 0

    def record(self, before: TrainState, after: TrainState, metrics: Metrics) -> None:
        """Take the results of a step; one operation, which an interruption cannot divide."""
        self._unread.append(_Taken(before, after, metrics, time.perf_counter() - self._start))

    def read(self, unread: int = 0) -> bool:
        """Look at all losses but the last few; False where one was not finite, which ends the run."""
        while self.bad is None and len(self._unread) > unread:
            taken = self._unread[0]
            value = taken.metrics["loss"]
            loss, self._dtype = value.item(), value.dtype
            self.losses.append(loss)
            self.seconds.append(taken.seconds)
            if math.isfinite(loss):
                self._read, self._good, self._metrics = taken.after, taken.before, taken.metrics
                self._unread.popleft()
            else:
                self.bad = f"the loss was {loss} at step {len(self.losses) - 1}"
                self._read = self._good
                self._unread.clear()
        return self.bad is None

    def report(self, evaluated: dict[str, float]) -> Report:
        """Close a report on the steps since the last one, and note whether it is the best."""
        recent = self.losses[self.reported :]
        mean = math.fsum(recent) / len(recent)
        metrics = {**{name: float(value) for name, value in self._metrics.items()}, "loss": mean}
        twice = sorted(metrics.keys() & evaluated.keys())
        if twice:
            raise ValueError(
                "evaluate must return names that the loss's metrics do not have. "
                f"Got {twice} twice. Rename them."
            )
        metrics |= evaluated
        if self.reports and metrics.keys() | {"step"} != self.reports[0].keys():
            raise ValueError(
                "Each report must have the numbers of the first. "
                f"Got {sorted(metrics)} after {sorted(self.reports[0].keys() - {'step'})}. "
                "Return nan for one that is missing."
            )
        if self.watch.monitor not in metrics:
            raise ValueError(
                f"monitor must be a number of the reports. Got monitor={self.watch.monitor!r}, where they "
                f"hold {sorted(metrics)}. Take one of these."
            )
        now, value = self.now, metrics[self.watch.monitor]
        if self.watch.better(value, self.best.value):
            self.best, self.idle = Best(now.params, now.state, value, len(self.losses), self.watch.monitor), 0
        else:
            self.idle += 1
        self.reports.append({"step": len(self.losses), **metrics})
        return Report(len(self.losses), metrics, now.params, now.state, self.seconds[-1])

    def stalled(self) -> Status | None:
        """Whether the reports have not become better for too long."""
        patience, best = self.watch.patience, self.best
        if patience is None or self.idle < patience:
            return None
        reason = (
            f"{self.watch.monitor} was best after step {best.step}, {best.value:.4g}, "
            f"and the {self.idle} reports since were not better"
        )
        return Status(False, reason, finished=True)

    def finish(self) -> None:
        """Read all that is there, and see that the last parameters are finite too."""
        if self.read() and self.losses and not _finite(self.now.params):
            self.bad = f"the parameters were not finite after step {len(self.losses) - 1}"
            self._read = self._good

    def history(self) -> dict[str, Tensor]:
        """The loss and the time of each step, the table of reports, and the last step's metrics."""
        names = self.reports[0] if self.reports else ()
        table = {f"report.{name}": _column([report[name] for report in self.reports]) for name in names}
        loss = torch.tensor(self.losses, dtype=self._dtype)
        last = {f"last.{name}": metric for name, metric in self._metrics.items()}
        return {"loss": loss, "seconds": _column(self.seconds), **table, **last}

    def saved(self) -> tuple[PyTree, dict[str, Tensor], dict[str, Any]]:
        """What is needed to go on, once all losses are read: a tree, tensors of any shape, and numbers."""
        trees = {"now": self.now, "good": self._good, "best": [self.best.params, self.best.state]}
        best = {"value": self.best.value.hex(), "step": self.best.step}
        columns = list(self.reports[0]) if self.reports else []
        story = {"step": self.steps, "best": best, "idle": self.idle, "columns": columns}
        return trees, self.history(), story

    def restore(self, trees: PyTree, history: dict[str, Tensor], story: dict[str, Any]) -> None:
        """Go on from what `saved` gave."""
        self._read, self._good = trees["now"], trees["good"]
        (params, state), best = trees["best"], story["best"]
        self.best = Best(params, state, float.fromhex(best["value"]), best["step"], self.watch.monitor)
        self.idle = story["idle"]
        self._dtype = history["loss"].dtype
        self.losses, self.seconds = history["loss"].tolist(), history["seconds"].tolist()
        self._metrics = under("last.", history)
        columns = {name: history[f"report.{name}"].tolist() for name in story["columns"]}
        self.reports = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        self._start = time.perf_counter() - (self.seconds[-1] if self.seconds else 0.0)


def under(prefix: str, history: dict[str, Tensor]) -> dict[str, Tensor]:
    """The entries whose names begin so, by the rest of their names."""
    return {name.removeprefix(prefix): one for name, one in history.items() if name.startswith(prefix)}


def _column(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def _finite(params: Params) -> bool:
    return all(bool(torch.isfinite(leaf).all()) for leaf in tree.leaves(params))
