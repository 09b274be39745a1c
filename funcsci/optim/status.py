"""How a solver ended."""

from typing import NamedTuple


class Status(NamedTuple):
    """Whether a solver reached what was asked of it, and why it stopped.

    Attributes:
        converged: whether the tolerance was met.
        reason: a sentence for a person.

    Example:
        >>> print(Status(True, "the residual is below its tolerance"))
        converged: the residual is below its tolerance
    """

    converged: bool
    reason: str

    def __str__(self) -> str:
        return f"{'converged' if self.converged else 'not converged'}: {self.reason}"
