r"""How far off a solution is, and what else would fit: the problem linearized at the solution.

With features $\varphi$ drawn by another key, on points of their own, the correction $e = D \varphi w$ minimizes
$\lVert F(u) + F'(u)\, e \rVert$. Where it explains the residual, its size is the error. Functions $v$ for which
$\lVert F'(u)\, v \rVert$ is next to nothing beside $\lVert v \rVert$ can be added to the solution.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import jacrev, vmap

from funcsci import random
from funcsci.optim.linear_least_squares import RidgeFactor
from funcsci.pinn.last_layer import Columns, Gauge, Sampled
from funcsci.pinn.requirements import Requirement
from funcsci.pinn.task import Task, Training
from funcsci.pinn.verdict import NullFunction
from funcsci.tree import Params

NOISE = 10.0
"""A residual of so many times the round-off of its terms is round-off."""
NULL = {torch.float64: 1e-8, torch.float32: 1e-4}
"""A function is a null function if the linearized problem makes no more than this of its size."""
MOST_NULLS, ITERATIONS = 8, 12
CONSTANT = 1e-5
"""How far a constant may be from the span of the null functions that hold it."""

Jets = Callable[[Params, Tensor], list[Tensor]]
"""The derivatives of features at points, as `last_layer.jets` makes them."""


class Candidate(NamedTuple):
    """A solution to be assessed.

    Attributes:
        task: what is asked of it.
        params: its parameters.
        programs: the derivatives of its last layer's features, for each requirement.
    """

    task: Task
    params: Params
    programs: Sequence[Jets]


class Features(NamedTuple):
    """Functions in which a correction is sought.

    Attributes:
        task: of a network whose last layer they feed.
        params: its parameters, drawn by another key than the solution's.
        programs: their derivatives, for each requirement.
        training: each requirement with points of their own.
    """

    task: Task
    params: Params
    programs: Sequence[Jets]
    training: Training


class Assessment(NamedTuple):
    """What the linearized problem says of a solution.

    Attributes:
        errors: the relative size of the correction of each field.
        explained: the share of the residual that is left after the correction.
        follows: the share of that which the features do not follow by their own values, in the equations.
        noisy: whether what is left is the round-off of its terms.
        nulls: functions that can be added.
        correction: parameters of the correction, a function of the features without a built-in part.
    """

    errors: tuple[float, ...]
    explained: float
    follows: float
    noisy: bool
    nulls: tuple[NullFunction, ...]
    correction: Params


def assess(candidate: Candidate, features: Features, gauge: Gauge | None = None) -> Assessment:
    """Linearize at a solution, solve for the correction, and look for null functions.

    Args:
        candidate: the solution.
        features: in which to look.
        gauge: what chose the solution among many; it leaves a correction nothing of the null functions.
    """
    task, fields = candidate.task, candidate.task.problem.fields
    blocks, noise = [], 0.0
    for own, other, (one, points) in zip(
        candidate.programs, features.programs, features.training, strict=True
    ):
        values, rounding = _at_solution(candidate, own, one, points.x)
        found = zip(one.requests, values.unbind(1), other(features.params, points.x), strict=True)
        jets = {request: torch.cat([value[:, None], jet[:, 1:]], 1) for request, value, jet in found}
        block = Columns(one, points, fields, jets)
        blocks.append(block)
        noise += _noise(block, values, rounding)
    width = features.params["layers"][-1]["weight"].shape[1] + 1
    nothing = torch.zeros(len(fields), width, **task.settings.where)
    residual = torch.cat([block.residuals(nothing) for block in blocks])
    matrix = torch.cat([block.slopes(nothing) for block in blocks])
    if not bool(torch.isfinite(matrix).all() & torch.isfinite(residual).all()):
        return Assessment((math.inf,) * len(fields), 1.0, 1.0, False, (), features.params)
    sampled = Sampled.of(features.task, features.params)
    target = -residual
    if gauge is not None:
        rows = gauge.rows(sampled)
        matrix, target = torch.cat([matrix, rows]), torch.cat([target, target.new_zeros(len(rows))])
    factor = RidgeFactor.of(matrix)
    weights = factor.solve(target).reshape(nothing.shape)
    left = torch.cat([block.residuals(weights) for block in blocks])
    basis = sampled.basis
    solution = Sampled.of(task, candidate.params).values
    errors = []
    for place in range(len(fields)):
        size = float(torch.linalg.vector_norm(solution[:, place]))
        change = float(torch.linalg.vector_norm(basis[:, place] @ weights[place]))
        errors.append(change / size if size > 0 else change)
    before, after = (float(torch.linalg.vector_norm(one)) for one in (residual, left))
    return Assessment(
        tuple(errors),
        after / before if before > 0 else 0.0,
        _follows(blocks[0].residuals(weights), features),
        min(before, after) <= NOISE * math.sqrt(noise),
        _nulls(features, factor, basis),
        _with_last(features.params, weights),
    )


def _with_last(params: Params, weights: Float[Tensor, "fields width"]) -> Params:
    """Parameters with another last layer."""
    last = {"weight": weights[:, :-1].contiguous(), "bias": weights[:, -1].contiguous()}
    return {**params, "layers": [*params["layers"][:-1], last]}


def _at_solution(
    candidate: Candidate, program: Jets, requirement: Requirement, x: Tensor
) -> tuple[Float[Tensor, "n requests"], Float[Tensor, "n requests"]]:
    """What a requirement needs of a solution at points, and the round-off in it."""
    last, fields = candidate.params["layers"][-1], candidate.task.problem.fields
    weights = torch.cat([last["weight"], last["bias"][:, None]], 1)
    values, rounding = [], []
    for request, jet in zip(requirement.requests, program(candidate.params, x), strict=True):
        terms = torch.cat([jet[:, :1], jet[:, 1:] * weights[fields.index(request.field)]], 1)
        values.append(terms.sum(1))
        rounding.append(torch.linalg.vector_norm(terms, dim=1) * torch.finfo(terms.dtype).eps)
    return torch.stack(values, 1), torch.stack(rounding, 1)


def _noise(block: Columns, values: Tensor, rounding: Tensor) -> float:
    """The sum of squares of the round-off in a requirement's residuals."""
    slopes = vmap(jacrev(block.at_point))(values, *block.points)  # (n, count, requests)
    return float((slopes.abs() @ rounding[:, :, None]).square().sum())


