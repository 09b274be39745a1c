r"""How far off a solution is, and what else would fit: the problem linearized at the solution.

With features $\varphi$ drawn by another key, at points of their own, the correction $e = D \varphi w$
minimizes $\lVert F(u) + F'(u)\, e \rVert$. Where it explains the residual, its size is the error. A
function $v$ for which $\lVert F'(u)\, v \rVert$ is next to nothing beside $\lVert v \rVert$ can be added to
the solution.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import jacrev, vmap

from funcsci import random
from funcsci.optim.linear_least_squares import RidgeFactor
from funcsci.pinn.last_layer import Columns, Gauge, with_weights
from funcsci.pinn.task import Task
from funcsci.pinn.verdict import NullFunction
from funcsci.tree import Params

NOISE = 100.0
"""A residual of so many times the round-off of its terms is round-off: features' derivatives have it too."""
NULL = {torch.float64: 1e-8, torch.float32: 1e-4}
"""A function is a null function if the linearized problem makes no more than this of its size."""
MOST_NULLS, ITERATIONS = 8, 12
MANY = 128
"""Features that show that there is no solution where they find none."""
CONSTANT = 1e-5
"""How far a constant may be from the span of the null functions that hold it."""


class Features(NamedTuple):
    """Functions in which a correction is sought.

    Attributes:
        task: of the network whose last layer they feed.
        params: its parameters, drawn by another key than the solution's.
        blocks: each requirement at points on which no method trains, as far as it is linear in them.
    """

    task: Task
    params: Params
    blocks: Sequence[Columns]

    @property
    def width(self) -> int:
        """How many there are for each field."""
        return int(self.params["layers"][-1]["weight"].shape[1])

    @property
    def resolve(self) -> bool:
        """Whether they are many, and as steep as the coefficients say that a solution may be."""
        steepest = float(self.params["layers"][0]["weight"].abs().max())
        return self.width >= MANY and steepest >= self.task.steepness


class Assessment(NamedTuple):
    """What the linearized problem says of a solution.

    Attributes:
        errors: the size of the correction of each field, over that of the corrected field.
        explained: the share of the residual that is left after the correction.
        rough: the share of the equations' residual that the features' own values do not follow.
        noisy: whether what is left is the round-off of its terms.
        singular: the smallest singular value: the least that the linearized problem makes of a function of
            size one, among the features.
        bound: no field's relative error is larger, whatever the residual, as far as the features tell.
        nulls: functions that can be added.
        correction: parameters of the correction, a function of the features without a built-in part.
    """

    errors: tuple[float, ...]
    explained: float
    rough: float
    noisy: bool
    singular: float
    bound: float
    nulls: tuple[NullFunction, ...]
    correction: Params


def assess(
    task: Task,
    own: Sequence[Columns],
    weights: Float[Tensor, "fields width"],
    features: Features,
    gauge: Gauge | None = None,
) -> Assessment:
    """Linearize at a solution, solve for the correction, and look for null functions.

    Args:
        task: what is asked of the solution.
        own: each requirement at points, as far as it is linear in the solution's last layer.
        weights: that last layer.
        features: in which the correction is sought, at the same points.
        gauge: what chose the solution among many; it leaves a correction nothing of the null functions.
    """
    blocks, noise = [], 0.0
    for block, other in zip(own, features.blocks, strict=True):
        values = block.values(weights)
        jets = {
            request: torch.cat([value[:, None], other.jets[request][:, 1:]], 1)
            for request, value in zip(block.requirement.requests, values.unbind(1), strict=True)
        }
        blocks.append(block._replace(jets=jets))
        noise += _noise(block, values, block.rounding(weights))
    nothing = weights.new_zeros(len(weights), features.width + 1)
    residual = torch.cat([block.residuals(nothing) for block in blocks])
    matrix = torch.cat([block.slopes(nothing) for block in blocks])
    if not bool(torch.isfinite(matrix).all() & torch.isfinite(residual).all()):
        return Assessment((math.inf,) * len(weights), 1.0, 1.0, False, 0.0, math.inf, (), features.params)
    target = -residual
    if gauge is not None:
        rows, _ = gauge.rows(blocks[0])
        matrix, target = torch.cat([matrix, rows]), torch.cat([target, target.new_zeros(len(rows))])
    factor = RidgeFactor.of(matrix)
    correction = factor.solve(target).reshape(nothing.shape)
    after = torch.cat([block.residuals(correction) for block in blocks])
    root = task.share(blocks[0].points.x).sqrt()
    functions = task.in_units(blocks[0].of_fields().mT).mT * root[:, None, None]
    solution, basis = functions[:, :, 0], functions[:, :, 1:]  # (n, fields), (n, fields, width)
    change = torch.einsum("nfw,fw->nf", basis, correction)
    changes, sizes = (torch.linalg.vector_norm(one, dim=0) for one in (change, solution + change))
    errors = torch.where(sizes > 0, changes / sizes, changes)
    whole, rest = (float(torch.linalg.vector_norm(one)) for one in (residual, after))
    singular, nulls = _nulls(task, features, factor, basis, root)
    smallest = float(sizes.min())
    return Assessment(
        tuple(errors.tolist()),
        rest / whole if whole > 0 else 0.0,
        _rough(blocks[0], features, residual),
        min(whole, rest) <= NOISE * math.sqrt(noise),
        singular,
        whole / singular / smallest if smallest > 0 else math.inf,
        nulls,
        with_weights(features.params, correction),
    )


