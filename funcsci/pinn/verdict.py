"""What a solve says about its answer: what is left of each equation, how far off each field is, what else fits."""

from typing import NamedTuple

from funcsci.pinn.trial import Trial
from funcsci.tree import Params

FALLEN = 1e-3
"""A residual has fallen if it is at most this share of what it was at the built-in part alone."""
NOT_UNIQUE, NO_SOLUTION = "not unique", "no solution"


class Residual(NamedTuple):
    """What is left of one equation or condition on held-out points.

    Attributes:
        relative: its root mean square over that of its own terms.
        fall: its root mean square over what it was at the built-in part alone; nan where that was round-off.
    """

    relative: float
    fall: float


class NullFunction(NamedTuple):
    """A function of which any multiple can be added to the solution, as far as its residual tells.

    Attributes:
        trial: the function of the parameters, zero where conditions are built in.
        params: the parameters.
        singular_value: the size of what the linearized problem makes of it, over its own.
        description: what it looks like.
    """

    trial: Trial
    params: Params
    singular_value: float
    description: str


class Verdict(NamedTuple):
    """What is known of a solution's quality.

    Attributes:
        residuals: of each equation and each condition, by name.
        errors: the estimated relative error of each field; empty where no estimate was asked for.
        trusted: whether the estimate explains the residual.
        doubt: why it is not to be trusted.
        ill_posed: `"not unique"`, `"no solution"`, or nothing.
        nulls: functions that can be added.
    """

    residuals: dict[str, Residual]
    errors: dict[str, float]
    trusted: bool
    doubt: str = ""
    ill_posed: str = ""
    nulls: tuple[NullFunction, ...] = ()

    @property
    def worst_residual(self) -> float:
        """The largest relative residual."""
        return max(one.relative for one in self.residuals.values())

    @property
    def error(self) -> float:
        """The largest estimated error; the largest relative residual where there is no estimate."""
        return max(self.errors.values()) if self.errors else self.worst_residual

    @property
    def unfallen(self) -> list[str]:
        """The equations and conditions whose residual has not fallen."""
        return [name for name, one in self.residuals.items() if one.fall > FALLEN]

    def meets(self, tol: float) -> bool:
        """Whether the solution is as good as was asked for."""
        return not (self.ill_posed or self.unfallen) and self.trusted and self.error <= tol

    def __str__(self) -> str:
        if self.ill_posed:
            added = " and ".join(one.description for one in self.nulls)
            what = f": {added} may be added" if added else ""
            return f"{self.ill_posed}{what}"
        if not self.errors:
            return f"relative residual {self.worst_residual:.1e}"
        told = ", ".join(f"{error:.1e} in {name}" for name, error in self.errors.items())
        if len(self.errors) == 1:
            told = f"{self.error:.1e}"
        return f"estimated error {told}" + ("" if self.trusted else f", not to be trusted: {self.doubt}")
