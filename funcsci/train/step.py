"""One training step as one pure function."""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from torch import Tensor

from funcsci.autodiff import value_and_grad
from funcsci.optim import Optimizer, apply_updates
from funcsci.tree import Params, PyTree, Scalar

Loss: TypeAlias = Callable[[Params, PyTree], Scalar]
"""`loss(params, batch) -> scalar`."""


class TrainState(NamedTuple):
    """What one step hands to the next.

    Attributes:
        params: the parameters.
        optimizer_state: the optimizer's state.
    """

    params: Params
    optimizer_state: PyTree


def train_step(loss: Loss, optimizer: Optimizer) -> Callable[[TrainState, PyTree], tuple[TrainState, Scalar]]:
    r"""The pure function of one step, from a loss and an optimizer.

    $g = \nabla \ell(\theta),\quad \Delta = \mathrm{update}(g),\quad \theta' = \theta + \Delta$.

    Args:
        loss: `loss(params, batch) -> scalar`.
        optimizer: turns gradients into updates.

    Returns:
        `step(state, batch) -> (state, value)`, with the loss before the step as its value,
        shape (); ready for `jit` and `vmap`.

    Raises:
        TypeError: if `optimizer` is not a `funcsci.optim.Optimizer`; when called, if the loss does
            not return a floating-point tensor of shape ().

    Example:
        >>> import torch
        >>> from funcsci import optim
        >>> optimizer = optim.sgd(0.1)
        >>> step = train_step(lambda w, x: (w * x) ** 2, optimizer)
        >>> w = torch.tensor(1.0)
        >>> step(TrainState(w, optimizer.init(w)), torch.tensor(1.0))[0].params
        tensor(0.8000)
    """
    if not isinstance(optimizer, Optimizer):
        kind = type(optimizer).__name__
        raise TypeError(f"optimizer must be a funcsci.optim.Optimizer. Got a {kind}. Try optim.adam(1e-3).")

    def scalar_loss(params: Params, batch: PyTree) -> Scalar:
        value = loss(params, batch)
        if not isinstance(value, Tensor) or value.dim() != 0 or not value.is_floating_point():
            what = f"{value.dtype}, shape {tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)
            raise TypeError(f"loss must return a real tensor of shape (). Got {what}. Try its .mean().")
        return value

    differentiate = value_and_grad(scalar_loss)

    def step(state: TrainState, batch: PyTree) -> tuple[TrainState, Scalar]:
        value, grads = differentiate(state.params, batch)
        updates, optimizer_state = optimizer.update(grads, state.optimizer_state, state.params)
        return TrainState(apply_updates(state.params, updates), optimizer_state), value

    return step
