"""Any module as a pure function: its own forward, with parameters and buffers from outside."""

import copy
import math
from collections.abc import Callable, Collection
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import Module

from funcsci import random, tree
from funcsci.interop.effects import in_the_open
from funcsci.interop.names import nested, state_dict
from funcsci.nn.model import Params, State, StatefulModel, placed
from funcsci.random import Key


def stateless(module: Module) -> tuple[StatefulModel, Params, State]:
    """The module's forward as a function of its parameters and buffers.

    Args:
        module: any module whose forward takes one argument; it is neither changed nor kept.

    Returns:
        The model; and copies of the parameters and of the persistent buffers, nested dicts by dotted name.
    """
    params = {name: one.detach().clone() for name, one in module.named_parameters()}
    state = {name: one.detach().clone() for name, one in persistent_buffers(module).items()}
    # The weights come with each call, so those of the copies are shapes alone.
    in_training = copied(module, lambda one: torch.empty_like(one, device="meta")).train()
    in_evaluation = copied(in_training).eval()
    constants = {name: one for name, one in in_evaluation.named_buffers() if name not in state}
    names, kept = tuple(params), tuple(state)  # and not the tensors

    def init(
        key: Key, *, dtype: torch.dtype | None = None, device: str | torch.device | None = None
    ) -> tuple[Params, State]:
        key = placed(key, device)
        real = dtype or torch.get_default_dtype()

        def settled(one: Tensor) -> Tensor:
            return one.detach().to(device=key.device, dtype=real if one.is_floating_point() else one.dtype)

        fresh = _drawn(in_evaluation, key)
        drawn = {name: settled(one) for name, one in fresh.named_parameters()}
        buffers = {name: settled(one) for name, one in fresh.named_buffers() if name in kept}
        return nested(drawn), nested(buffers)

    def apply(
        params: Params, state: State, x: Any, *, train: bool, key: Key | None = None
    ) -> tuple[Any, State]:
        weights, buffers = state_dict(params), state_dict(state)
        _check_names(names, params=weights)
        _check_names(kept, state=buffers)
        device = next(one.device for one in (*weights.values(), *tree.leaves(x), torch.empty(0)))
        given = {name: one.clone() for name, one in buffers.items()}  # for forward writes into them
        given |= {name: one.to(device, copy=True) for name, one in constants.items()}
        given |= weights
        with in_the_open(key):
            # An activation in place would write into the caller's x.
            y = functional_call(in_training if train else in_evaluation, given, (tree.map(torch.clone, x),))
        return y, nested({name: given[name].detach() for name in buffers})

    return StatefulModel(init, apply), nested(params), nested(state)


def copied(module: Module, weights: Callable[[Tensor], Tensor] | None = None) -> Module:
    """A deep copy of the module, whose parameters are made from its own by a function, where one is given.

    Raises:
        TypeError: if the module cannot be copied.
    """
    memo: dict[int, Any] = {}
    if weights is not None:
        memo = {
            id(one): torch.nn.Parameter(weights(one.detach()), requires_grad=one.requires_grad)
            for one in module.parameters()
        }
    try:
        return copy.deepcopy(module, memo)
    except (RuntimeError, TypeError) as error:
        raise TypeError(
            f"module must be one that copy.deepcopy copies. Got a {type(module).__name__}: {error}. "
            "Keep results of forward out of its attributes, and use torch.nn.utils.parametrizations for "
            "weight_norm and spectral_norm."
        ) from error


def persistent_buffers(module: Module) -> dict[str, Tensor]:
    """The buffers that belong to the module's state_dict, each once."""
    held = module.state_dict(keep_vars=True)
    return {name: one for name, one in module.named_buffers() if name in held}


def _drawn(module: Module, key: Key) -> Module:
    """A copy whose parameters its parts have drawn anew, as they do when they are made."""

    def undrawn(one: Tensor) -> Tensor:
        return torch.full_like(one, math.nan if one.is_floating_point() else 0, device="cpu")

    fresh = copied(module, undrawn)
    generator = torch.default_generator  # the parts know no other
    before = generator.get_state()
    generator.manual_seed(int(random.bits(key, bit_width=64)))
    try:
        with torch.no_grad():
            for part in reversed(list(fresh.modules())):  # a whole has the last word on its parts
                reset = getattr(part, "reset_parameters", getattr(part, "_reset_parameters", None))
                if reset is not None:
                    reset()
    finally:
        generator.set_state(before)
    left = [name for name, one in fresh.named_parameters() if one.isnan().any()]
    if left:
        raise ValueError(
            f"module must be able to draw its parameters anew. Got no reset_parameters for {left}. "
            "Give the class that holds them one, or start from the params that from_module returns."
        )
    return fresh


def _check_names(expected: Collection[str], **found: dict[str, Tensor]) -> None:
    for what, tensors in found.items():
        if tensors.keys() == set(expected):
            continue
        missing = [name for name in expected if name not in tensors]
        unknown = [name for name in tensors if name not in expected]
        raise ValueError(
            f"{what} must have the names of the module's own. Got missing={missing}, unknown={unknown}. "
            f"Use the {what} that from_module returns."
        )
