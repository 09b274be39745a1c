"""What the problems of `verdict.py` are made of: conditions, cases, and changes of units.

A case holds its own equation, conditions and exact solution, as plain functions, and makes the problem of the
library from them. So the same case can be checked without the library, and stated in other units.
"""

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.integrate import solve_ivp
from torch import Tensor
from verdict_known import Jet, Known

from funcsci import pinn

Space = Mapping[str, tuple[float, float]]


class Edge(NamedTuple):
    """A condition, apart from the library.

    Attributes:
        kind: the name of a function of `pinn` that makes it.
        coordinate: one or several.
        field: of which field; None for `periodic`.
        side: `"lower"`, `"upper"` or `"both"`.
        order: of the derivative, for `initial` and `neumann`.
        mix: the factors of value and normal derivative, for `robin`.
        value: a number, a function of all coordinates, or None for what the exact solution has there.
        soft: whether it is kept out of what is built in.
        places: for `point`.
    """

    kind: str
    coordinate: str | tuple[str, ...] = ()
    field: str | None = None
    side: str = "both"
    order: int = 0
    mix: tuple[float, float] = (1.0, 1.0)
    value: Any = None
    soft: bool = False
    places: Mapping[str, float] = MappingProxyType({})

    @property
    def coordinates(self) -> tuple[str, ...]:
        return (self.coordinate,) if isinstance(self.coordinate, str) else tuple(self.coordinate)

    @property
    def sides(self) -> tuple[str, ...]:
        return ("lower", "upper") if self.side == "both" else (self.side,)

    @property
    def terms(self) -> tuple[tuple[float, int], ...]:
        """Factors and orders of the outward normal derivatives."""
        return ((self.mix[0], 0), (self.mix[1], 1)) if self.kind == "robin" else ((1.0, self.order),)


def start(field: str | None = None, value: Any = None, order: int = 0, coordinate: str = "t") -> Edge:
    return Edge("initial", coordinate, field, "lower", order, value=value)


def value_at(
    coordinate: str | tuple[str, ...], side: str = "both", field: str | None = None, value: Any = None,
    soft: bool = False,
) -> Edge:  # fmt: skip
    return Edge("dirichlet", coordinate, field, side, value=value, soft=soft)


def slope_at(
    coordinate: str | tuple[str, ...], side: str = "both", field: str | None = None, value: Any = None,
    order: int = 1,
) -> Edge:  # fmt: skip
    return Edge("neumann", coordinate, field, side, order, value=value)


def mixed_at(
    coordinate: str | tuple[str, ...], mix: tuple[float, float], side: str = "both",
    field: str | None = None, value: Any = None,
) -> Edge:  # fmt: skip
    return Edge("robin", coordinate, field, side, mix=mix, value=value)


def periodic(coordinate: str | tuple[str, ...]) -> Edge:
    return Edge("periodic", coordinate)


def point(value: Any = None, field: str | None = None, **places: float) -> Edge:
    return Edge("point", (), field, value=value, places=places)


@dataclass(frozen=True)
class Case:
    """A problem, what is known of it, and how it is to be solved.

    Attributes:
        family: the kind of problem.
        name: in the table.
        equation: takes all fields, then all coordinates; returns what is left, a tuple for several.
        domain: the range of each coordinate.
        edges: the conditions.
        exact: takes all coordinates, tensors of one shape, and returns a tuple of the fields.
        fields: their names.
        jets: for oracles that torch cannot differentiate: `jets(letters, field, t)`.
        other: for problems with many solutions: another one.
        expected: what a solver should say of it: "", "no solution" or "not unique".
        why: for problems without a solution: the reason.
        options: of `pinn.solve`.
        layers: places by coordinate, at which the error is measured on finer points.
        well_posed: as in `pinn.pde`.
    """

    family: str
    name: str
    equation: Callable[..., Any]
    domain: Space
    edges: tuple[Edge, ...]
    exact: Callable[..., tuple[Tensor, ...]] | None = None
    fields: tuple[str, ...] = ("u",)
    jets: Callable[[str, str, Tensor], Tensor] | None = None
    other: Callable[..., tuple[Tensor, ...]] | None = None
    expected: str = ""
    why: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    layers: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    well_posed: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.domain)

    def residuals(self, fields: Any, coordinates: Any) -> tuple[Tensor, ...]:
        found = self.equation(*fields, *coordinates)
        return found if isinstance(found, tuple) else (found,)

    def problem(self) -> pinn.Problem:
        """The problem as the library takes it."""
        equation = with_names(self.equation, (*self.fields, *self.names))
        domain, conditions = dict(self.domain), [one for edge in self.edges for one in stated(edge, self)]
        if len(domain) > 1:
            return pinn.pde(equation, domain, conditions, fields=self.fields, well_posed=self.well_posed)
        ((name, span),) = domain.items()
        return pinn.ode(
            equation, span, conditions=conditions, coordinate=name, fields=self.fields,
            well_posed=self.well_posed,
        )  # fmt: skip


