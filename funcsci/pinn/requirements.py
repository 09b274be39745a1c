"""What is asked of a trial function at points: its equations, and the conditions that are not built in."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import jacrev, vmap

from funcsci.autodiff import partials
from funcsci.pinn.domain import constant
from funcsci.pinn.equations import Equations, Values
from funcsci.pinn.field import VALUE, Operator, Request
from funcsci.pinn.scales import Scales
from funcsci.tree import Params


class Points(NamedTuple):
    """Where a requirement is asked to hold.

    Attributes:
        x: the points, shape `(n, dimensions)`.
        target: the values asked for there, shape `(n,)`; zero for equations.
        weight: of each point in the sum of squares, shape `(n,)`.
    """

    x: Float[Tensor, "n dimensions"]
    target: Float[Tensor, "n"]
    weight: Float[Tensor, "n"]


@dataclass(frozen=True, eq=False)
class Requirement:
    """Numbers that should vanish at each of some points.

    Attributes:
        names: of each number, for messages.
        requests: what they need of the fields.
        evaluate: `evaluate(values, x, target)`, the numbers at one point, shape `(count,)`, each divided by
            its scale.
        coupling: the size of each number for fields of the size of their scales, `(count, fields)`.
    """

    names: tuple[str, ...]
    requests: tuple[Request, ...]
    evaluate: Callable[[Values, Tensor, Tensor], Tensor]
    coupling: tuple[tuple[float, ...], ...]

    @property
    def count(self) -> int:
        """How many numbers there are."""
        return len(self.names)


def of_equations(equations: Equations, scales: Scales) -> Requirement:
    """The equations, each divided by its scale; the fields themselves are requested with them."""

    def evaluate(values: Values, x: Tensor, target: Tensor) -> Tensor:
        return equations.residuals(values, x) / constant(scales.equations, x)

    many = equations.count > 1
    names = tuple(f"equation {number}" if many else "equation" for number in range(1, equations.count + 1))
    requests = dict.fromkeys((*equations.requests, *(Request(field, VALUE) for field in equations.fields)))
    return Requirement(names, tuple(requests), evaluate, scales.coupling)


def of_terms(
    name: str, field: str, index: int, terms: Sequence[tuple[float, int]], scale: float, fields: Sequence[str]
) -> Requirement:
    r"""A condition $\sum_k c_k\, \partial_{x_i}^k u = g$, divided by its scale."""
    requests = [Request(field, ((index,) * order,)) for _, order in terms]

    def evaluate(values: Values, x: Tensor, target: Tensor) -> Tensor:
        pairs = zip(terms, requests, strict=True)
        total = sum((factor * values[request] for (factor, _), request in pairs), -target)
        return (total / scale)[None]

    coupling = tuple(float(one == field) for one in fields)
    return Requirement((name,), tuple(requests), evaluate, (coupling,))


class Differentiated(NamedTuple):
    """All derivatives that some requests need of fields, in one pass.

    Attributes:
        fields: the names, in the order of the function's components.
        requests: what is needed.
        derivatives: `"taylor"` or `"nested"`.
        units: of the coordinates, as in `partials`.
    """

    fields: tuple[str, ...]
    requests: tuple[Request, ...]
    derivatives: str
    units: tuple[float, ...] = ()

    @property
    def operators(self) -> tuple[Operator, ...]:
        """Each operator once."""
        return tuple(dict.fromkeys(request.operator for request in self.requests))

    def values(self, function: Callable[[Tensor], Tensor], x: Tensor) -> dict[Request, Tensor]:
        """The requested components of `function(x)`, shape `(fields, ...)`, at one point."""
        compute = partials(function, self.operators, derivatives=self.derivatives, units=self.units)
        found = dict(zip(self.operators, compute(x), strict=True))
        return {
            request: found[request.operator][self.fields.index(request.field)] for request in self.requests
        }


def residual_at_point(
    requirement: Requirement,
    apply: Callable[[Params, Tensor], Tensor],
    fields: tuple[str, ...],
    derivatives: str,
    units: tuple[float, ...] = (),
) -> Callable[[Params, Points], Tensor]:
    """The numbers of a requirement at one point, as a function of the parameters.

    Args:
        requirement: what is asked.
        apply: the trial function, `apply(params, x)`, shape `(fields,)`.
        fields: their names.
        derivatives: `"taylor"` or `"nested"`.
        units: of the coordinates, as in `partials`.

    Returns:
        `residual(params, point)`, shape `(count,)`, with the square root of the point's weight in it.
    """
    differentiated = Differentiated(fields, requirement.requests, derivatives, units)

    def residual(params: Params, point: Points) -> Tensor:
        values = differentiated.values(lambda x: apply(params, x), point.x)
        return torch.sqrt(point.weight) * requirement.evaluate(values, point.x, point.target)

    return residual


def all_residuals(residual: Callable[[Params, Points], Tensor], params: Params, points: Points) -> Tensor:
    """The numbers at all points, shape `(n, count)`."""
    return vmap(lambda point: residual(params, point))(points)


def with_terms(
    requirement: Requirement, values: Values, x: Tensor, target: Tensor
) -> tuple[Float[Tensor, "count"], Float[Tensor, "count"]]:
    """The numbers of a requirement at one point, and the largest of the terms whose sum each of them is.

    The terms are those of the linearization: each request times the derivative by it, and the rest.
    """
    stacked = torch.stack([values[request] for request in requirement.requests])

    def numbers(stacked: Tensor) -> Tensor:
        named = dict(zip(requirement.requests, stacked.unbind(), strict=True))
        return requirement.evaluate(named, x, target)

    found, terms = numbers(stacked), jacrev(numbers)(stacked) * stacked  # (count,), (count, requests)
    rest = found - terms.sum(1)
    return found, torch.maximum(terms.abs().amax(1), rest.abs())


def residuals_together(
    requirements: Sequence[Requirement],
    apply: Callable[[Tensor], Tensor],
    fields: tuple[str, ...],
    derivatives: str,
    sets: Sequence[Points],
) -> Float[Tensor, "numbers"]:
    """All numbers of several requirements, with one pass through the network for all of their points.

    Args:
        requirements: what is asked.
        apply: the trial function of a point, shape `(fields,)`.
        fields: their names.
        derivatives: `"taylor"` or `"nested"`.
        sets: the points of each requirement.
    """
    requests = tuple(dict.fromkeys(request for one in requirements for request in one.requests))
    differentiated = Differentiated(fields, requests, derivatives)
    x = torch.cat([points.x for points in sets])
    values = vmap(lambda x: differentiated.values(apply, x))(x)
    lengths = [len(points.x) for points in sets]
    parts = {request: torch.split(value, lengths) for request, value in values.items()}
    found = []
    for place, (one, points) in enumerate(zip(requirements, sets, strict=True)):
        own = {request: parts[request][place] for request in one.requests}
        numbers = vmap(one.evaluate)(own, points.x, points.target)  # (n, count)
        found.append((torch.sqrt(points.weight)[:, None] * numbers).reshape(-1))
    return torch.cat(found)
