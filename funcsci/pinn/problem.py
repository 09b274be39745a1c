"""A problem: equations on a domain with their conditions, checked and complete."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from torch import Tensor

from funcsci import checks
from funcsci.pinn.affine import affine
from funcsci.pinn.conditions import Condition
from funcsci.pinn.domain import Domain, Span
from funcsci.pinn.equations import Equation, Equations
from funcsci.pinn.faces import faces, located
from funcsci.pinn.hard import Split, split
from funcsci.pinn.network import Focus
from funcsci.pinn.probing import concentrated, foci

MOST_MARCHED = 5
"""The most coordinates of a problem that is marched: the state between slabs is a series in all but one."""
RECIPES: dict[str, Callable[..., "Problem"]] = {}
"""What makes a problem from numbers alone, by name, so that a file can tell it."""
Reference = Callable[..., Any]
"""The exact solution, by the names of coordinates: a number, or one for each field."""


@dataclass(frozen=True, eq=False)
class Problem:
    """What `solve` solves; made by `ode`, `ivp` and `pde`.

    Attributes:
        equations: what holds inside.
        conditions: what holds at edges and places.
        reference: the exact solution where it is known; None where it is not.
        text: the problem in a line.
        told: further lines about it, such as its conditions.
        recipe: the name in `RECIPES` and the arguments of what made it, where a file can tell them.
    """

    equations: Equations
    conditions: tuple[Condition, ...]
    reference: Reference | None = None
    text: str = ""
    told: tuple[str, ...] = ()
    recipe: tuple[str, Mapping[str, Any]] | None = None

    @property
    def domain(self) -> Domain:
        """The box."""
        return self.equations.domain

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the unknown functions."""
        return self.equations.fields

    @cached_property
    def edges(self) -> Split:
        """The conditions at edges, built in or not."""
        at_edges = [one for one in self.conditions if one.kind not in ("periodic", "point")]
        return split(
            [face for one in at_edges for face in faces(one, self.field_of(one), self.domain)], self.domain
        )

    @cached_property
    def places(self) -> tuple[tuple[Condition, tuple[Tensor, Tensor]], ...]:
        """The conditions at places, with their points and values."""
        return tuple(
            (one, located(one.places or {}, one.value, self.domain, str(one)))
            for one in self.conditions
            if one.kind == "point"
        )

    @cached_property
    def periodic(self) -> tuple[int, ...]:
        """The coordinates in which all fields are periodic."""
        names = [name for one in self.conditions if one.kind == "periodic" for name in one.coordinates]
        return tuple(sorted({self.domain.index(name, "coordinate of periodic") for name in names}))

    @cached_property
    def affine(self) -> bool:
        """Whether its equations are affine in the fields."""
        return affine(self.equations)

    @cached_property
    def foci(self) -> tuple[Focus, ...]:
        """The places of a line where the equations' data change on a small scale."""
        return foci(self.equations)

    @cached_property
    def concentrated(self) -> Tensor | None:
        """Points of a box where the equations' data are large, if that is in a small part of it."""
        return concentrated(self.equations)

    def field_of(self, condition: Condition) -> str:
        """The field that a condition is about.

        Raises:
            ValueError: if it names none where there are several, or one that is not there.
        """
        if condition.field is None:
            if len(self.fields) > 1:
                must = f"name its field, one of {', '.join(self.fields)}"
                remedy = f"Add field='{self.fields[0]}'."
                raise ValueError(checks.message(must, "a condition", str(condition), remedy))
            return self.fields[0]
        checks.one_of(self.fields, field=condition.field)
        return condition.field

    def with_recipe(self, name: str, arguments: Mapping[str, Any], told: tuple[str, ...]) -> "Problem":
        """The problem with what a file can tell of it, and lines that describe it."""
        return replace(self, recipe=(name, arguments), told=told)

    @property
    def marches(self) -> str | None:
        """The coordinate along which the problem can be solved in slabs, one after the other."""
        starts = {face.index for face in self.edges.hard if face.source.kind == "initial"}
        if len(starts) != 1 or self.places or self.domain.dimensions > MOST_MARCHED:
            return None
        (index,) = starts
        name = self.domain.names[index]
        ends = [face for face in (*self.edges.hard, *self.edges.soft) if face.index == index]
        if index in self.periodic or any(face.upper or face not in self.edges.hard for face in ends):
            return None
        given = {field: sum(face.field == field for face in ends) for field in self.fields}
        if any(given[field] < self.equations.order(field, name) for field in self.fields):
            return None
        return name


def make_problem(
    equation: Equation | Sequence[Equation],
    domain: Mapping[str, Span],
    conditions: Condition | Sequence[Condition],
    *,
    fields: Sequence[str] | None = None,
    reference: Reference | None = None,
    well_posed: bool = True,
    text: str = "",
) -> Problem:
    """A problem, checked.

    Raises:
        TypeError: if something has the wrong type.
        ValueError: if a name is unknown, a condition is off the domain, or the conditions are too few,
            too many or contradict each other.
    """
    box = Domain.of(domain)
    several = (conditions,) if isinstance(conditions, Condition) else conditions
    if not isinstance(several, Sequence):
        raise TypeError(checks.message("be a list of them", "conditions", several, "Try conditions=[]."))
    given = tuple(several)
    for one in given:
        if not isinstance(one, Condition):
            remedy = "Try pinn.dirichlet('x', 0.0)."
            raise TypeError(
                checks.message("be made by pinn.initial and the like", "a condition", one, remedy)
            )
    named = tuple(dict.fromkeys(one.field for one in given if one.field is not None))
    told = named if fields is None and len(named) > 1 else ()
    problem = Problem(Equations.of(equation, box, fields, told), given, reference, text)
    _ = problem.edges, problem.places, problem.periodic  # each check speaks here
    for name in {problem.domain.names[place] for place in problem.periodic}:
        clash = [face for face in (*problem.edges.hard, *problem.edges.soft) if face.index == box.index(name)]
        if clash:
            raise ValueError(
                f"A periodic coordinate has no edges. Got periodic({name}) and {clash[0].describe(box)}. "
                "Leave one out."
            )
    if well_posed:
        _check_enough(problem)
    return problem


def _check_enough(problem: Problem) -> None:
    """Each coordinate has as many conditions as the orders of the equations in it need."""
    domain, edges = problem.domain, (*problem.edges.hard, *problem.edges.soft)
    points = sum(len(values) for _, (_, values) in problem.places)
    line = domain.dimensions == 1
    for index, name in enumerate(domain.names):
        orders = {one: problem.equations.order(one, name) for one in problem.fields}
        needed, found = sum(orders.values()), sum(face.index == index for face in edges)
        if index in problem.periodic or found == needed:
            continue
        if points and not (line and found + points < needed):  # data may determine anything
            continue
        story = ", ".join(f"{one} is of order {order} in {name}" for one, order in orders.items() if order)
        if found < needed:
            kind = "initial" if name == "t" else "dirichlet"
            raise ValueError(
                f"The problem is under-determined: {story or 'it'}, which needs {needed} conditions at the "
                f"edges of {name}. Got {found}{f' and {points} at points' * bool(points)}. "
                f"Add {needed - found - points}, as pinn.{kind}, or pass "
                "well_posed=False if the equation itself selects the solution."
            )
        if line or not needed or len(problem.fields) == 1:
            raise ValueError(
                f"The problem is over-determined: {story or f'no field has a derivative in {name}'}, which "
                f"takes {needed} conditions at the edges of {name}. Got {found}. Leave {found - needed} out, "
                "or pass well_posed=False if they agree."
            )
