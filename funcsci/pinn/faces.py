"""What conditions ask at each edge of a domain, and at single places."""

import inspect
import numbers
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import ArrayLike
from torch import Tensor

from funcsci import checks
from funcsci.pinn.conditions import Condition
from funcsci.pinn.domain import Domain, constant
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
        return function_of_point(value, domain, str(condition), domain.names[index]), None
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


def function_of_point(
    function: Callable[..., Any],
    domain: Domain,
    what: str,
    without: str | None = None,
    *,
    several: int = 0,
) -> Callable[[Float[Tensor, "dimensions"]], Tensor]:
    """A function of coordinates by name, or of all others in order, as one of a point.

    Args:
        function: as a user writes it, such as `lambda x: torch.sin(x)`.
        domain: whose coordinates it may name.
        what: to call it in an error.
        without: a coordinate that is fixed; one argument of another name then is the only other one.
        several: how many numbers it returns, in a tuple or a tensor; 0 is one as a scalar.

    Raises:
        ValueError: if it takes something else.
    """
    try:
        names = [
            name
            for name, parameter in inspect.signature(function).parameters.items()
            if parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
        ]
    except ValueError:  # a built-in function, which does not tell
        names = ["?"]
    if not set(names) <= set(domain.names):
        free = [name for name in domain.names if name != without]
        if len(names) != len(free):
            must = f"take coordinates by name, of {', '.join(domain.names)}"
            raise ValueError(
                checks.message(
                    must, f"the function of {what}", tuple(names), f"Try lambda {', '.join(free)}: ..."
                )
            )
        names = free
    places = [domain.names.index(name) for name in names]

    def number(result: Any, x: Tensor) -> Scalar:
        if isinstance(result, numbers.Real):
            return constant(float(result), x)
        if not isinstance(result, Tensor) or result.numel() != 1:
            came = f"a tensor of shape {tuple(result.shape)}" if isinstance(result, Tensor) else repr(result)
            raise TypeError(
                f"The function of {what} must return a number at each point. Got {came}. "
                "Write it with torch's functions of its arguments, as torch.sin(x)."
            )
        return result.reshape(())

    def at_point(x: Tensor) -> Tensor:
        result = function(*(x[place] for place in places))
        if not several:
            return number(result, x)
        parts = list(result) if several > 1 or isinstance(result, tuple | list) else [result]
        if len(parts) != several:
            remedy = "Return one for each field."
            raise ValueError(checks.message(f"return {several} numbers", what, len(parts), remedy))
        return torch.stack([number(part, x) for part in parts])

    return at_point


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
