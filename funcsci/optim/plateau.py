"""A rate that falls when the loss no longer does."""

from typing import NamedTuple

import torch

from funcsci import checks, tree
from funcsci.optim.transform import Optimizer, placement, required, zero_steps
from funcsci.tree import Params, Scalar

MODES = ("min", "max")
THRESHOLD_MODES = ("rel", "abs")


class PlateauState(NamedTuple):
    """The state of `reduce_on_plateau`.

    Attributes:
        scale: what updates are multiplied by, float64, shape ().
        best: the best value so far, float64, shape ().
        bad: the number of values in a row that were not better, int64, shape ().
        resting: the number of values still to be passed over after a reduction, int64, shape ().
    """

    scale: Scalar
    best: Scalar
    bad: Scalar
    resting: Scalar


def reduce_on_plateau(
    *,
    mode: str = "min",
    factor: float = 0.1,
    patience: int = 10,
    threshold: float = 1e-4,
    threshold_mode: str = "rel",
    cooldown: int = 0,
    min_scale: float = 0.0,
    eps: float = 1e-8,
) -> Optimizer:
    r"""Scales updates by $s$, and $s$ by `factor` once the loss has not become better for a while.

    The link to put last: `chain(adam(1e-3), reduce_on_plateau())`. A value acts from the next update on.

    Args:
        mode: `"min"` for a value that should fall, `"max"` for one that should rise.
        factor: of the reduction, dimensionless, in (0, 1).
        patience: the number of values without progress that are borne.
        threshold: the least progress, a share of the best value or, absolute, in the value's units.
        threshold_mode: `"rel"` or `"abs"`.
        cooldown: the number of values after a reduction that do not count.
        min_scale: the least $s$, dimensionless.
        eps: the least reduction of $s$ that is carried out, dimensionless.

    Returns:
        An optimizer that needs the value: `update(grads, state, params, value=loss)`.

    Raises:
        ValueError: if an argument is out of its range; (when called) if there is no value.
        TypeError: if `patience` or `cooldown` is not an integer.

    Example:
        >>> import torch
        >>> halve = reduce_on_plateau(factor=0.5, patience=0)
        >>> w, loss = torch.tensor(1.0), torch.tensor(3.0)
        >>> state = halve.init(w)
        >>> for _ in range(3):
        ...     updates, state = halve.update(w, state, w, value=loss)
        >>> updates, state.scale
        (tensor(0.5000), tensor(0.2500, dtype=torch.float64))

    Equal to `torch.optim.lr_scheduler.ReduceLROnPlateau`, stepped with the loss after each step; `min_scale`
    and `eps` are in units of the first rate.
    """
    checks.one_of(MODES, mode=mode)
    checks.one_of(THRESHOLD_MODES, threshold_mode=threshold_mode)
    checks.positive(factor=factor)
    if factor >= 1:
        raise ValueError(checks.message("be below 1", "factor", factor, "Try factor=0.1."))
    checks.integer(patience=patience, cooldown=cooldown, least=0)
    checks.non_negative(threshold=threshold, min_scale=min_scale, eps=eps)
    worst = float("inf") if mode == "min" else -float("inf")

    def init(params: Params) -> PlateauState:
        scale = torch.ones((), dtype=torch.float64, device=placement(params)[1])
        return PlateauState(scale, torch.full_like(scale, worst), zero_steps(params), zero_steps(params))

    def bound(best: Scalar) -> Scalar:
        """What a value must pass to count as progress."""
        sign = -1.0 if mode == "min" else 1.0
        return best * (1 + sign * threshold) if threshold_mode == "rel" else best + sign * threshold

    def update(
        grads: Params, state: PlateauState, params: Params, *, value: Scalar | None = None
    ) -> tuple[Params, PlateauState]:
        updates = tree.map(lambda g: state.scale.to(g.dtype) * g, grads)

        loss = required(value).detach().to(torch.float64)
        better = loss < bound(state.best) if mode == "min" else loss > bound(state.best)
        best = torch.where(better, loss, state.best)
        rested = state.resting == 0
        bad = (state.bad + 1) * (rested & ~better)
        tired = bad > patience
        lower = torch.clamp(state.scale * factor, min=min_scale)
        scale = torch.where(tired & (state.scale - lower > eps), lower, state.scale)
        resting = torch.where(tired, cooldown, torch.clamp(state.resting - 1, min=0))
        return updates, PlateauState(scale, best, bad * ~tired, resting)

    return Optimizer(init, update, needs_value=True)
