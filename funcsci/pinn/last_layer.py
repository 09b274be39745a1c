r"""The last layer alone: a trial function is linear in it, so its derivatives are matrices times weights.

They are computed once. What is left are small nonlinear least squares, and linear ones for a linear equation:
Gauss-Newton then takes one step.
"""

import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import jacrev, vmap

from funcsci.optim import Status, linear_least_squares
from funcsci.pinn.domain import constant
from funcsci.pinn.field import Request
from funcsci.pinn.requirements import Differentiated, Points, Requirement
from funcsci.pinn.task import Task
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
        return vmap(self.at_point)(self._values(weights), *self.points).reshape(-1)

    def slopes(self, weights: Float[Tensor, "fields width"]) -> Float[Tensor, "rows weights"]:
        """The derivatives of the residuals by the weights."""
        by_values = vmap(jacrev(self.at_point))(self._values(weights), *self.points)  # (n, count, requests)
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

    def _values(self, weights: Tensor) -> Tensor:
        """All requests at all points, shape `(n, requests)`."""
        found = [
            self.jets[request][:, 0] + self.jets[request][:, 1:] @ weights[self.fields.index(request.field)]
            for request in self.requirement.requests
        ]
        return torch.stack(found, 1)

    def at_point(self, values: Tensor, x: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """The weighted numbers of the requirement at one point, for values of its requests."""
        named = dict(zip(self.requirement.requests, values.unbind(), strict=True))
        return torch.sqrt(weight) * self.requirement.evaluate(named, x, target)


class Sampled(NamedTuple):
    """A trial function at points that are spread evenly, in units of the fields' scales.

    Everything is divided by the root of the number of points, so that norms are root mean squares.

    Attributes:
        basis: what each field is linear in, shape `(n, fields, width)`.
        known: what does not depend on the last layer, shape `(n, fields)`.
        values: the fields, shape `(n, fields)`.
    """

    basis: Tensor
    known: Tensor
    values: Tensor

    @classmethod
    def of(cls, task: Task, params: Params) -> "Sampled":
        """Evaluate a task's trial function."""
        x, trial = task.even_points(), task.trial
        scale = math.sqrt(len(x)) * constant(task.scales.fields, x)
        with torch.no_grad():
            basis = vmap(partial(trial.basis, params))(x) / scale[:, None]
            known, values = (vmap(one)(x) / scale for one in (trial.known, partial(trial.apply, params)))
        return cls(basis, known, values)


class Gauge(NamedTuple):
    """What chooses one of many solutions: that which has no part of any null function.

    Attributes:
        nulls: the null functions.
        values: theirs, as in `Sampled`, shape `(nulls, n, fields)`.
    """

    nulls: tuple[NullFunction, ...]
    values: Tensor

    @classmethod
    def of(cls, task: Task, nulls: Sequence[NullFunction]) -> "Gauge":
        """The gauge of some null functions of a task's equations."""
        found = [Sampled.of(task._replace(trial=one.trial), one.params).values for one in nulls]
        return cls(tuple(nulls), torch.stack(found))

    def rows(self, sampled: Sampled) -> Float[Tensor, "nulls weights"]:
        """The part of each null function in each feature."""
        return torch.einsum("knf,nfw->kfw", self.values, sampled.basis).reshape(len(self.values), -1)

    def target(self, sampled: Sampled) -> Float[Tensor, "nulls"]:
        """What the features must make of each null function, so that nothing is left of it."""
        return -torch.einsum("knf,nf->k", self.values, sampled.known)


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


def jets(
    trial: Trial, requirement: Requirement, fields: tuple[str, ...], derivatives: str
) -> Callable[[Params, Tensor], list[Tensor]]:
    """The function that computes the features' derivatives at points, for each request of a requirement.

    Args:
        trial: the trial function.
        requirement: what is asked.
        fields: the names of the fields.
        derivatives: `"taylor"` or `"nested"`.

    Returns:
        `jets(params, x)`, with results of shape `(n, 1 + width)`.
    """
    differentiated = Differentiated(fields, requirement.requests, derivatives)

    def of_points(params: Params, x: Tensor) -> list[Tensor]:
        def both(x: Tensor) -> Tensor:  # (fields, 1 + width)
            return torch.cat([trial.known(x)[:, None], trial.basis(params, x)], 1)

        return list(vmap(lambda x: list(differentiated.values(both, x).values()))(x))

    return of_points


def solve_last_layer(
    programs: Sequence[Callable[[Params, Tensor], list[Tensor]]],
    params: Params,
    training: Sequence[tuple[Requirement, Points]],
    fields: tuple[str, ...],
    *,
    steps: int | None = None,
    gauge: tuple[Tensor, Tensor] | None = None,
) -> LastLayer:
    r"""The parameters whose last layer minimizes $\sum_i w_i r(x_i)^2$, the hidden layers kept.

    Args:
        programs: from `jets`, one for each requirement.
        params: a tree with the key "layers", whose last entry is the last layer; its values do not matter
            for a linear equation.
        training: each requirement with its points.
        fields: the names of the fields.
        steps: the most steps of Gauss-Newton; None is 30.
        gauge: further rows and what they must give, which choose one of many solutions.

    Returns:
        The parameters, and how the search went.

    Source: Dong and Li (2021), arXiv:2012.02895.
    """
    begun = time.perf_counter()
    steps = STEPS if steps is None else steps
    chosen = [] if gauge is None else [gauge[0]]
    blocks = [
        Columns(one, points, fields, dict(zip(one.requests, program(params, points.x), strict=True)))
        for program, (one, points) in zip(programs, training, strict=True)
    ]
    *hidden, last = params["layers"]
    weights = torch.cat([last["weight"], last["bias"][:, None]], 1)
    weights = torch.zeros_like(weights)

    def residuals(weights: Tensor) -> Tensor:
        found = [block.residuals(weights) for block in blocks]
        if gauge is not None:
            found.append(gauge[0] @ weights.reshape(-1) - gauge[1])
        return torch.cat(found)

    r = residuals(weights)
    losses, seconds = [_half(r)], [time.perf_counter() - begun]
    status = Status(False, f"Gauss-Newton took all {steps} steps")
    for step in range(1, steps + 1):
        matrix = torch.cat([*(block.slopes(weights) for block in blocks), *chosen])
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
    solved = {"weight": weights[:, :-1].contiguous(), "bias": weights[:, -1].contiguous()}
    return LastLayer({**params, "layers": [*hidden, solved]}, status, losses, seconds)


def _half(r: Tensor) -> float:
    value = 0.5 * float(r @ r)
    return value if math.isfinite(value) else math.inf
