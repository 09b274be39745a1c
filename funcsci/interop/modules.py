"""Modules of torch in, as pure functions and trees; and trees out again, into modules."""

from typing import Any, TypeGuard

import torch
from torch import Tensor
from torch.nn import Module

from funcsci import nn
from funcsci.interop.names import check_entries, state_dict
from funcsci.interop.rules import is_plain, own_tensors, translated
from funcsci.interop.stateless import copied, persistent_buffers, stateless
from funcsci.nn.model import Layer, Params, State, StatefulModel

_WRAPPERS = (
    torch.jit.ScriptModule,
    torch.nn.DataParallel,
    torch.nn.parallel.DistributedDataParallel,
)


def from_module(module: Module) -> tuple[StatefulModel, Params, State]:
    """A module of torch as a pure function, with copies of its parameters and buffers.

    A layer that `funcsci.nn` has becomes that layer, and a `torch.nn.Sequential` becomes `nn.sequential`, so
    that nested ones give nested lists with torch's indices. Any other module runs its own forward through
    `torch.func.functional_call`, and its params are nested dicts by its dotted names. Either way `state_dict`
    gives torch's names.

    Args:
        module: any module; one that is not translated must have a forward of one argument. It is not changed,
            and changing it later changes nothing here.

    Returns:
        `(model, params, state)`. `model.apply(params, state, x, train=True, key=key)` computes what the
        module does after `module.train()`, with `train=False` after `module.eval()`; a part that was set
        otherwise by hand follows all the same. `model.init` draws params anew; those of a forward
        that is not translated are drawn by their parts' `reset_parameters`, outside of transforms.

    Raises:
        TypeError: if `module` is not a module, is a compiled, scripted or parallel form of one, or cannot be
            copied; when applied, if forward draws random numbers otherwise than by dropout.
        ValueError: if the module is lazy and has no shapes yet; when applied, if params or state are not the
            module's, or dropout in training has no key.

    Example:
        >>> import torch
        >>> from funcsci import tree
        >>> module = torch.nn.Sequential(torch.nn.Linear(1, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
        >>> model, params, state = from_module(module)
        >>> tree.paths(params, "params")  # doctest: +NORMALIZE_WHITESPACE
        ["params[0]['bias']", "params[0]['weight']",
         "params[2]['bias']", "params[2]['weight']"]
        >>> x = torch.linspace(-1, 1, 5)[:, None]
        >>> torch.equal(model.apply(params, state, x, train=True)[0], module(x))
        True

    Differs from: `torch.func.functional_call`, which runs a module in the mode it happens to be in, writes
        into the buffers it is given, and lets dropout draw from the global generator: here dropout
        draws from `key`. A parameter with `requires_grad=False` is one of the params like any other
        (`optim.multi_transform` with `optim.freeze` holds it still). A buffer that is not persistent is a
        constant: what forward writes into it is dropped.
    """
    _check_module(module)
    layer, params, state = _converted(module)
    if not isinstance(layer, nn.Model | nn.StatefulModel):
        layer, params = nn.sequential(layer), [params]
    return nn.stateful(layer), params, state


def to_module(params: Params, module: Module, state: State | None = None) -> Module:
    """A copy of a module with these weights.

    Args:
        params: a pytree of tensors with the module's names, as `state_dict` spells them.
        module: says what the module is; it is not changed.
        state: the buffers; None keeps the module's own.

    Returns:
        A copy of `module` with the values of `params` and `state`, cast and moved to the module's dtype and
        device.

    Raises:
        TypeError: if `module` is not a module or cannot be copied, or a leaf is not a tensor.
        ValueError: if a name is missing or unexpected, or a value does not fit; the message lists them all.

    Example:
        >>> import torch
        >>> from funcsci import nn, random
        >>> params = nn.sequential(nn.linear(2, 3), torch.tanh).init(random.key(0))
        >>> module = to_module(params, torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Tanh()))
        >>> torch.equal(module[0].weight, params[0]["weight"])
        True
    """
    _check_module(module)
    like: dict[str, Tensor] = dict(module.named_parameters())
    if state is not None:
        like |= persistent_buffers(module)
    flat = state_dict(params, state)
    remedy = "Pass the module that has this structure, or the params that from_module returned."
    check_entries(like, flat, what="params and state", remedy=remedy)
    result = copied(module)
    names = {id(one): name for name, one in like.items()}
    held = module.state_dict(keep_vars=True)
    # A tied weight has two names, of which the params have the first.
    result.load_state_dict(
        {name: flat[names[id(one)]].detach() if id(one) in names else one for name, one in held.items()}
    )
    return result


def _converted(module: Module) -> tuple[Layer, Params, State]:
    """The layer, its params and its state; a plain function has neither."""
    if _joins(module):
        converted = [_converted(part) for part in module]
        joined = nn.sequential(*[layer for layer, _, _ in converted])
        states = [state for _, _, state in converted] if isinstance(joined, nn.StatefulModel) else {}
        return joined, [params for _, params, _ in converted], states
    layer = translated(module)
    if layer is None:
        return stateless(module)
    params, state = own_tensors(module)
    return layer, _copies(params), _copies(state)


def _copies(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: one.detach().clone() for name, one in tensors.items()}


def _joins(module: Module) -> TypeGuard[torch.nn.Sequential]:
    """Whether the module is no more than its numbered parts, one after the other."""
    if type(module) is not torch.nn.Sequential or not len(module) or not is_plain(module):
        return False
    numbered = list(module._modules) == [str(index) for index in range(len(module))]
    held = [{id(one) for one in (*part.parameters(), *part.buffers())} for part in module]
    # A tensor that two parts hold is one tensor; separate layers could not keep it so.
    return numbered and len(set().union(*held)) == sum(map(len, held))


def _check_module(module: Any) -> None:
    if not isinstance(module, Module):
        what = f"the class {module.__name__}" if isinstance(module, type) else f"a {type(module).__name__}"
        raise TypeError(f"module must be a torch.nn.Module. Got {what}. Try torch.nn.Linear(2, 3).")
    if isinstance(module, _WRAPPERS) or hasattr(module, "_orig_mod"):  # as torch.compile's has
        kind = type(module).__name__
        raise TypeError(
            "module must be the plain module, not a compiled, scripted or parallel form of it. "
            f"Got a {kind}. Pass the module that it was made of."
        )
    lazy = [name for name, one in module.named_parameters() if torch.nn.parameter.is_lazy(one)]
    if lazy:
        raise ValueError(
            f"module must know its shapes. Got the lazy parameters {lazy}. Call it once on an input."
        )
