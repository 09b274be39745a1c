"""What a solve says about its answer: what is left of each equation, and how far off each field is."""

from typing import NamedTuple

from funcsci.pinn.network import NetworkSettings
from funcsci.pinn.trial import Trial
from funcsci.tree import Params

FALLEN = 1e-3
"""A residual has fallen if it is at most this share of what it was at the built-in part alone."""
SHOWN = 3
"""The most null functions that are named in a sentence."""
NOT_UNIQUE, NO_SOLUTION = "not unique", "no solution"


class Residual(NamedTuple):
    """What is left of one equation or condition on held-out points.

    Attributes:
        relative: its root mean square over that of its own terms, or over their size for a smooth solution of
            the size that its fields have, whichever is larger.
        fall: its root mean square over what it was at the built-in part alone; nan where that was round-off.
    """

    relative: float
    fall: float


class NullFunction(NamedTuple):
    """A function of which any multiple can be added to the solution, as far as its residual tells.

    Attributes:
        shape: of its network.
        trial: the function of the parameters, zero where conditions are built in.
        params: the parameters.
        singular_value: the size of what the linearized problem makes of it, over its own.
        description: what it looks like.
    """

    shape: NetworkSettings
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
        trivial: whether the solution is zero, as a homogeneous problem allows.
    """

    residuals: dict[str, Residual]
    errors: dict[str, float]
    trusted: bool
    doubt: str = ""
    ill_posed: str = ""
    nulls: tuple[NullFunction, ...] = ()
    trivial: bool = False

    @property
    def worst_residual(self) -> float:
        """The largest relative residual."""
        return max(one.relative for one in self.residuals.values())

    @property
    def error(self) -> float:
        """The largest estimated error; the largest relative residual where there is no estimate."""
        return max(self.errors.values()) if self.errors else self.worst_residual

    def unfallen(self, share: float = FALLEN) -> list[str]:
        """The equations and conditions of whose residual more than a share is left."""
        return [name for name, one in self.residuals.items() if one.fall > share]

    def meets(self, tol: float) -> bool:
        """Whether the solution is as good as was asked for."""
        share = max(FALLEN, min(10 * tol, 0.5))
        return not self.ill_posed and not self.unfallen(share) and self.trusted and self.error <= tol

    def __str__(self) -> str:
        story = self._told()
        return f"{story}; this is the trivial solution, zero" if self.trivial else story

    def _told(self) -> str:
        if self.ill_posed:
            story = [self.ill_posed]
            if self.nulls:
                names = [one.description for one in self.nulls]
                more = f" and {len(names) - SHOWN} more" * (len(names) > SHOWN)
                story.append(f"{' and '.join(names[:SHOWN])}{more} may be added")
            if self.ill_posed == NO_SOLUTION:
                story += [f"{self._left(name)}, whatever is tried" for name in self.unfallen()[:1]]
            elif self.nulls and not self.trivial:
                story.append("this is the solution of least norm")
            return "; ".join(story)
        if not self.errors:
            return f"relative residual {self.worst_residual:.1e}"
        many = len(self.errors) > 1
        told = ", ".join(f"{error:.1e}{f' in {name}' * many}" for name, error in self.errors.items())
        if not self.trusted:
            told += f", not to be trusted: {self.doubt}"
        elif self.unfallen():
            told += f", but {self._left(self.unfallen()[0])}"
        return f"estimated error {told}"

    def _left(self, name: str) -> str:
        fall = self.residuals[name].fall
        share = f"{fall:.2g} of" if fall < 1 else "all of"
        return f"{share} the residual of the {name} is left"
