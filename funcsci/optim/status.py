"""How a solver ended."""

from typing import NamedTuple


class Status(NamedTuple):
    """Whether a solver reached what was asked of it, and why it stopped.

    Attributes:
        converged: whether a tolerance was met.
        reason: a sentence for a person.
        finished: whether a loop without a tolerance, such as `train.fit`, came to its end: it took the
            steps asked for, or a rule of the caller's own ended it. It has not converged.

    Example:
        >>> print(Status(True, "the residual is below its tolerance"))
        converged: the residual is below its tolerance
        >>> print(Status(False, "all 80 steps were taken", finished=True))
        finished: all 80 steps were taken
        >>> print(Status(False, "interrupted after 5 of 80 steps"))
        not converged: interrupted after 5 of 80 steps
    """

    converged: bool
    reason: str
    finished: bool = False

    def __str__(self) -> str:
        outcome = "converged" if self.converged else "finished" if self.finished else "not converged"
        return f"{outcome}: {self.reason}"
