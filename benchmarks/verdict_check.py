"""Whether the exact solutions of the cases satisfy their equations and conditions.

Derivatives are nested `torch.func.grad`, which share nothing with the closed forms that sources are made of;
those of SciPy's trajectories are its states and slopes. What is left of an equation is measured against its
terms: the derivatives that it takes times what it changes by with them, and what it is for no field at all.
"""

import random
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.func import grad, jacrev, vmap
from verdict_base import Case, Edge
from verdict_known import Jet

Function = Callable[..., tuple[Tensor, ...]]


def defects(case: Case, count: int = 32) -> dict[str, float]:
    """What is left of each equation and condition, relative to its terms; by solution where there are two.

    Returns:
        Numbers by name, below 1e-9 where all is well; none for a problem without a solution.
    """
    found: dict[str, float] = {}
    for which, function in (("", case.exact), ("other: ", case.other)):
        if function is not None:
            found |= {which + name: value for name, value in _of(case, function, count).items()}
    if case.other is not None:
        points = _points(case, count, random.Random(1))
        pairs = zip(case.exact(*points.T), case.other(*points.T), strict=True)
        apart = max(float((one - two).abs().max() / (one.abs() + two.abs()).max()) for one, two in pairs)
        found["the two solutions are the same"] = 0.0 if apart > 1e-3 else 1.0
    return found


def _of(case: Case, function: Function, count: int) -> dict[str, float]:
    points = _points(case, count, random.Random(0))
    found = {}
    for place, value in enumerate(_equation_defects(case, function, points)):
        found[f"equation {place}"] = value
    for edge in case.edges:
        for name, value in _edge_defects(case, function, edge, points):
            found[name] = max(value, found.get(name, 0.0))
    return found


def _points(case: Case, count: int, source: random.Random) -> Tensor:
    """Random points, half of them near the layers where there are some."""
    rows = [[source.uniform(a, b) for a, b in case.domain.values()] for _ in range(count)]
    for place, (name, (a, b)) in enumerate(case.domain.items()):
        for row in rows[::2] if case.layers.get(name) else ():
            near = source.choice(case.layers[name]) + (b - a) * 10 ** source.uniform(-4, -1) * source.choice(
                (-1, 1)
            )
            row[place] = min(max(near, a), b)
    return torch.tensor(rows, dtype=torch.float64)


def nested(function: Callable[[Tensor], Tensor], places: Sequence[int]) -> Callable[[Tensor], Tensor]:
    """A partial derivative of a function of one point."""
    if not places:
        return function
    inner = nested(function, places[1:])
    return lambda x: grad(inner)(x)[places[0]]


def derivatives(case: Case, function: Function, field: str, letters: str, points: Tensor) -> Tensor:
    """A derivative of a field of a solution at points, shape `(n,)`."""
    if case.jets is not None:
        return case.jets(letters, field, points[:, 0])
    index = case.fields.index(field)
    at_point = nested(lambda x: function(*x)[index], [case.names.index(letter) for letter in letters])
    return vmap(at_point)(points)


def _equation_defects(case: Case, function: Function, points: Tensor) -> list[float]:
    asked: dict[tuple[str, str], None] = {}

    def note(field: str) -> Jet:
        def look_up(letters: str) -> Tensor:
            asked.setdefault((field, letters))
            return torch.tensor(0.5, dtype=torch.float64)

        return Jet(look_up)

    case.residuals([note(field) for field in case.fields], list(points[0]))
    requests = list(asked)
    values = torch.stack([derivatives(case, function, *one, points) for one in requests], -1)

    def residuals(numbers: Tensor, x: Tensor) -> Tensor:
        def jet(field: str) -> Jet:
            return Jet(lambda letters: numbers[requests.index((field, letters))])

        found = case.residuals([jet(field) for field in case.fields], list(x))
        return torch.stack([one + 0 * numbers[0] for one in found])

    left = vmap(residuals)(values, points)
    slopes = vmap(jacrev(residuals))(values, points)
    without = vmap(residuals)(torch.zeros_like(values), points).nan_to_num(0.0, 0.0, 0.0)
    terms = (slopes * values[:, None, :]).abs().sum(-1) + without.abs()
    sizes = terms.max(0).values
    return (left.abs().max(0).values / torch.where(sizes > 0, sizes, 1.0)).tolist()


def _edge_defects(case: Case, function: Function, edge: Edge, points: Tensor) -> list[tuple[str, float]]:
    found = []
    field = edge.field or case.fields[0]
    if edge.kind == "point":
        place = torch.tensor([[edge.places[name] for name in case.names]], dtype=torch.float64)
        value = derivatives(case, function, field, "", place)
        size = derivatives(case, function, field, "", points).abs().max()
        return [(f"point of {field}", float((value - edge.value).abs().max() / size))]
    for name in edge.coordinates:
        index = case.names.index(name)
        ends = {
            side: torch.where(
                torch.arange(len(case.names)) == index, case.domain[name][side == "upper"], points
            )
            for side in ("lower", "upper")
        }
        if edge.kind == "periodic":
            for one in case.fields:
                for letters in ("", name):
                    low, high = (derivatives(case, function, one, letters, x) for x in ends.values())
                    size = derivatives(case, function, one, letters, points).abs().max()
                    found.append((f"periodic {name}", float((low - high).abs().max() / size)))
            continue
        for side in edge.sides:
            total, size = -_wanted(edge, ends[side]), _wanted(edge, ends[side]).abs().max()
            sign = -1.0 if side == "lower" and edge.kind != "initial" else 1.0
            for factor, order in edge.terms:
                total = total + factor * sign**order * derivatives(
                    case, function, field, name * order, ends[side]
                )
                inside = derivatives(case, function, field, name * order, points)
                size = size + abs(factor) * inside.abs().max()
            defect = float(total.abs().max() / size) if float(size) > 0 else 0.0
            found.append((f"{edge.kind} {name} {side} of {field}, order {edge.order}", defect))
    return found


def _wanted(edge: Edge, points: Tensor) -> Tensor:
    value: Any = edge.value
    if not callable(value):
        return torch.full((len(points),), float(value), dtype=torch.float64)
    return vmap(lambda x: value(*x))(points)