def _follows(left: Float[Tensor, "rows"], features: Features) -> float:
    """How much of the equations' residuals, relative to all of it, no sum of the features' values follows."""
    x = features.training[0][1].x
    values = vmap(partial(features.task.network_features, features.params))(x)  # (n, width)
    residuals = left.reshape(len(x), -1)
    outside = RidgeFactor.of(values).outside(residuals)
    size = float(torch.linalg.vector_norm(residuals))
    return float(torch.linalg.vector_norm(outside)) / size if size > 0 else 0.0


def _nulls(
    features: Features, factor: RidgeFactor, basis: Float[Tensor, "n fields width"]
) -> tuple[NullFunction, ...]:
    r"""The functions $v$ with the least $\lVert F'(u)\, v \rVert / \lVert v \rVert$, where that is next to nothing.

    With $A = Q R$ and the values $V w$ of functions, these are the largest singular values of $V R^{-1}$, found by
    subspace iteration.
    """
    settings, count = features.task.settings, basis.shape[1]

    def weights(y: Tensor) -> Tensor:
        return torch.linalg.solve_triangular(factor.upper, y, upper=True) / factor.norms[:, None]

    def values(y: Tensor) -> Tensor:  # (fields, n, vectors)
        return torch.einsum("nfw,fwk->fnk", basis, weights(y).reshape(count, -1, y.shape[1]))

    def transposed(z: Tensor) -> Tensor:
        found = torch.einsum("nfw,fnk->fwk", basis, z).reshape(-1, z.shape[2]) / factor.norms[:, None]
        return torch.linalg.solve_triangular(factor.upper.mT, found, upper=False)

    key = random.fold_in(settings.key, 0x9011)
    start = random.normal(key, (len(factor.norms), MOST_NULLS), dtype=settings.dtype).to(settings.device)
    y = torch.linalg.qr(start).Q
    for _ in range(ITERATIONS):
        y = torch.linalg.qr(transposed(values(y))).Q
    seen = values(y)
    left, sizes, right = torch.linalg.svd(seen.reshape(-1, y.shape[1]), full_matrices=False)
    singular = 1 / sizes.clamp(min=torch.finfo(sizes.dtype).tiny)
    many = int((singular <= NULL[settings.dtype]).sum())
    if not many:
        return ()
    chosen = weights(y @ right[:many].mT)  # (columns, many)
    names = _described(left[:, :many].reshape(count, -1, many), features.task.problem.fields)
    found = []
    for place in range(many):
        vector = (chosen[:, place] * singular[place]).reshape(count, -1)  # of size one
        params = _with_last(features.params, vector)
        trial = features.task.trial.homogeneous()
        found.append(NullFunction(trial, params, float(singular[place]), names[place]))
    return tuple(found)


def _described(values: Float[Tensor, "fields n nulls"], fields: Sequence[str]) -> list[str]:
    """What null functions look like, of which the values are orthonormal."""
    count, points, many = values.shape
    flat, constants = values.reshape(-1, many), []
    for place, name in enumerate(fields):
        one = torch.zeros(count, points).to(values)
        one[place] = 1 / math.sqrt(points)
        inside = flat @ (flat.mT @ one.reshape(-1))
        if float(torch.linalg.vector_norm(inside - one.reshape(-1))) <= CONSTANT:
            constants.append(f"a constant in {name}")
    others = [f"a multiple of the function that solution.plot(null={place}) shows" for place in range(many)]
    return [*constants, *others[len(constants) :]]
