"""When a search for a least sum of squares ends, and what its status says."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from funcsci.optim.problem import Point, half_sum
from funcsci.optim.status import Status

PATIENCE = 50
"""Steps in a row that gain nothing before the search counts as stalled."""
GAIN, TURN = 1e-3, 0.1
"""A step gains something if it lowers the best value, or the least cosine so far, by these shares."""
SOLVED = 0.1
"""A step solves its equations if it leaves at most this share of their right side."""


class Tolerances(NamedTuple):
    """When a point counts as a minimum; as in `least_squares`."""

    residual: float
    gradient: float
    value: float
    step: float


def ended(now: Point, cosine: float, tolerances: Tolerances, idle: int) -> Status | None:
    """Whether to stop before trying a step."""
    if now.rms <= tolerances.residual:
        return Status(
            True, f"the residual's root mean square {now.rms:.1e} is at most {tolerances.residual:.1e}"
        )
    if cosine <= tolerances.gradient:
        return Status(True, f"the gradient vanishes (cosine at most {tolerances.gradient:.1e})")
    if idle >= PATIENCE:
        return Status(False, f"each of the last {PATIENCE} steps gained less than {GAIN:.1%}")
    return None


class Attempt(NamedTuple):
    """What the first step tried from a point tells about it; infinite where it tells nothing.

    Attributes:
        share: its length as a share of the parameters', both scaled.
        promise: the share of the value that the linear model promises to it, or to any one parameter.
    """

    share: float
    promise: float

    def small(self, tolerances: Tolerances) -> Status | None:
        """Converged, if the step is too small to be worth trying."""
        if self.share <= tolerances.step:
            return Status(True, f"the step is at most {tolerances.step:.1e} of the parameters")
        if self.promise <= tolerances.value:
            return Status(True, f"steps promise at most {tolerances.value:.1e} of the value")
        return None

    def exhausted(self, tolerances: Tolerances) -> Status:
        """How the search ends if no step along it lowers the value."""
        reason = "no step lowers the value"
        if self.share <= math.sqrt(tolerances.step):
            return Status(True, f"{reason}, and the first is {self.share:.1e} of the parameters")
        if self.promise <= math.sqrt(tolerances.value):
            return Status(True, f"{reason}, and the first promises {self.promise:.1e} of it")
        return Status(False, f"{reason}: round-off is reached")


UNTOLD = Attempt(math.inf, math.inf)


def attempt(now: Point, scale: Tensor, damping: float, v: Tensor, tolerances: Tolerances) -> Attempt:
    r"""What the step `v`, in scaled parameters, tells if it is the first tried from a point.

    It promises $(\lVert J v \rVert^2 + 2 \lambda \lVert v \rVert^2) / \lVert r \rVert^2$, a parameter
    alone the square of its cosine. A small step that does not solve its equations tells nothing.
    """
    ahead = now.linear.apply(v / scale)
    length, reach = float(torch.linalg.vector_norm(v)), float(torch.linalg.vector_norm(scale * now.params))
    share = length / reach if reach > 0 else (math.inf if length > 0 else 0.0)
    gain = half_sum(ahead) + damping * 2 * half_sum(v)
    told = Attempt(share, max(gain / now.value, now.linear.cosine**2))
    if not told.exhausted(tolerances).converged:
        return told
    wanted = now.linear.slope / scale * torch.linalg.vector_norm(now.residual)
    left = now.linear.transpose(ahead) / scale + damping * v + wanted
    solved = bool(torch.linalg.vector_norm(left) <= SOLVED * torch.linalg.vector_norm(wanted))
    return told if solved else UNTOLD
