"""What conditions ask at each edge of a domain, and at single places."""

import numbers
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import ArrayLike
from torch import Tensor

from funcsci import checks
from funcsci.pinn.conditions import Condition
from funcsci.pinn.domain import Domain, along, constant, replaced
from funcsci.pinn.functions import NamedFunction
from funcsci.tree import Scalar


class OfPoint(NamedTuple):
    """A condition's value as a function of a point, such as the end of an earlier slab."""

    function: Callable[[Tensor], Scalar]


@dataclass(frozen=True, eq=False)
class Face:
    r"""One condition at one edge: $\sum_k c_k\, \partial_{x_i}^k u = g$ where $x_i$ is at its end.

    Attributes:
        field: the unknown function.
        index: $i$.
        upper: whether the end is $b_i$.
        terms: pairs $(c_k, k)$; derivatives are by the coordinate itself.
        value: $g$ at a point, shape (); None where data are given instead.
        data: the places, shape `(n, dimensions)`, and the values there, shape `(n,)`.
        source: the condition it comes from.
    """

    field: str
    index: int
    upper: bool
    terms: tuple[tuple[float, int], ...]
    value: Callable[[Tensor], Scalar] | float | None
    data: tuple[Tensor, Tensor] | None
    source: Condition

    def end(self, domain: Domain) -> float:
        """Where the coordinate is."""
        return (domain.upper if self.upper else domain.lower)[self.index]

    def at(self, x: Tensor) -> Scalar:
        """The value asked for at a point."""
        assert self.value is not None
        return self.value(x) if callable(self.value) else constant(self.value, x)

    def describe(self, domain: Domain) -> str:
        """What it says, in words."""
        return f"{self.source} at {domain.names[self.index]} = {self.end(domain):g}"


def faces(condition: Condition, field: str, domain: Domain) -> list[Face]:
    """What a condition asks at each edge.

    Raises:
        ValueError: if it holds at the edge of no coordinate of the domain, or its function takes others.
    """
    found = []
    for name in condition.coordinates:
        index = domain.index(name, f"coordinate of {condition.kind}")
        for side in condition.sides:
            upper = side == "upper"
            inward = condition.kind != "initial" and not upper
            terms = tuple(
                (factor * (-1.0) ** (order * inward), order) for factor, order in condition.terms if factor
            )
            value, data = _read(condition, index, domain)
            if data is not None:
                end = (domain.upper if upper else domain.lower)[index]
                data[0][:, index] = end
            found.append(Face(field, index, upper, terms, value, data, condition))
    return found


def _read(
    condition: Condition, index: int, domain: Domain
) -> tuple[Callable[[Tensor], Scalar] | float | None, tuple[Tensor, Tensor] | None]:
    """A condition's value as a function of a point or a number, or as data."""
    value = condition.value
    if isinstance(value, OfPoint):
        return value.function, None
    if callable(value):
        function = NamedFunction.of(value, domain, str(condition), domain.names[index])
        function.check()
        return function, None
    if isinstance(value, tuple):
        if len(value) != 2:
            remedy = 'Try (x, u), or ({"x": x, "y": y}, u).'
            raise ValueError(checks.message("be a pair of places and values", str(condition), value, remedy))
        others = [name for name in domain.names if name != domain.names[index]]
        where = value[0] if isinstance(value[0], Mapping) else {name: value[0] for name in others[:1]}
        missing = [name for name in others if name not in where]
        if missing:
            must = f"give {', '.join(others)} for each value"
            remedy = f'Try ({{"{missing[0]}": ..., }}, u).'
            raise ValueError(checks.message(must, f"the data of {condition}", tuple(where), remedy))
        full = {**where, domain.names[index]: domain.lower[index]}
        return None, located(full, value[1], domain, str(condition))
    if isinstance(value, Tensor) and value.dim() == 0:
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        must = "be a number, a function of coordinates, or a pair of places and values"
        raise TypeError(checks.message(must, f"the value of {condition}", value, "Try 0.0."))
    checks.finite(**{f"the value of {condition}": value})
    return float(value), None


