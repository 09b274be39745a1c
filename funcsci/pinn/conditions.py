"""Conditions: what a solution satisfies at the edges of its domain, or at single places.

Each function here returns a `Condition` as a user states it. What it means for a certain domain is found out
in `faces`; how it is met, built into the function or as part of the loss, in `hard` and `problem`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from numpy.typing import ArrayLike

from funcsci import checks

Value: TypeAlias = Any
"""A number, a function of coordinates by name, or data, `(places, values)`."""
SIDES = ("lower", "upper", "both")


class Condition(NamedTuple):
    """A condition as it was stated; made by `initial`, `dirichlet`, `neumann`, `robin`, `periodic`, `point`.

    Attributes:
        kind: the name of the function that made it.
        coordinates: whose edge it holds at.
        sides: `"lower"`, `"upper"` or both.
        terms: the derivative in direction of the outward normal (for `initial`: of time), as pairs of
            a factor and an order.
        value: what their sum equals.
        field: of which unknown function; None where there is one.
        hard: whether it is built into the solution; None builds it in where that is possible.
        weight: of its mean square in the loss, where it is not built in; None balances it.
        places: for `point`: the coordinates of each place.
    """

    kind: str
    coordinates: tuple[str, ...]
    sides: tuple[str, ...]
    terms: tuple[tuple[float, int], ...]
    value: Value
    field: str | None = None
    hard: bool | None = None
    weight: float | None = None
    places: Mapping[str, ArrayLike] | None = None

    def __str__(self) -> str:
        where = f"at {dict(self.places)}" if self.places is not None else ", ".join(self.coordinates)
        return f"{self.kind}({where})" + (f" of {self.field}" if self.field else "")


@checks.named_options()
def initial(
    value: Value,
    *,
    order: int = 0,
    coordinate: str = "t",
    field: str | None = None,
    hard: bool | None = None,
    weight: float | None = None,
) -> Condition:
    r"""An initial condition, $\partial_t^k u(\dots, t_0) = g$.

    Args:
        value: $g$: a number, a function of other coordinates by name (`lambda x: torch.sin(x)`), or data,
            a pair of places and values: `(x, u)` for one other coordinate, `({"x": x, "y": y}, u)` for more.
        order: $k$: 0 is the value, 1 the velocity.
        coordinate: which coordinate is the time.
        field: of which unknown function; None where there is one.
        hard: True builds it into the solution; False makes it part of the loss; None builds it in
            where that is possible: all orders from 0 on, and no data.
        weight: of its mean square in the loss if it is part of it; None balances it.

    Returns:
        The condition.

    Example:
        >>> import torch
        >>> initial(lambda x: torch.sin(x)).kind
        'initial'
    """
    checks.integer(order=order, least=0)
    return _made("initial", (coordinate,), ("lower",), ((1.0, order),), value, field, hard, weight)


@checks.named_options()
def dirichlet(
    coordinate: str | Sequence[str],
    value: Value = 0.0,
    *,
    side: str = "both",
    field: str | None = None,
    hard: bool | None = None,
    weight: float | None = None,
) -> Condition:
    r"""The value at an edge, $u = g$ where $x_i = a_i$, $x_i = b_i$ or both.

    Args:
        coordinate: $x_i$, or several.
        value: $g$; as in `initial`. A function of the domain's coordinates takes those that it names.
        side: `"lower"`, `"upper"` or `"both"`.
        field: as in `initial`.
        hard: as in `initial`.
        weight: as in `initial`.

    Returns:
        The condition.
    """
    return _made("dirichlet", coordinate, _sides(side), ((1.0, 0),), value, field, hard, weight)


@checks.named_options()
def neumann(
    coordinate: str | Sequence[str],
    value: Value = 0.0,
    *,
    order: int = 1,
    side: str = "both",
    field: str | None = None,
    hard: bool | None = None,
    weight: float | None = None,
) -> Condition:
    r"""A derivative in direction of the outward normal at an edge, $\partial_n^k u = g$.

    At the lower edge the outward normal points against the coordinate, so there an odd derivative by the
    coordinate is $-g$.

    Args:
        coordinate: as in `dirichlet`.
        value: $g$; as in `dirichlet`.
        order: $k$, 1 or more.
        side: as in `dirichlet`.
        field: as in `initial`.
        hard: as in `initial`. It can be built in where all lower orders are given at that edge too.
        weight: as in `initial`.

    Returns:
        The condition.
    """
    checks.integer(order=order, least=1)
    return _made("neumann", coordinate, _sides(side), ((1.0, order),), value, field, hard, weight)


@checks.named_options()
def robin(
    coordinate: str | Sequence[str],
    a: float,
    b: float,
    value: Value = 0.0,
    *,
    side: str = "both",
    field: str | None = None,
    weight: float | None = None,
) -> Condition:
    r"""A mixture of value and normal derivative at an edge, $a u + b\, \partial_n u = g$.

    Args:
        coordinate: as in `dirichlet`.
        a: the factor of the value.
        b: the factor of the derivative in direction of the outward normal; not zero where `a` is.
        value: $g$; as in `dirichlet`.
        side: as in `dirichlet`.
        field: as in `initial`.
        weight: as in `initial`; a Robin condition is part of the loss.

    Returns:
        The condition.
    """
    checks.finite(a=a, b=b)
    if a == 0 and b == 0:
        must = "be other than zero where b is"
        raise ValueError(checks.message(must, "a", a, "Try a=1.0."))
    return _made(
        "robin", coordinate, _sides(side), ((float(a), 0), (float(b), 1)), value, field, False, weight
    )


@checks.named_options()
def periodic(coordinate: str | Sequence[str]) -> Condition:
    """All fields, with all derivatives, are equal at both edges of a coordinate.

    It is built into the network, which sees a periodic coordinate by its sines and cosines.

    Args:
        coordinate: one, or several.

    Returns:
        The condition.
    """
    return _made("periodic", coordinate, _sides("both"), (), 0.0, None, None, None)


@checks.named_options()
def point(
    places: Mapping[str, ArrayLike],
    value: ArrayLike,
    *,
    field: str | None = None,
    weight: float | None = None,
) -> Condition:
    """The value at one place or at many: a pressure's constant, or data.

    Args:
        places: each coordinate's number, or array of them.
        value: the value there; as many as there are places.
        field: as in `initial`.
        weight: as in `initial`; it is part of the loss.

    Returns:
        The condition.

    Example:
        >>> point({"x": 0.0, "y": 0.0}, 1.0, field="p").kind
        'point'
    """
    if not isinstance(places, Mapping) or not places:
        raise TypeError(checks.message("give each coordinate's number", "places", places, 'Try {"x": 0.0}.'))
    return _made("point", tuple(places), (), ((1.0, 0),), value, field, False, weight)._replace(places=places)


def _sides(side: str) -> tuple[str, ...]:
    """One side, or both."""
    checks.one_of(SIDES, side=side)
    return ("lower", "upper") if side == "both" else (side,)


def _made(
    kind: str,
    coordinate: str | Sequence[str],
    sides: tuple[str, ...],
    terms: tuple[tuple[float, int], ...],
    value: Value,
    field: str | None,
    hard: bool | None,
    weight: float | None,
) -> Condition:
    coordinates = (coordinate,) if isinstance(coordinate, str) else coordinate
    if (
        not isinstance(coordinates, Sequence)
        or not coordinates
        or not all(isinstance(one, str) for one in coordinates)
    ):
        raise TypeError(
            checks.message("name a coordinate, or several", "coordinate", coordinate, "Try coordinate='x'.")
        )
    if weight is not None:
        checks.positive(weight=weight)
    if weight is not None and hard:
        raise ValueError(
            checks.message("be left out of what is built in", "weight", weight, "Try hard=False.")
        )
    if isinstance(value, int | float) and not isinstance(value, bool):
        checks.finite(value=value)
    return Condition(kind, tuple(coordinates), sides, terms, value, field, hard, weight)
