"""The kind of a call's arguments: what decides which program runs."""

import inspect
import operator
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.overrides import _get_current_function_mode_stack
from torch.utils._device import DeviceContext

from funcsci import tree

STATIC = (bool, int, str)
"""Leaves of these types belong to the program; another value is another program."""
PLAIN = frozenset((Tensor, torch.nn.Parameter))
"""A tensor of another type belongs to a transform or a mode."""
KNOWN = PLAIN.union(STATIC)
"""Any other type of leaf deserves a closer look."""

FACTS = ("shape", "dtype", "device", "requires_grad")
facts_of: Callable[[Tensor], tuple[Any, ...]] = operator.attrgetter(*FACTS)
"""The tensor's facts in the order of FACTS."""


class Kind(NamedTuple):
    """The kind of a call's arguments, with names: what the reason of a compilation is told from."""

    structure: tree.Structure
    names: list[str]
    facts: list[dict[str, Any]]

    @classmethod
    def of(cls, function: Callable[..., Any], args: Any, kwargs: Any) -> "Kind":
        """The kind of one call, with the names of the function's parameters."""
        leaves, structure = tree.flatten_in_order((args, kwargs))
        around = dict(zip(SURROUNDINGS, surroundings(), strict=True))
        names = _names(function, args, kwargs)
        return cls(structure, [*names, "torch"], [*map(_described, leaves), around])

    def reason(self, earlier: "list[Kind]") -> str:
        """What changed since the most similar earlier kind."""
        if not earlier:
            return "first call"
        return min((self._changes(kind) for kind in reversed(earlier)), key=len)[0]

    def _changes(self, earlier: "Kind") -> list[str]:
        if self.structure != earlier.structure:
            return [f"structure {earlier.structure} became {self.structure}"] * (len(self.names) + 1)
        return [
            f"{name}: {fact} {_show(before.get(fact))} became {_show(value)}"
            for name, before, after in zip(self.names, earlier.facts, self.facts, strict=True)
            for fact, value in after.items()
            if before.get(fact) != value or type(before.get(fact)) is not type(value)
        ]


def _show(value: Any) -> str:
    return str(tuple(value)) if isinstance(value, tuple) else str(value)


def _described(leaf: Any) -> dict[str, Any]:
    if not isinstance(leaf, Tensor):
        return {"value": leaf}
    facts = dict(zip(FACTS, facts_of(leaf), strict=True))
    return {"type": type(leaf).__name__, "strides": leaf.stride(), **facts}


def statics_of(leaves: list[Any]) -> tuple[Any, ...]:
    """The leaves that are not tensors."""
    return tuple([leaf for leaf in leaves if not isinstance(leaf, Tensor)])


SURROUNDINGS = ("default dtype", "grad mode", "inference mode", "default device", "autocast")


def surroundings() -> tuple[Hashable, ...]:
    """What a function's operations depend on besides its arguments."""
    autocast: Hashable = False
    if torch._C._is_any_autocast_enabled():
        autocast = _autocast()
    return (
        torch.get_default_dtype(),
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        _default_device() if torch._C._len_torch_function_stack() else None,
        autocast,
    )


def _default_device() -> Hashable:
    stack = _get_current_function_mode_stack()  # type: ignore[no-untyped-call]
    return next((mode.device for mode in reversed(stack) if isinstance(mode, DeviceContext)), None)


def _autocast() -> tuple[Hashable, ...]:
    if hasattr(torch, "get_autocast_dtype"):
        kinds = ("cpu", "cuda")
        return tuple((torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind)) for kind in kinds)
    cpu = (torch.is_autocast_cpu_enabled(), torch.get_autocast_cpu_dtype())  # until torch 2.3
    return cpu, (torch.is_autocast_enabled(), torch.get_autocast_gpu_dtype())


def _names(function: Callable[..., Any], args: Any, kwargs: Any) -> list[str]:
    """Each leaf's path, beginning with the name of its parameter in the function's signature."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # a callable with no signature
        parameters = {}.values()
    names = [one.name for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    found: list[str] = []
    for place, arg in enumerate(args):
        found += tree.paths(arg, names[place] if place < len(names) else f"args[{place}]", in_order=True)
    for name, value in kwargs.items():
        found += tree.paths(value, name, in_order=True)
    return found


def check_leaves(function: Callable[..., Any], args: Any, kwargs: Any) -> None:
    """Refuse a leaf that a program cannot take, by its path."""
    leaves, _ = tree.flatten_in_order((args, kwargs))
    for name, leaf in zip(_names(function, args, kwargs), leaves, strict=True):
        if isinstance(leaf, Tensor):
            if leaf.layout is not torch.strided:
                raise TypeError(
                    f"{name} must be a strided tensor to be jitted. Got layout {leaf.layout}. "
                    f"Try {name}.to_dense()."
                )
            continue
        what = f"{name} is a {type(leaf).__name__} ({leaf!r}); a jitted function takes tensors"
        if isinstance(leaf, float):
            raise TypeError(
                f"{what}. A float would be compiled anew for every value. Try torch.tensor({float(leaf)!r})."
            )
        if not isinstance(leaf, STATIC):
            remedy = "Convert it to a tensor, or let the function close over it."
            if name in ("self", "cls"):
                remedy = (
                    "Instead of the method, jit a function that takes the tensors it changes and closes "
                    "over the rest, or make the class a NamedTuple of tensors."
                )
            raise TypeError(f"{what} and static bool, int, str or None. {remedy}")