def clash(face: Face, others: Sequence[Face], x: Tensor, domain: Domain, missed: float) -> str:
    """What a condition and the one that it disagrees with most ask for where they meet.

    Both give the same mixed derivative there, one the derivative of its value by the other's coordinate.

    Args:
        face: the first.
        others: those of the same field.
        x: a point of its edge where it is missed, which gives what coordinates are free at the corner.
        domain: the box.
        missed: by how much.
    """

    def named(x: Tensor) -> str:
        return ", ".join(f"{name} = {float(one):.4g}" for name, one in zip(domain.names, x, strict=True))

    found = []
    for other in others:
        if other.index == face.index:
            continue
        corner = replaced(replaced(x, face.index, face.end(domain)), other.index, other.end(domain))
        (one, first), (two, second) = face.terms[0], other.terms[0]
        asked = float(along(face.at, corner, other.index, second)) / one + 0.0  # no -0
        against = float(along(other.at, corner, face.index, first)) / two + 0.0
        found.append((abs(asked - against), asked, against, other, corner, first, second))
    apart, asked, against, other, corner, first, second = max(found, key=lambda item: item[0])
    here = face.describe(domain)
    if apart < 1e-3 * missed:  # what they give agrees, but not what follows from it
        return f"{here}, which the other conditions of {face.field} miss by {missed:.2g} near {named(x)}"
    names = [domain.names[face.index]] * first + [domain.names[other.index]] * second
    what = "".join(f" by {name}" for name in names)
    what = f"the derivative of {face.field}{what}" if names else face.field
    return (
        f"{here} and {other.describe(domain)}, which ask that {what} be {asked:.4g} and "
        f"{against:.4g} at {named(corner)}"
    )


def located(
    places: Mapping[str, ArrayLike], values: ArrayLike, domain: Domain, what: str
) -> tuple[Float[Tensor, "n dimensions"], Float[Tensor, "n"]]:
    """Places of a domain as points, with the values there.

    Raises:
        ValueError: if a coordinate is missing or unknown, lengths differ, something is not finite, or a
            place is off the domain.
    """
    for name in places:
        domain.index(name, f"coordinate of {what}")
    missing = [name for name in domain.names if name not in places]
    if missing:
        remedy = f'Add "{missing[0]}".'
        raise ValueError(
            checks.message("give all coordinates", f"the places of {what}", tuple(places), remedy)
        )
    columns = [_numbers(places[name], what) for name in domain.names]
    found = _numbers(values, what)
    count = max(len(column) for column in (*columns, found))
    if not count or any(len(column) not in (1, count) for column in (*columns, found)):
        raise ValueError(
            f"{what} must have one value for each place. "
            f"Got {[len(column) for column in columns]} coordinates and {len(found)} values. "
            "Pass arrays of one length."
        )
    points = torch.stack([column.expand(count) for column in columns], 1).clone()
    found = found.expand(count).clone()
    if not bool(torch.isfinite(points).all() & torch.isfinite(found).all()):
        raise ValueError(
            f"{what} must be finite. Got nan or inf among its places or values. Leave those out."
        )
    lower, upper = torch.tensor(domain.lower).double(), torch.tensor(domain.upper).double()
    slack = 1e-9 * (upper - lower)
    off = ((points < lower - slack) | (points > upper + slack)).any(1)
    if bool(off.any()):
        place = dict(zip(domain.names, points[off][0].tolist(), strict=True))
        must = f"lie in the domain {domain.ranges}"
        raise ValueError(
            checks.message(must, f"the places of {what}", place, "Enlarge the domain or leave it out.")
        )
    return points, found


def _numbers(given: ArrayLike, what: str) -> Float[Tensor, "n"]:
    """Numbers of any kind in one row."""
    try:
        array = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(
            checks.message("be made of real numbers", what, given, "Pass arrays of numbers.")
        ) from error
    return torch.from_numpy(array.copy()).reshape(-1)