def with_names(function: Callable[..., Any], names: tuple[str, ...]) -> Callable[..., Any]:
    """The function under these names of its arguments, which the library reads."""

    def named(*given: Any) -> Any:
        return function(*given)

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    named.__signature__ = inspect.Signature([inspect.Parameter(name, kind) for name in names])
    return named


def stated(edge: Edge, case: Case) -> list[pinn.Condition]:
    """A condition as the library takes it."""
    if edge.kind == "periodic":
        return [pinn.periodic(edge.coordinates)]
    about = {"field": edge.field} if len(case.fields) > 1 else {}
    if edge.kind == "point":
        return [pinn.point(dict(edge.places), edge.value, **about)]
    about |= {"hard": False} if edge.soft else {}
    found = []
    for name in edge.coordinates:
        value = edge.value
        if callable(value):
            others = tuple(one for one in case.names if one != name)
            value = (
                with_names(value, case.names)
                if others
                else float(value(torch.zeros((), dtype=torch.float64)))
            )
        if edge.kind == "initial":
            found.append(pinn.initial(value, order=edge.order, coordinate=name, **about))
        elif edge.kind == "dirichlet":
            found.append(pinn.dirichlet(name, value, side=edge.side, **about))
        elif edge.kind == "neumann":
            found.append(pinn.neumann(name, value, order=edge.order, side=edge.side, **about))
        else:
            found.append(pinn.robin(name, *edge.mix, value, side=edge.side, **about))
    return found


def with_values(edges: tuple[Edge, ...], known: Mapping[str, Known], domain: Space) -> tuple[Edge, ...]:
    """Conditions with the values of known functions, one for each edge that had None."""
    found = []
    for edge in edges:
        if edge.value is not None or edge.kind == "periodic":
            found.append(edge)
        elif edge.kind == "point":
            place = {name: torch.tensor(number, dtype=torch.float64) for name, number in edge.places.items()}
            found.append(edge._replace(value=float(known[edge.field].derivative("", place))))
        else:
            for name in edge.coordinates:
                for side in edge.sides:
                    one = edge._replace(coordinate=name, side=side)
                    found.append(one._replace(value=_value(one, known[edge.field], domain)))
    return tuple(found)


def _value(edge: Edge, known: Known, domain: Space) -> Callable[..., Tensor] | float:
    """What a known function has at an edge: a function of the other coordinates, a number on a line."""
    (name,), (side,) = edge.coordinates, edge.sides
    end = domain[name][side == "upper"]
    sign = -1.0 if side == "lower" and edge.kind != "initial" else 1.0
    there = Known(
        *(term for c, order in edge.terms for term in known.held(name, order, end, c * sign**order))
    )
    if len(domain) == 1:
        return sum(term.factor for term in there.terms)
    return lambda *coordinates: there.derivative("", dict(zip(domain, coordinates, strict=True)))


def manufactured(
    family: str,
    name: str,
    operators: Callable[..., Any],
    known: Known | tuple[Known, ...],
    domain: Space,
    edges: tuple[Edge, ...],
    fields: tuple[str, ...] = ("u",),
    **rest: Any,
) -> Case:
    """A case with a solution that was chosen: the source is what the operators leave of it."""
    functions = known if isinstance(known, tuple) else (known,)

    def equation(*given: Any) -> Any:
        coordinates = given[len(fields) :]
        point = dict(zip(domain, coordinates, strict=True))
        found = operators(*given)
        source = operators(*(one.at(point) for one in functions), *coordinates)
        if not isinstance(found, tuple):
            return found - source
        return tuple(left - right for left, right in zip(found, source, strict=True))

    def exact(*coordinates: Tensor) -> tuple[Tensor, ...]:
        point = dict(zip(domain, coordinates, strict=True))
        return tuple(one.derivative("", point) for one in functions)

    edges = tuple(edge._replace(field=edge.field or fields[0]) for edge in edges)
    valued = with_values(edges, dict(zip(fields, functions, strict=True)), domain)
    return Case(family, name, equation, domain, valued, exact, fields, **rest)


