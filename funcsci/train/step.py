"""One training step as one pure function."""

from collections.abc import Callable
from typing import Any, NamedTuple

from torch import Tensor

from funcsci import random, tree
from funcsci.autodiff import value_and_grad
from funcsci.optim import Optimizer, apply_updates, call_update
from funcsci.optim.transform import zero_steps
from funcsci.random import Key
from funcsci.train.loss import Loss, Metrics, full
from funcsci.tree import Params, PyTree, Scalar


class TrainState(NamedTuple):
    """What one step hands to the next.

    Attributes:
        params: the parameters.
        optimizer_state: the optimizer's state.
        state: what the model carries along without learning it, such as running statistics.
        key: the random key of the run; step n draws from `random.fold_in(key, n)`.
        step: the number of steps taken, int64, shape ().
    """

    params: Params
    optimizer_state: PyTree
    state: PyTree
    key: Key
    step: Scalar


def start(
    params: Params, optimizer: Optimizer, *, state: PyTree | None = None, key: Key | None = None
) -> TrainState:
    """Where a run begins.

    Args:
        params: a pytree of floating-point tensors; gradients they may require are not recorded.
        optimizer: makes its state for them.
        state: the model's state; None is an empty tree.
        key: the run's random key; None is `random.key(0)`.

    Returns:
        The state before the first step, on the parameters' device.

    Raises:
        TypeError: if `optimizer` is not a `funcsci.optim.Optimizer`, or a leaf of `params` is not a
            floating-point tensor.
        ValueError: if there are no parameters.

    Example:
        >>> import torch
        >>> from funcsci import optim
        >>> start({"w": torch.ones(2)}, optim.sgd(0.1)).step
        tensor(0)
    """
    _check_optimizer(optimizer)
    state = {} if state is None else state
    tree.check_tensors(params=params, state=state)
    # With requires_grad every step would keep the one before.
    params, state = tree.map(Tensor.detach, (params, state))
    steps = zero_steps(params)
    key = random.key(0) if key is None else key
    return TrainState(params, optimizer.init(params), state, key.to(steps.device), steps)


def train_step(
    loss: Callable[..., Any] | Loss, optimizer: Optimizer
) -> Callable[..., tuple[TrainState, Metrics]]:
    r"""The pure function of one step, from a loss and an optimizer.

    $g = \nabla \ell(\theta),\quad \Delta = \mathrm{update}(g),\quad \theta' = \theta + \Delta$.

    Args:
        loss: `loss(params, batch, *, state, key, mask) -> (value, (state, metrics))`, or one that takes
            less and returns less; see `fit`.
        optimizer: turns gradients into updates.

    Returns:
        `step(now, batch=None, mask=None) -> (next, metrics)`, where `metrics["loss"]` is the loss before
        the step, shape (); ready for `jit` and `vmap`.

    Raises:
        TypeError: if `optimizer` is not a `funcsci.optim.Optimizer`; when called, if the loss does
            not return a floating-point tensor of shape ().

    Example:
        >>> import torch
        >>> from funcsci import optim
        >>> optimizer = optim.sgd(0.1)
        >>> step = train_step(lambda w, x: (w * x) ** 2, optimizer)
        >>> now, metrics = step(start(torch.tensor(1.0), optimizer), torch.tensor(1.0))
        >>> now.params, metrics
        (tensor(0.8000), {'loss': tensor(1.)})
    """
    _check_optimizer(optimizer)
    whole = loss if isinstance(loss, Loss) else full(loss)
    differentiate = value_and_grad(whole.call, has_aux=True)

    def step(now: TrainState, batch: PyTree = None, mask: Tensor | None = None) -> tuple[TrainState, Metrics]:
        # A loss that draws nothing leaves Threefry out of the program.
        key = random.fold_in(now.key, now.step) if "key" in whole.takes else now.key
        (value, (state, metrics)), grads = differentiate(
            now.params, batch, state=now.state, key=key, mask=mask
        )
        updates, optimizer_state = call_update(optimizer, grads, now.optimizer_state, now.params, value)
        params = apply_updates(now.params, updates)
        return TrainState(params, optimizer_state, state, now.key, now.step + 1), {"loss": value, **metrics}

    return step


def _check_optimizer(optimizer: object) -> None:
    if not isinstance(optimizer, Optimizer):
        kind = type(optimizer).__name__
        raise TypeError(f"optimizer must be a funcsci.optim.Optimizer. Got a {kind}. Try optim.adam(1e-3).")
