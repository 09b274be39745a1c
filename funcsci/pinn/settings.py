"""What a solver is asked to do."""

import math
import time
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from funcsci.pinn.network import NetworkSettings
from funcsci.random import Key

MOMENT = 1e-3
"""The shortest time limit that is passed on, in seconds."""


class Chosen(NamedTuple):
    """What random features were found to suit a slab, for the next one to begin with.

    Attributes:
        width: how many.
        slopes: the largest along each input.
        error: the relative residual when they were searched for.
    """

    width: int
    slopes: tuple[float, ...]
    error: float

    def tensor(self) -> Float[Tensor, "inputs"]:
        """The slopes as a tensor."""
        return torch.tensor(self.slopes, dtype=torch.float64)


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
        breakpoints: places of a line at which something happens on a small scale.
        tol: the estimated relative error that counts as converged.
        aim: the relative residual at which more effort ends; at most `tol`.
        enough: the estimated error, and a slab's relative residual, with which no other method is tried.
        derivatives: `"taylor"` or `"nested"`.
        causal: the strength of causal weighting; 0 is none.
        dtype: of the parameters.
        device: where to compute.
        backend: as in `jit`.
        progress: whether to show progress.
        estimate: whether to estimate the error.
        time_limit: seconds after which a solve ends with the best so far; None is none.
        deadline: the reading of `time.perf_counter` at which that is.
        chosen: the features of the slab before; None where there is none.
    """

    key: Key
    methods: tuple[str, ...] = ("random_features",)
    steps: tuple[int | None, ...] = (None,)
    network: NetworkSettings = NetworkSettings(())
    widest: int = 2_048
    points: int | None = None
    sampling: str | None = None
    breakpoints: tuple[float, ...] = ()
    tol: float = 1e-10
    aim: float = 1e-10
    enough: float = 1e-10
    derivatives: str = "taylor"
    causal: float = 0.0
    dtype: torch.dtype = torch.float64
    device: torch.device = torch.device("cpu")
    backend: str | None = None
    progress: bool = False
    estimate: bool = True
    time_limit: float | None = None
    deadline: float = math.inf
    chosen: Chosen | None = None

    @property
    def remaining(self) -> float | None:
        """The seconds that are left of the time limit, at least a moment; None where there is none."""
        if self.time_limit is None:
            return None
        return max(self.deadline - time.perf_counter(), MOMENT)

    @property
    def expired(self) -> bool:
        """Whether the time limit is over."""
        return time.perf_counter() >= self.deadline

    @property
    def where(self) -> dict[str, Any]:
        """Dtype and device of new tensors."""
        return {"dtype": self.dtype, "device": self.device}
