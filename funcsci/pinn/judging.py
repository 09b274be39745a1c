"""A verdict on a candidate for the solution: what is left of each equation, and how far off each field is."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import jacrev, vmap

from funcsci.pinn.assess import Assessment, Features, assess
from funcsci.pinn.last_layer import Columns, Gauge
from funcsci.pinn.requirements import Requirement, with_terms
from funcsci.pinn.task import Task
from funcsci.pinn.verdict import NO_SOLUTION, NOT_UNIQUE, Residual, Verdict

ROUND_OFF = 1e3
"""A residual of so many units of round-off in its own terms had nothing to fall from."""
EXPLAINED = 0.9
"""A correction explains a residual if at most this share of it is left."""
NEARLY, SINGULAR = 0.1, 1e-3
"""A nonlinear estimate is not trusted if the smallest singular value of the linearized problem is below
`SINGULAR` and the error is more than `NEARLY` times it: second-order terms are then as large as the first."""
MANY_TIMES, UNSEEN = 10.0, 0.1
"""Nor if a shift of the solution may be an error so many times as large, and changes the linearized
equations by less than this share of the smallest singular value."""
STUCK, HARDLY, SMOOTH = 0.5, 0.1, 0.3
"""There is no solution where a correction leaves this share of a residual, the residual has this share of
what it was at the built-in part alone, and features follow its course but for this share: it is smooth."""


class Left(NamedTuple):
    """What is left of an equation or a condition, in units of its scale.

    Attributes:
        rms: the root mean square of its residual.
        size: that of its own terms, or its size for a smooth solution of the size that its fields have,
            whichever is larger.
    """

    rms: float
    size: float

    @property
    def relative(self) -> float:
        """The residual over the size; infinite where it is not finite."""
        if not math.isfinite(self.rms):
            return math.inf
        return self.rms / self.size if self.rms else 0.0


def left(task: Task, blocks: Sequence[Columns], weights: Float[Tensor, "fields width"]) -> list[Left]:
    """What is left of all equations and conditions, in the order of `task.names`.

    Args:
        task: what is asked.
        blocks: each requirement at points on which no method trains.
        weights: the last layer.
    """
    fields = blocks[0].of_fields()
    values = task.in_units(fields[:, :, 0] + torch.einsum("nfw,fw->nf", fields[:, :, 1:], weights))
    share = task.share(blocks[0].points.x)
    sizes = (share[:, None] * values.square()).sum(0).sqrt().tolist()
    found = []
    for place, block in enumerate(blocks):
        one = block.requirement

        def at_point(values: Tensor, x: Tensor, target: Tensor, one: Requirement = one) -> Tensor:
            named = dict(zip(one.requests, values.unbind(), strict=True))
            return torch.stack(with_terms(one, named, x, target))

        x, target, _ = block.points
        squares = vmap(at_point)(block.values(weights), x, target).square()  # (n, 2, count)
        parts = share if place == 0 else share.new_full((len(x),), 1 / len(x))
        pair = (parts[:, None, None] * squares).sum(0).sqrt()
        for rms, terms, coupling in zip(*pair.tolist(), one.coupling, strict=True):
            smooth = max(factor * size for factor, size in zip(coupling, sizes, strict=True))
            found.append(Left(rms, max(terms, smooth)))
    return found


def measured(task: Task, blocks: Sequence[Columns], weights: Float[Tensor, "fields width"]) -> Verdict:
    """What is left of each equation and condition, without an estimate; arguments as for `left`."""
    now, before = left(task, blocks, weights), left(task, blocks, torch.zeros_like(weights))
    least = ROUND_OFF * torch.finfo(weights.dtype).eps
    residuals = {
        name: Residual(one.relative, _fall(one, start, least))
        for name, one, start in zip(task.names, now, before, strict=True)
    }
    finite = all(math.isfinite(one.relative) for one in residuals.values())
    doubt = "" if finite else "a residual is not finite"
    return Verdict(residuals, {}, finite, doubt, trivial=all(one.size == 0 for one in (*now, *before)))


def judged(
    task: Task,
    blocks: Sequence[Columns],
    weights: Float[Tensor, "fields width"],
    features: Features,
    gauge: Gauge | None = None,
) -> Verdict:
    """What is left of each equation and condition, and an estimate of the error.

    Args:
        task: what is asked.
        blocks: each requirement at points on which no method trains.
        weights: the last layer.
        features: in which the correction is sought, at the same points.
        gauge: what chose the solution among many.
    """
    verdict = measured(task, blocks, weights)
    if not verdict.trusted:
        return verdict
    found = assess(task, blocks, weights, features, gauge)
    doubt = _doubt(task, blocks[0], weights, features, found)
    return verdict._replace(
        errors=dict(zip(task.problem.fields, found.errors, strict=True)),
        trusted=not doubt,
        doubt=doubt,
        ill_posed=_ill_posed(task, verdict, found, gauge, resolved=features.resolve),
        nulls=(() if gauge is None else gauge.nulls) + found.nulls,
    )


def _doubt(
    task: Task, block: Columns, weights: Float[Tensor, "fields width"], features: Features, found: Assessment
) -> str:
    """What speaks against an estimate; nothing where it is to be trusted."""
    tol, worst = task.settings.tol, max(found.errors)
    if not found.noisy and found.explained > EXPLAINED and found.bound > tol:
        share = f"{found.explained:.0%}" if found.explained < 1 else "all"
        return f"a correction by {features.width} other features leaves {share} of the residual"
    if found.nulls:
        return ""
    if found.singular < SINGULAR and worst > NEARLY * found.singular and not task.problem.affine:
        return f"the linearized equations are nearly singular (singular value {found.singular:.0e})"
    of_two_ends = task.problem.domain.dimensions == 1 and task.problem.marches is None
    if of_two_ends and not task.problem.affine:
        free, hidden = _of_a_shift(task, block, weights), found.bound * found.singular
        if free < UNSEEN * found.singular and hidden > free * max(tol, MANY_TIMES * worst):
            return f"a shift along {task.problem.domain.names[0]} changes the equations by only {free:.0e}"
    return ""


def _of_a_shift(task: Task, block: Columns, weights: Float[Tensor, "fields width"]) -> float:
    r"""What the linearized equations and the edges make of the solution's own derivative, over its size.

    It is $F'(u)\, u_x = \mathrm d F / \mathrm d x - \partial F / \partial x$; the first is taken from
    point to point, and the second, where the coordinate stands in the equations, counts by itself.
    """
    values, one = block.values(weights), block.requirement

    def at_point(values: Tensor, x: Tensor, target: Tensor) -> Tensor:
        return one.evaluate(dict(zip(one.requests, values.unbind(), strict=True)), x, target)

    residual = vmap(at_point)(values, block.points.x, block.points.target)  # (n, count)
    by_place = vmap(jacrev(at_point, 1))(values, block.points.x, block.points.target)  # (n, count, 1)
    functions = block.of_fields()
    fields = task.in_units(functions[:, :, 0] + torch.einsum("nfw,fw->nf", functions[:, :, 1:], weights))
    x, order = torch.sort(block.points.x[:, 0])
    gaps = x.diff()[:, None]
    slopes, changes = (both[order].diff(dim=0) / gaps for both in (fields, residual))
    shares = gaps / gaps.sum()
    inside, size = ((shares * both.square()).sum() for both in (changes, slopes))
    others = slopes[0].square().sum() + slopes[-1].square().sum() + by_place.square().sum(1).mean()
    return float(torch.sqrt((inside + others) / size)) if size > 0 else math.inf


def _fall(now: Left, start: Left, least: float) -> float:
    """A residual over what it was; nan where that was the round-off of its own terms."""
    if start.rms <= least * max(start.size, now.size):
        return math.nan
    return now.rms / start.rms


def _ill_posed(
    task: Task, verdict: Verdict, found: Assessment, gauge: Gauge | None, *, resolved: bool
) -> str:
    """Whether the problem has many solutions or none, as far as the linearized problem tells."""
    if task.starts_regularly:
        return ""
    stuck = found.explained > STUCK and found.rough <= SMOOTH and not found.noisy
    if not task.problem.affine and verdict.unfallen():
        # Far from a solution the linearized problem tells whether there is a way on; in time there always is.
        none = stuck and resolved and verdict.unfallen(HARDLY) and task.problem.marches is None
        return NO_SOLUTION if none else ""
    if found.nulls or gauge is not None:
        none = verdict.unfallen(HARDLY) or (stuck and verdict.unfallen())
        return NO_SOLUTION if none else NOT_UNIQUE
    return NO_SOLUTION if stuck and resolved and verdict.unfallen(HARDLY) else ""
