"""Rprop: a step size for every parameter, moved by the sign of its gradient."""

from typing import NamedTuple

import torch
from torch import Tensor

from funcsci import checks, tree
from funcsci.optim.learning_rate import Schedule, learning_rate_of
from funcsci.optim.transform import Optimizer, chain, map_leaves, scale, zeros
from funcsci.tree import Params, PyTree


class RpropState(NamedTuple):
    r"""The state of `scale_by_rprop`.

    Attributes:
        rate: the learning rate or its schedule's count.
        size: $s$, the steps in units of the rate, of the structure, shapes and dtypes of the parameters.
        previous: the last gradient, 0 where it had turned, likewise.
    """

    rate: PyTree
    size: Params
    previous: Params


def scale_by_rprop(
    lr: float | Schedule,
    etas: tuple[float, float] = (0.5, 1.2),
    step_sizes: tuple[float, float] = (1e-6, 50.0),
) -> Optimizer:
    r"""Rprop's step, $\Delta\theta = -\eta s' \mathrm{sign}(g)$, and 0 where the gradient has just turned.

    $s' = s\, \eta_\pm$ as the gradient keeps or changes its sign, and $\eta s'$ stays within its bounds.

    Args:
        lr: $\eta$, the first step, in units of the parameters, or a schedule of the step count. A rate of
            0 moves nothing.
        etas: $(\eta_-, \eta_+)$, the factors of $s$, dimensionless, with $0 < \eta_- < 1 < \eta_+$.
        step_sizes: the bounds of $\eta s'$, in units of the parameters.

    Returns:
        An optimizer; the rate has its place in it, so no `scale_by_learning_rate` follows.

    Raises:
        ValueError: if an argument is out of its range.

    Example:
        >>> import torch
        >>> optimizer = scale_by_rprop(0.1)
        >>> w, grads = torch.tensor(0.0), torch.tensor(7.0)
        >>> first, state = optimizer.update(grads, optimizer.init(w), w)
        >>> first, optimizer.update(grads, state, w)[0]
        (tensor(-0.1000), tensor(-0.1200))

    Source: Riedmiller and Braun (1993), doi:10.1109/ICNN.1993.298623; the variant without a step back,
    Igel and Hüsken (2003), doi:10.1016/S0925-2312(01)00700-7, Rprop-.
    """
    checks.positive(**{"etas[0]": etas[0], "etas[1]": etas[1]})
    if not etas[0] < 1 < etas[1]:
        raise ValueError(checks.message("lie on both sides of 1", "etas", etas, "Try etas=(0.5, 1.2)."))
    checks.non_negative(**{"step_sizes[0]": step_sizes[0]})
    checks.interval(step_sizes=step_sizes)
    rate = learning_rate_of(lr)

    def init(params: Params) -> RpropState:
        ones = tree.map(torch.ones_like, zeros(params))
        return RpropState(rate.init(params), ones, zeros(params))

    def update(grads: Params, state: RpropState, params: Params) -> tuple[Params, RpropState]:
        now, kept = rate.read(state.rate)

        def leaf(p: Tensor, g: Tensor, s: Tensor, previous: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            eta = now.to(g.dtype)
            turn = g * previous
            s = torch.where(turn > 0, etas[1] * s, torch.where(turn < 0, etas[0] * s, s))
            bounded = torch.minimum(torch.maximum(s, step_sizes[0] / eta), step_sizes[1] / eta)
            s = torch.where(eta > 0, bounded, s)
            g = torch.where(turn < 0, torch.zeros_like(g), g)
            return -eta * s * torch.sign(g), s, g

        updates, size, previous = map_leaves(leaf, params, grads, state.size, state.previous)
        return updates, RpropState(kept, size, previous)

    return Optimizer(init, update)


def rprop(
    lr: float | Schedule = 1e-2,
    *,
    etas: tuple[float, float] = (0.5, 1.2),
    step_sizes: tuple[float, float] = (1e-6, 50.0),
    maximize: bool = False,
) -> Optimizer:
    r"""Rprop, $\theta' = \theta - \eta s' \mathrm{sign}(g)$; for gradients without noise.

    Args:
        lr: $\eta$, the first step of every parameter, or a schedule of the step count, which then scales
            all steps.
        etas: the factors by which a step shrinks and grows, dimensionless.
        step_sizes: the smallest and the largest step, in units of the parameters.
        maximize: whether to go up.

    Returns:
        An optimizer, equal to `torch.optim.Rprop` step by step.

    Raises:
        ValueError: if an argument is out of its range.

    Example:
        >>> import torch
        >>> w = torch.tensor(1.0)
        >>> optimizer = rprop(0.1)
        >>> optimizer.update(torch.tensor(2.0), optimizer.init(w), w)[0]
        tensor(-0.1000)

    Source: Riedmiller and Braun (1993), doi:10.1109/ICNN.1993.298623.

    Differs from `torch.optim.Rprop`, where the rate is the first step and nothing after it: here the steps
    are kept in units of the rate, so a schedule or a rate replaced in the state scales them.
    """
    sign = [scale(-1.0)] if maximize else []
    return chain(*sign, scale_by_rprop(lr, etas, step_sizes))
