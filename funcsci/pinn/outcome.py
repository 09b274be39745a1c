"""What happened in a solve, from the method to the solution."""

from typing import NamedTuple

from torch import Tensor

from funcsci.optim import Status
from funcsci.pinn.last_layer import Columns
from funcsci.pinn.network import NetworkSettings
from funcsci.pinn.settings import Chosen
from funcsci.pinn.task import Task
from funcsci.pinn.verdict import Verdict
from funcsci.tree import Params


class Tried(NamedTuple):
    """One candidate for the solution.

    Attributes:
        method: that found it.
        hidden: the widths of its network.
        residual: its largest relative residual on held-out points.
        error: its largest estimated relative error; nan where it was not estimated.
        seconds: when it was there, since the start.
    """

    method: str
    hidden: tuple[int, ...]
    residual: float
    error: float
    seconds: float


class History(NamedTuple):
    """The course of a solution.

    Attributes:
        loss: the weighted mean of squared residuals, each divided by its equation's scale, at the start and
            after each solve or step; first-order methods have it before each step, on that step's points.
            Shape `(entries,)`.
        seconds: the time since the start at which each entry was known, shape `(entries,)`.
        candidates: all that were tried, in order; the best of them is the solution.
    """

    loss: Tensor
    seconds: Tensor
    candidates: tuple[Tried, ...] = ()


class Outcome(NamedTuple):
    """The result of one method, or of several in turn.

    Attributes:
        method: its name.
        task: what was solved, with the network that the method settled on.
        params: the network's parameters.
        verdict: what is known of their quality.
        losses: the history of the loss.
        seconds: when each entry was known.
        status: whether `tol` was met, and why the method ended.
        backend: what the steps ran on.
        steps: how many were taken.
        candidates: all that were tried.
        stopped: what ended it before its time, an interruption or a time limit.
        chosen: the random features that suited, where their slopes were searched for.
        held_out: each requirement at points on which nothing was found, where random features were.
    """

    method: str
    task: Task
    params: Params
    verdict: Verdict
    losses: list[float]
    seconds: list[float]
    status: Status
    backend: str
    steps: int
    candidates: tuple[Tried, ...]
    stopped: str = ""
    chosen: Chosen | None = None
    held_out: list[Columns] | None = None

    @property
    def network(self) -> NetworkSettings:
        """The shape of its network."""
        return self.task.shape

    @property
    def residual(self) -> float:
        """The largest relative residual on held-out points."""
        return self.verdict.worst_residual

    @property
    def rank(self) -> tuple[bool, float]:
        """What is least for the best of several: those that converged come first, then the least residual."""
        return not self.status.converged, self.residual