def _noise(block: Columns, values: Tensor, rounding: Tensor) -> float:
    """The sum of squares of the round-off in a requirement's residuals."""
    slopes = vmap(jacrev(block.at_point))(values, *block.points)  # (n, count, requests)
    return float((slopes.abs() @ rounding[:, :, None]).square().sum())


def _rough(block: Columns, features: Features, residual: Float[Tensor, "rows"]) -> float:
    """The share of the equations' residual that no sum of the features' own values follows."""
    count, x = block.requirement.count, block.points.x
    left, trial = residual[: len(x) * count].reshape(len(x), count), features.task.trial
    with torch.no_grad():
        values = vmap(lambda x: trial.network.features(features.params, trial.domain.scaled(x)))(x)
    size = float(torch.linalg.vector_norm(left))
    outside = RidgeFactor.of(values).outside(left)
    return float(torch.linalg.vector_norm(outside)) / size if size > 0 else 0.0


def _nulls(
    task: Task,
    features: Features,
    factor: RidgeFactor,
    basis: Float[Tensor, "n fields width"],
    root: Float[Tensor, "n"],
) -> tuple[float, tuple[NullFunction, ...]]:
    r"""The least singular value, and the functions of which the linearized problem makes next to nothing.

    With the linearized problem $A = Q R$ and the values $V w$ of functions, they belong to the largest
    singular values of $V R^{-1}$, which subspace iteration finds.
    """
    settings, count = task.settings, basis.shape[1]

    def weights(y: Tensor) -> Tensor:
        solved: Tensor = torch.linalg.solve_triangular(factor.upper, y, upper=True)
        return solved / factor.norms[:, None]

    def values(y: Tensor) -> Tensor:  # (fields, n, vectors)
        return torch.einsum("nfw,fwk->fnk", basis, weights(y).reshape(count, -1, y.shape[1]))

    def transposed(z: Tensor) -> Tensor:
        found = torch.einsum("nfw,fnk->fwk", basis, z).reshape(-1, z.shape[2]) / factor.norms[:, None]
        solved: Tensor = torch.linalg.solve_triangular(factor.upper.mT, found, upper=False)
        return solved

    key = random.fold_in(settings.key, 0x9011)
    many = min(MOST_NULLS, len(factor.norms))
    start = random.normal(key, (len(factor.norms), many), dtype=settings.dtype).to(settings.device)
    y = torch.linalg.qr(start).Q
    for _ in range(ITERATIONS):
        y = torch.linalg.qr(transposed(values(y))).Q
    seen = values(y)
    left, sizes, right = torch.linalg.svd(seen.reshape(-1, y.shape[1]), full_matrices=False)
    singular = 1 / sizes.clamp(min=torch.finfo(sizes.dtype).tiny)
    many = int((singular <= NULL[settings.dtype]).sum())
    if not many:
        return float(singular[0]), ()
    chosen = weights(y @ right[:many].mT) * singular[:many]  # of size one
    names = _described(left[:, :many].reshape(count, -1, many), root, task.problem.fields)
    vectors = chosen.reshape(count, -1, many).unbind(2)
    shape, trial = features.task.shape, features.task.trial.homogeneous()
    return float(singular[0]), tuple(
        NullFunction(shape, trial, with_weights(features.params, vector), size, name)
        for vector, size, name in zip(vectors, singular.tolist(), names, strict=False)
    )


def _described(
    values: Float[Tensor, "fields n nulls"], root: Float[Tensor, "n"], fields: Sequence[str]
) -> list[str]:
    """What null functions with orthonormal values look like; `root` holds the values of the constant one."""
    _, _, many = values.shape
    flat, constants = values.reshape(-1, many), []
    for place, name in enumerate(fields):
        one = torch.zeros_like(values[:, :, 0])
        one[place] = root
        inside = flat @ (flat.mT @ one.reshape(-1))
        if float(torch.linalg.vector_norm(inside - one.reshape(-1))) <= CONSTANT:
            constants.append(f"a constant in {name}")
    others = [f"a multiple of the function that solution.plot(null={place}) shows" for place in range(many)]
    return [*constants, *others[len(constants) :]]
