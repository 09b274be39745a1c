"""Averages of the parameters along the way."""

from typing import NamedTuple

import torch
from torch import Tensor

from funcsci import checks, tree
from funcsci.optim.transform import Optimizer, apply_updates, call_update, decay_factor, placement, zero_steps
from funcsci.tree import Params, PyTree, Scalar


class AverageState(NamedTuple):
    r"""The state of `with_average`.

    Attributes:
        steps: $n$, the number of steps taken, int64, shape ().
        average: $\bar\theta$, of the structure, shapes and dtypes of the parameters.
        state: the optimizer's own state.
    """

    steps: Scalar
    average: Params
    state: PyTree


def with_average(
    optimizer: Optimizer, decay: float | None = None, *, start: int = 0, debias: bool = False
) -> Optimizer:
    r"""The same steps, with an average of the parameters after each in `state.average`.

    $\bar\theta' = \bar\theta + w_k (\theta' - \bar\theta)$ at the $k$-th step that counts. Without decay
    $w_k = 1 / k$, the mean of Polyak and Ruppert; with a decay $d$ the exponential one, $w_1 = 1$ and then
    $w_k = 1 - d$, or debiased, $w_k = (1 - d) / (1 - d^k)$, the weighted mean whose weights fall by $d$.

    Args:
        optimizer: makes the steps; a whole optimizer, not a link, since the average is of what it leads to.
        decay: $d$, dimensionless, in [0, 1); None for the plain mean.
        start: the number of steps that do not count; the average follows the parameters until then.
        debias: whether the first parameters weigh no more than they would in a long run.

    Returns:
        An optimizer; its state is an `AverageState`.

    Raises:
        ValueError: if an argument is out of its range, or `debias` stands without decay.
        TypeError: if `start` is not an integer.

    Example:
        >>> import torch
        >>> from funcsci.optim import sgd
        >>> optimizer = with_average(sgd(1.0))
        >>> w = torch.tensor(0.0)
        >>> state = optimizer.init(w)
        >>> for _ in range(3):
        ...     updates, state = optimizer.update(torch.tensor(-1.0), state, w)
        ...     w = apply_updates(w, updates)
        >>> w, state.average
        (tensor(3.), tensor(2.))

    Source: Polyak and Juditsky (1992), doi:10.1137/0330046; Izmailov et al. (2018), arXiv:1803.05407.

    Equal to `torch.optim.swa_utils.AveragedModel`, updated after every step from `start` on, with its
    default or with `get_ema_avg_fn(decay)`.
    """
    checks.integer(start=start, least=0)
    if decay is not None:
        decay_factor(decay=decay)
    elif debias:
        raise ValueError("decay must be given with debias=True. Got decay=None. Try decay=0.999.")

    def init(params: Params) -> AverageState:
        placement(params)
        return AverageState(zero_steps(params), tree.map(torch.clone, params), optimizer.init(params))

    def weight(steps: Scalar) -> Scalar:
        count = torch.clamp(steps - start, min=1).to(torch.float64)
        if decay is None:
            return 1 / count
        if debias:
            return (1 - decay) / (1 - decay**count)
        return torch.where(count > 1, (1 - decay) * torch.ones_like(count), torch.ones_like(count))

    def update(
        grads: Params, state: AverageState, params: Params, *, value: Scalar | None = None
    ) -> tuple[Params, AverageState]:
        updates, own = call_update(optimizer, grads, state.state, params, value)
        steps = state.steps + 1
        share = weight(steps)

        def toward(mean: Tensor, new: Tensor) -> Tensor:
            return mean + share.to(mean.dtype) * (new - mean)

        average = tree.map(toward, state.average, apply_updates(params, updates))
        return updates, AverageState(steps, average, own)

    return Optimizer(init, update, optimizer.needs_value)
