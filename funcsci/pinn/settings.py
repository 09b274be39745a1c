"""What a solver is asked to do, and what it gives back."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from funcsci.optim import Status
from funcsci.pinn.network import NetworkSettings
from funcsci.random import Key
from funcsci.tree import Params


class Chosen(NamedTuple):
    """What random features were found to suit a slab, for the next one to begin with.

    Attributes:
        width: how many.
        slopes: the largest along each input.
        error: the relative residual when they were chosen.
    """

    width: int
    slopes: tuple[float, ...]
    error: float


class Settings(NamedTuple):
    """A solver's settings, checked and complete; None is left where the method decides.

    Attributes:
        key: the random key.
        methods: names in `METHODS`, one after the other until one meets `tol`.
        steps: the most steps of each.
        network: the network; its `hidden` may be empty, for the method to choose.
        widest: the most random features to try, where `hidden` is empty.
        points: collocation points inside.
        sampling: how they are placed.
        tol: the relative residual that counts as converged.
        aim: the one at which more effort ends; at most `tol`.
        derivatives: `"taylor"` or `"nested"`.
        causal: the strength of causal weighting; 0 is none.
        dtype: of the parameters.
        device: where to compute.
        backend: as in `jit`.
        progress: whether to show progress.
        chosen: the features of the slab before; None where there is none.
    """

    key: Key
    methods: tuple[str, ...] = ("random_features",)
    steps: tuple[int | None, ...] = (None,)
    network: NetworkSettings = NetworkSettings(())
    widest: int = 2_048
    points: int | None = None
    sampling: str | None = None
    tol: float = 1e-10
    aim: float = 1e-10
    derivatives: str = "taylor"
    causal: float = 0.0
    dtype: torch.dtype = torch.float64
    device: torch.device = torch.device("cpu")
    backend: str | None = None
    progress: bool = False
    chosen: Chosen | None = None

    @property
    def where(self) -> dict[str, Any]:
        """Dtype and device of new tensors."""
        return {"dtype": self.dtype, "device": self.device}


class History(NamedTuple):
    """The course of a solution.

    Attributes:
        loss: the weighted mean of squared residuals, each divided by its equation's scale, at the start and
            after each solve or step; first-order methods have it before each step, on that step's points.
            Shape `(entries,)`.
        seconds: the time since the start at which each entry was known, shape `(entries,)`.
    """

    loss: Tensor
    seconds: Tensor


class Outcome(NamedTuple):
    """What a method hands on.

    Attributes:
        method: its name.
        network: the network that it settled on.
        params: its parameters.
        error: the relative residual on held-out points.
        losses: the history of the loss.
        seconds: when each entry was known.
        status: whether `tol` was met, and why the method ended.
        backend: what the steps ran on.
        steps: how many were taken.
        chosen: the random features that suited, where their slopes were searched for.
    """

    method: str
    network: NetworkSettings
    params: Params
    error: float
    losses: list[float]
    seconds: list[float]
    status: Status
    backend: str
    steps: int
    chosen: Chosen | None = None
