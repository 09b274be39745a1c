r"""The last layer alone: a trial function is linear in it, so its derivatives are matrices times weights.

They are computed once. What is left are small nonlinear least squares, and linear ones for a linear equation:
Gauss-Newton then takes one step.
"""

import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import jacrev, vmap

from funcsci.compile import jit
from funcsci.optim import Status, linear_least_squares
from funcsci.pinn.domain import constant
from funcsci.pinn.field import VALUE, Request
from funcsci.pinn.requirements import Differentiated, Points, Requirement
from funcsci.pinn.task import Task, Training
from funcsci.pinn.trial import Trial
from funcsci.pinn.verdict import NullFunction
from funcsci.tree import Params

STEPS = 30
HALVINGS = 8
SETTLED, EXACT = 0.1, 1e-10
"""Gauss-Newton has arrived where its model is off by these shares of the residual after and before a step."""


class Columns(NamedTuple):
    """One requirement at its points, as far as it is linear in the weights.

    Attributes:
        requirement: what is asked.
        points: where.
        fields: the names of the fields.
        jets: for each request the known part, then the part of each weight, shape `(n, 1 + width)`.
    """

    requirement: Requirement
    points: Points
    fields: tuple[str, ...]
    jets: dict[Request, Tensor]

    def residuals(self, weights: Float[Tensor, "fields width"]) -> Float[Tensor, "rows"]:
        """What is left of the requirement at all points."""
        return vmap(self.at_point)(self.values(weights), *self.points).reshape(-1)

    def slopes(self, weights: Float[Tensor, "fields width"]) -> Float[Tensor, "rows weights"]:
        """The derivatives of the residuals by the weights."""
        by_values = vmap(jacrev(self.at_point))(self.values(weights), *self.points)  # (n, count, requests)
        count, width = by_values.shape[1], weights.shape[1]
        parts = []
        for field in self.fields:
            terms = [
                by_values[:, :, place, None] * self.jets[request][:, None, 1:]
                for place, request in enumerate(self.requirement.requests)
                if request.field == field
            ]
            nothing = by_values.new_zeros(len(by_values), count, width)
            parts.append(sum(terms[1:], terms[0]) if terms else nothing)
        return torch.stack(parts, 2).reshape(-1, weights.numel())

    def values(self, weights: Float[Tensor, "fields width"]) -> Float[Tensor, "n requests"]:
        """All requests at all points."""
        found = [
            self.jets[request][:, 0] + self.jets[request][:, 1:] @ weights[self.fields.index(request.field)]
            for request in self.requirement.requests
        ]
        return torch.stack(found, 1)

    def rounding(self, weights: Float[Tensor, "fields width"]) -> Float[Tensor, "n requests"]:
        """The round-off in `values`, whose terms may cancel."""
        eps = torch.finfo(weights.dtype).eps
        found = []
        for request in self.requirement.requests:
            jet = self.jets[request]
            terms = torch.cat([jet[:, :1], jet[:, 1:] * weights[self.fields.index(request.field)]], 1)
            found.append(eps * torch.linalg.vector_norm(terms, dim=1))
        return torch.stack(found, 1)

    def of_fields(self) -> Float[Tensor, "n fields columns"]:
        """The fields themselves: the known part, then the part of each weight."""
        return torch.stack([self.jets[Request(field, VALUE)] for field in self.fields], 1)

    def at_point(self, values: Tensor, x: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """The weighted numbers of the requirement at one point, for values of its requests."""
        named = dict(zip(self.requirement.requests, values.unbind(), strict=True))
        return torch.sqrt(weight) * self.requirement.evaluate(named, x, target)


class Gauge(NamedTuple):
    """What chooses one of many solutions: that which has no part of any null function.

    Attributes:
        nulls: the null functions.
        task: whose equations they solve.
    """

    nulls: tuple[NullFunction, ...]
    task: Task

    def rows(self, block: Columns) -> tuple[Float[Tensor, "nulls weights"], Float[Tensor, "nulls"]]:
        """The part of each null function in each weight's function, and in the negative known part."""
        x = block.points.x
        root = self.task.share(x).sqrt()
        with torch.no_grad():
            values = torch.stack([vmap(partial(one.trial.apply, one.params))(x) for one in self.nulls])
        weighted = self.task.in_units(values) * root[:, None]  # (nulls, n, fields)
        functions = block.of_fields() * root[:, None, None]
        units = constant(self.task.scales.fields, x)[:, None]
        found = torch.einsum("knf,nfc->kfc", weighted, functions / units)
        return found[:, :, 1:].reshape(len(self.nulls), -1), -found[:, :, 0].sum(1)


class LastLayer(NamedTuple):
    """What `solve_last_layer` returns.

    Attributes:
        params: with the new last layer.
        status: whether Gauss-Newton arrived, and why it ended.
        losses: half the sum of squares at the start and after each step.
        seconds: the time since the start of each.
    """

    params: Params
    status: Status
    losses: list[float]
    seconds: list[float]


Jets: TypeAlias = Callable[[Sequence[Params], Tensor], list[Tensor]]
"""The derivatives of features of several networks at points, as `jets` makes them."""


def jets(trial: Trial, requests: Sequence[Request], fields: tuple[str, ...], derivatives: str) -> Jets:
    """The function that computes the features' derivatives at points, for each request.

    Args:
        trial: the trial function.
        requests: what is asked of the fields.
        fields: the names of the fields.
        derivatives: `"taylor"` or `"nested"`.

    Returns:
        `jets(several, x)`, with results of shape `(n, 1 + columns)`: the known part, then the features of one
        network after the other.
    """
    differentiated = Differentiated(fields, tuple(requests), derivatives, trial.domain.units)

    def of_points(several: Sequence[Params], x: Tensor) -> list[Tensor]:
        def all_parts(x: Tensor) -> Tensor:  # (fields, 1 + columns)
            return torch.cat([trial.known(x)[:, None], *(trial.basis(one, x) for one in several)], 1)

        return list(vmap(lambda x: list(differentiated.values(all_parts, x).values()))(x))

    return of_points


def evaluate(
    programs: Sequence[Jets], params: Params, points: Training, fields: tuple[str, ...]
) -> list[Columns]:
    """All requirements at their points, as far as they are linear in the last layer.

    Args:
        programs: from `jets`, one for each requirement.
        params: of the network; its last layer does not matter.
        points: each requirement with its points.
        fields: the names of the fields.
    """
    return [
        Columns(one, here, fields, dict(zip(one.requests, program([params], here.x), strict=True)))
        for program, (one, here) in zip(programs, points, strict=True)
    ]


def programs(task: Task, backend: str = "eager") -> list[Jets]:
    """The programs that compute `jets` for each requirement of a task."""
    fields, mode = task.problem.fields, task.settings.derivatives
    return [jit(jets(task.trial, one.requests, fields, mode), backend=backend) for one in task.requirements]


def evaluate_at_once(
    programs: Sequence[Jets], several: Sequence[Params], sets: Sequence[Training], fields: tuple[str, ...]
) -> list[list[list[Columns]]]:
    """The same for several networks, each at several sets of points, in one pass.

    Returns:
        The requirements by network and set of points.
    """
    found: list[list[list[Columns]]] = [[[] for _ in sets] for _ in several]
    widths = [weights_of(one).shape[1] for one in several]
    for program, *places in zip(programs, *sets, strict=True):
        one = places[0][0]
        lengths = [len(points.x) for _, points in places]
        jets_of_all = program(several, torch.cat([points.x for _, points in places]))
        for number, (_, points) in enumerate(places):
            here = [jet.split(lengths)[number] for jet in jets_of_all]
            known, *own = zip(*(jet.split([1, *widths], 1) for jet in here), strict=True)
            for place, features in enumerate(own):
                columns = [torch.cat(pair, 1) for pair in zip(known, features, strict=True)]
                block = Columns(one, points, fields, dict(zip(one.requests, columns, strict=True)))
                found[place][number].append(block)
    return found


def weights_of(params: Params) -> Float[Tensor, "fields width"]:
    """The last layer as one matrix."""
    last = params["layers"][-1]
    return torch.cat([last["weight"], last["bias"][:, None]], 1)


def with_weights(params: Params, weights: Float[Tensor, "fields width"]) -> Params:
    """Parameters with another last layer."""
    parts = {"weight": weights[:, :-1], "bias": weights[:, -1]}
    last = {name: part.clone(memory_format=torch.contiguous_format) for name, part in parts.items()}
    return {**params, "layers": [*params["layers"][:-1], last]}


def solve_last_layer(
    blocks: Sequence[Columns], params: Params, *, steps: int | None = None, gauge: Gauge | None = None
) -> LastLayer:
    r"""The parameters whose last layer minimizes $\sum_i w_i r(x_i)^2$, the hidden layers kept.

    Args:
        blocks: each requirement at its points.
        params: a tree with the key "layers", whose last entry is the last layer; its values do not matter.
        steps: the most steps of Gauss-Newton; None is 30.
        gauge: what chooses one of many solutions.

    Returns:
        The parameters, and how the search went.

    Source: Dong and Li (2021), arXiv:2012.02895.
    """
    begun = time.perf_counter()
    steps = STEPS if steps is None else steps
    chosen = None if gauge is None else gauge.rows(blocks[0])
    weights = torch.zeros_like(weights_of(params))

    def residuals(weights: Tensor) -> Tensor:
        found = [block.residuals(weights) for block in blocks]
        if chosen is not None:
            found.append(chosen[0] @ weights.reshape(-1) - chosen[1])
        return torch.cat(found)

    r = residuals(weights)
    losses, seconds = [_half(r)], [time.perf_counter() - begun]
    status = Status(False, f"Gauss-Newton took all {steps} steps")
    for step in range(1, steps + 1):
        matrix = torch.cat([block.slopes(weights) for block in blocks])
        matrix = matrix if chosen is None else torch.cat([matrix, chosen[0]])
        if not bool(torch.isfinite(matrix).all() & torch.isfinite(r).all()):
            status = Status(False, "a residual or its derivative is not finite")
            break
        change = linear_least_squares(matrix, -r)
        predicted = r + matrix @ change
        for halving in range(HALVINGS):
            tried = weights + (change * 0.5**halving).reshape(weights.shape)
            found = residuals(tried)
            if _half(found) < losses[-1]:
                break
        else:
            status = Status(False, f"no step of Gauss-Newton lowers the residual after {step - 1}")
            break
        # What another step could gain is what this one's linear model was wrong by.
        wrong = torch.linalg.vector_norm(found - predicted)
        least = EXACT * torch.linalg.vector_norm(r) + SETTLED * torch.linalg.vector_norm(predicted)
        weights, r = tried, found
        losses.append(_half(r))
        seconds.append(time.perf_counter() - begun)
        if halving == 0 and bool(wrong <= least):
            status = Status(True, f"Gauss-Newton arrived in {step} step{'s' * (step > 1)}")
            break
    return LastLayer(with_weights(params, weights), status, losses, seconds)


def _half(r: Tensor) -> float:
    value = 0.5 * float(r @ r)
    return value if math.isfinite(value) else math.inf
