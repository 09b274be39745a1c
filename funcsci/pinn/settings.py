"""What a method is asked to do, and what it gives back."""

from typing import NamedTuple

import torch
from torch import Tensor

from funcsci.optim import Status
from funcsci.random import Key
from funcsci.tree import Params


class Settings(NamedTuple):
    """A solver's settings, checked and complete."""

    hidden: tuple[int, ...] | None
    steps: int | None
    tol: float
    points: int | None
    key: Key
    dtype: torch.dtype
    device: torch.device
    backend: str | None
    progress: bool


class History(NamedTuple):
    """The course of a solution.

    Attributes:
        loss: the mean squared dimensionless residual, plus that of soft conditions, shape `(entries,)`.
            `"levenberg_marquardt"` has it at the start and after each solve of the last layer and each step,
            `"adam"` before each step, on that step's points.
        seconds: the time since the start at which each entry was known, shape `(entries,)`.
    """

    loss: Tensor
    seconds: Tensor


class Outcome(NamedTuple):
    """What a method hands to the solution."""

    params: Params
    hidden: tuple[int, ...]
    conditions: str
    history: History
    status: Status
    backend: str
    steps: int