def trajectory(
    family: str,
    name: str,
    equation: Callable[..., Any],
    slope: Callable[..., Any],
    span: tuple[float, float],
    start: tuple[float, ...],
    letters: Mapping[str, tuple[int, ...]],
    **rest: Any,
) -> Case:
    """An initial value problem whose oracle is SciPy's DOP853.

    Args:
        slope: `slope(t, y)`.
        letters: for each field the places in `y` of its derivatives of orders 0, 1, and so on.
    """
    fields = tuple(letters)
    longest = (span[1] - span[0]) / 800

    latest: dict[bytes, np.ndarray] = {}

    def states(t: Tensor) -> np.ndarray:
        asked = t.double().numpy().reshape(-1)
        if asked.tobytes() not in latest:
            times, back = np.unique(np.clip(asked, *span), return_inverse=True)
            found = solve_ivp(
                slope, span, start, method="DOP853", rtol=1e-13, atol=1e-15 * max(map(abs, start)),
                t_eval=times, max_step=longest,
            )  # fmt: skip
            latest.clear()
            latest[asked.tobytes()] = found.y[:, back.reshape(-1)]
        return latest[asked.tobytes()]

    def exact(t: Tensor) -> tuple[Tensor, ...]:
        found = states(t)
        return tuple(torch.from_numpy(found[letters[one][0]].reshape(t.shape)) for one in fields)

    def jets(name: str, one: str, t: Tensor) -> Tensor:
        found, places = states(t), letters[one]
        if len(name) < len(places):
            return torch.from_numpy(found[places[len(name)]])
        rates = [slope(time, y)[places[-1]] for time, y in zip(t.tolist(), found.T, strict=True)]
        return torch.tensor(rates, dtype=torch.float64)

    edges = tuple(
        Edge("initial", "t", one, "lower", order, value=start[place])
        for one, places in letters.items()
        for order, place in enumerate(places)
    )
    return Case(family, name, equation, {"t": span}, edges, exact, fields, jets, **rest)


def in_units(case: Case, powers: Mapping[str, int], equations: tuple[int, ...]) -> Case:
    """The same problem with each field and coordinate in other units, and equations multiplied.

    Args:
        powers: of ten, by the name of a field or coordinate: what its numbers are multiplied by.
        equations: the power for each equation; those that are left over are not used.
    """
    units = {name: 10.0 ** powers.get(name, 0) for name in (*case.fields, *case.names)}
    lengths = tuple(units[name] for name in case.names)

    def scale(one: str, letters: str) -> float:
        return units[one] / math.prod(units[letter] for letter in letters)

    def jet(field: Any, one: str) -> Jet:
        def look_up(letters: str) -> Tensor:
            return (getattr(field, letters) if letters else field) * (1 / scale(one, letters))

        return Jet(look_up)

    def inner(coordinates: Any) -> list[Tensor]:
        pairs = zip(coordinates, lengths, strict=True)
        return [one if length == 1.0 else one / length for one, length in pairs]

    def equation(*given: Any) -> tuple[Tensor, ...]:
        fields, coordinates = given[: len(case.fields)], given[len(case.fields) :]
        old = [jet(field, one) for field, one in zip(fields, case.fields, strict=True)]
        found = case.residuals(old, inner(coordinates))
        return tuple(10.0**power * one for power, one in zip(equations, found, strict=False))

    def values(function: Callable[..., Any] | None) -> Callable[..., Any] | None:
        def scaled(*coordinates: Tensor) -> tuple[Tensor, ...]:
            found = function(*inner(coordinates))
            return tuple(units[one] * value for one, value in zip(case.fields, found, strict=True))

        return None if function is None else scaled

    def jets(letters: str, one: str, t: Tensor) -> Tensor:
        return case.jets(letters, one, t / lengths[0]) * scale(one, letters)

    def edge(old: Edge) -> Edge:
        if old.kind == "periodic":
            return old
        size = units[old.field or case.fields[0]]
        if old.kind == "point":
            places = {name: place * units[name] for name, place in old.places.items()}
            return old._replace(places=places, value=old.value * size)
        length = units[old.coordinates[0]]
        size /= length**old.order
        mix = (old.mix[0], old.mix[1] * length)
        value = old.value
        if callable(value):
            return old._replace(mix=mix, value=lambda *coordinates: size * value(*inner(coordinates)))
        return old._replace(mix=mix, value=size * value)

    each = [
        old._replace(coordinate=name) for old in case.edges for name in old.coordinates or ("",)
    ]  # lengths differ
    domain = {name: (a * units[name], b * units[name]) for name, (a, b) in case.domain.items()}
    layers = {name: tuple(place * units[name] for place in places) for name, places in case.layers.items()}
    told = ", ".join(f"{name} 1e{power:+d}" for name, power in powers.items() if power)
    return replace(
        case, name=f"{case.name} [{told}]", equation=equation, domain=domain,
        edges=tuple(map(edge, each)), exact=values(case.exact), other=values(case.other),
        jets=case.jets and jets, layers=layers,
    )  # fmt: skip
