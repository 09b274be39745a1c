"""A verdict on a candidate for the solution."""

import math

import torch

from funcsci.pinn.affine import affine
from funcsci.pinn.assess import Assessment, Candidate, Features, assess
from funcsci.pinn.last_layer import Gauge
from funcsci.pinn.task import Left, Task
from funcsci.pinn.verdict import NO_SOLUTION, NOT_UNIQUE, Residual, Verdict
from funcsci.tree import Params

ROUND_OFF = 1e3
"""A residual of so many units of round-off in its own terms had nothing to fall from."""
EXPLAINED = 0.9
"""A correction explains a residual if at most this share of it is left."""
SMOOTH = 0.3
"""What is left is smooth if features, which cannot correct it, follow it to this share."""


def measured(task: Task, params: Params) -> Verdict:
    """What is left of each equation and condition, without an estimate of the error."""
    judge = task.judge()
    now, before = judge(params), judge(built_in_part(params))
    least = ROUND_OFF * torch.finfo(task.settings.dtype).eps
    residuals = {
        name: Residual(left.relative, _fall(left, start, least))
        for name, left, start in zip(task.names, now, before, strict=True)
    }
    finite = all(math.isfinite(one.relative) for one in residuals.values())
    return Verdict(residuals, {}, finite, "" if finite else "a residual is not finite")


def judged(candidate: Candidate, features: Features, gauge: Gauge | None = None) -> Verdict:
    """What is left of each equation and condition, and an estimate of the error.

    Args:
        candidate: the solution.
        features: in which its correction is sought.
        gauge: what chose the solution among many.
    """
    verdict = measured(candidate.task, candidate.params)
    if not verdict.trusted:
        return verdict
    found = assess(candidate, features, gauge)
    trusted = found.noisy or found.explained <= EXPLAINED
    width = features.task.shape.hidden[-1]
    doubt = f"a correction by {width} other features leaves {found.explained:.0%} of the residual"
    return verdict._replace(
        errors=dict(zip(candidate.task.problem.fields, found.errors, strict=True)),
        trusted=trusted,
        doubt="" if trusted else doubt,
        ill_posed=_ill_posed(candidate.task, verdict, found, gauge),
        nulls=(() if gauge is None else gauge.nulls) + found.nulls,
    )


def built_in_part(params: Params) -> Params:
    """The parameters for which the network is zero."""
    *hidden, last = params["layers"]
    return {**params, "layers": [*hidden, {name: torch.zeros_like(one) for name, one in last.items()}]}


def _fall(left: Left, start: Left, least: float) -> float:
    """A residual over what it was; nan where that was the round-off of its own terms."""
    if start.rms <= least * max(start.size, left.size):
        return math.nan
    return left.rms / start.rms


def _ill_posed(task: Task, verdict: Verdict, found: Assessment, gauge: Gauge | None) -> str:
    """Whether the problem has many solutions or none, as far as the linearized problem tells."""
    if task.starts_regularly:
        return ""
    if found.nulls or gauge is not None:
        return NO_SOLUTION if verdict.unfallen() else NOT_UNIQUE
    stuck = found.explained > EXPLAINED and found.follows <= SMOOTH and not found.noisy
    return NO_SOLUTION if stuck and verdict.unfallen() and affine(task.problem.equations) else ""
