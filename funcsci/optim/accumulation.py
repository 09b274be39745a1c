"""Gradients gathered over several small batches for one step."""

from typing import NamedTuple

import torch
from torch import Tensor

from funcsci import checks, tree
from funcsci.optim.transform import Optimizer, call_update, placement, required, zero_steps, zeros
from funcsci.tree import Params, PyTree, Scalar


class AccumulationState(NamedTuple):
    """The state of `accumulate`.

    Attributes:
        gathered: the number of gradients since the last step, int64, shape ().
        mean: their sum, divided by the number that makes a step, of the structure of the parameters.
        value: the same of the losses, shape (), if the optimizer needs them; an empty tuple if not.
        state: the optimizer's own state.
    """

    gathered: Scalar
    mean: Params
    value: PyTree
    state: PyTree


def accumulate(optimizer: Optimizer, every: int) -> Optimizer:
    r"""One step for the mean of several gradients, $\frac1k \sum_{i=1}^k g_i$, and none in between.

    With a loss that is a mean over its batch, and batches of one size, the steps are those of batches $k$
    times as large.

    Args:
        optimizer: takes a step at every $k$-th update, and then counts one.
        every: $k$, at least 1.

    Returns:
        An optimizer whose updates are zero in between. It is one program, which computes the
        optimizer's step at every update and takes it at every $k$-th.

    Raises:
        ValueError: if `every` is below 1.
        TypeError: if it is not an integer.

    Example:
        >>> import torch
        >>> from funcsci.optim import sgd
        >>> optimizer = accumulate(sgd(1.0), 2)
        >>> w = torch.tensor(0.0)
        >>> first, state = optimizer.update(torch.tensor(1.0), optimizer.init(w), w)
        >>> first, optimizer.update(torch.tensor(3.0), state, w)[0]
        (tensor(0.), tensor(-2.))
    """
    checks.integer(every=every, least=1)

    def init(params: Params) -> AccumulationState:
        dtype, device = placement(params)
        value = torch.zeros((), dtype=dtype, device=device) if optimizer.needs_value else ()
        return AccumulationState(zero_steps(params), zeros(params), value, optimizer.init(params))

    def update(
        grads: Params, state: AccumulationState, params: Params, *, value: Scalar | None = None
    ) -> tuple[Params, AccumulationState]:
        def gather(total: Tensor, new: Tensor) -> Tensor:
            return total + new.to(total.dtype) / every

        gathered = state.gathered + 1
        mean = tree.map(gather, state.mean, grads)
        loss = gather(state.value, required(value)) if optimizer.needs_value else None
        updates, stepped = call_update(optimizer, mean, state.state, params, loss)

        done = gathered == every
        kept = AccumulationState(gathered, mean, () if loss is None else loss, state.state)
        after = tree.map(torch.zeros_like, kept)._replace(state=stepped)
        still = tree.map(torch.zeros_like, updates)
        chosen: tuple[Params, AccumulationState] = tree.map(
            lambda new, old: torch.where(done, new, old), (updates, after), (still, kept)
        )
        return chosen

    return Optimizer(init, update, optimizer.needs_value)
