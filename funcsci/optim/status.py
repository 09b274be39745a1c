"""How a solver ended."""

from typing import NamedTuple


class Status(NamedTuple):
    """Whether a solver reached what was asked of it, and why it stopped.

    Attributes:
        converged: whether the tolerance was met; for a loop without a tolerance, such as `train.fit`,
            whether it took the steps asked for.
        reason: a sentence for a person.

    Example:
        >>> print(Status(True, "the residual is below its tolerance"))
        converged: the residual is below its tolerance
    """

    converged: bool
    reason: str

    def __str__(self) -> str:
        return f"{'converged' if self.converged else 'not converged'}: {self.reason}"
