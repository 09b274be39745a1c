"""Parameter trees under torch's dotted names, as in a `state_dict`."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from torch import Tensor

from funcsci import tree
from funcsci.nn.model import Params, State
from funcsci.tree import PyTree


def state_dict(params: Params, state: State | None = None) -> dict[str, Tensor]:
    """The leaves by torch's dotted names: the keys and indices on the way to a leaf, joined by dots.

    Args:
        params: a pytree of tensors.
        state: the model's state; None where there is none, or it is not wanted.

    Returns:
        The leaves of both, not copied, in the order of torch where the trees have it. For a model with
        torch's structure, `module.load_state_dict` takes it.

    Raises:
        TypeError: if a leaf is not a tensor.
        ValueError: if two leaves have one name.

    Example:
        >>> from funcsci import nn, random
        >>> model = nn.sequential(nn.linear(2, 3), nn.batch_norm(3))
        >>> params, state = model.init(random.key(0))
        >>> list(state_dict(params, state))  # doctest: +NORMALIZE_WHITESPACE
        ['0.weight', '0.bias', '1.weight', '1.bias',
         '1.running_mean', '1.running_var', '1.num_batches_tracked']
    """
    trees = {"params": params, "state": {} if state is None else state}
    tree.check_tensors(**trees)
    found: dict[str, Tensor] = {}
    for one in trees.values():
        for name, leaf in _walk(one):
            if name in found:
                raise ValueError(
                    f"params and state must give each leaf a name of its own. Got {name!r} twice. "
                    "Rename a key; no key may hold a dot that another path spells too."
                )
            found[name] = leaf
    return found


def load_state_dict(
    flat: Mapping[str, Any], params: Params, state: State | None = None
) -> tuple[Params, State]:
    """The trees with the values that a `state_dict` has for them.

    Args:
        flat: tensors by dotted name, as from `torch.load("weights.pt", weights_only=True)` of a file that
            `torch.save(module.state_dict(), "weights.pt")` wrote.
        params: gives structure, shapes, dtypes and devices; its own values are not used.
        state: the same for the model's state; None where there is none.

    Returns:
        New `params` and `state` (an empty tree for None): copies, cast and moved as the given ones are.

    Raises:
        TypeError: if `flat` is not a mapping, or a leaf of `params` or `state` is not a tensor.
        ValueError: if a name is missing or unexpected, or a value does not fit; the message lists all of
            them. A second name of a tensor that is used, as a tied weight has, is not unexpected.

    Example:
        >>> import torch
        >>> from funcsci import nn, random
        >>> module = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Tanh())
        >>> model = nn.sequential(nn.linear(2, 3), torch.tanh)
        >>> params, _ = load_state_dict(module.state_dict(), model.init(random.key(0)))
        >>> torch.equal(params[0]["weight"], module[0].weight)
        True

    Differs from: `torch.nn.Module.load_state_dict`, which writes into the module.
    """
    if not isinstance(flat, Mapping):
        kind = type(flat).__name__
        raise TypeError(f"flat must be a dict of tensors by name. Got a {kind}. Try module.state_dict().")
    state = {} if state is None else state
    like = state_dict(params, state)
    check_entries(like, flat, what="flat", remedy="Pass the state_dict of this model, and state= too.")
    return _filled(params, flat), _filled(state, flat)


def check_entries(like: Mapping[str, Tensor], flat: Mapping[str, Any], *, what: str, remedy: str) -> None:
    """There is one value that fits for each name, and no other.

    Args:
        like: tensors that have the shapes expected.
        flat: what came.
        what: how the message calls it.
        remedy: what the message advises.

    Raises:
        ValueError: if not; the message lists every name that is missing, unexpected or does not fit.
    """
    known = {_memory(flat[name]) for name in like if name in flat}
    problems = {
        "missing": [name for name in like if name not in flat],
        "unexpected": [name for name in flat if name not in like and _memory(flat[name]) not in known],
        "mismatched": [
            f"{name}: {problem}"
            for name, leaf in like.items()
            if name in flat and (problem := misfit(flat[name], leaf))
        ],
    }
    if any(problems.values()):
        came = ", ".join(f"{kind}={names}" for kind, names in problems.items())
        raise ValueError(
            f"{what} must have a value that fits for each name, and no other. Got {came}. {remedy}"
        )


def misfit(value: Any, like: Tensor) -> str:
    """Why a value cannot take the place of a tensor; empty if it can."""
    if not isinstance(value, Tensor):
        return f"a {type(value).__name__}, expected a Tensor"
    if value.shape != like.shape:
        return f"shape {tuple(value.shape)}, expected {tuple(like.shape)}"
    if value.is_complex() and not like.is_complex():
        return f"{value.dtype}, expected a real dtype"
    return ""


def nested(flat: Mapping[str, Tensor]) -> dict[str, Any]:
    """The tree of dicts, one for each dot of the names."""
    result: dict[str, Any] = {}
    for name, leaf in flat.items():
        *path, last = name.split(".")
        inner = result
        for key in path:
            inner = inner.setdefault(key, {})
        inner[last] = leaf
    return result


def _walk(node: PyTree, place: tuple[str, ...] = ()) -> Iterator[tuple[str, Tensor]]:
    """The leaves in the order of `tree.flatten_in_order`, with their names."""
    if isinstance(node, Tensor):
        yield ".".join(place), node
        return
    entries: Iterable[tuple[str, Any]]
    if isinstance(node, Mapping):
        entries = ((str(key), value) for key, value in node.items())
    elif hasattr(node, "_fields"):
        entries = zip(node._fields, node, strict=True)
    else:
        entries = ((str(index), value) for index, value in enumerate(node))
    for key, value in entries:
        yield from _walk(value, (*place, key))


def _filled(one: PyTree, flat: Mapping[str, Tensor]) -> PyTree:
    structure = tree.flatten_in_order(one)[1]
    leaves = [
        flat[name].detach().to(device=leaf.device, dtype=leaf.dtype, copy=True) for name, leaf in _walk(one)
    ]
    return tree.unflatten(structure, leaves)


def _memory(value: Any) -> tuple[Any, ...]:
    """What two names of one tensor have in common, and nothing else has."""
    if not isinstance(value, Tensor) or value.is_meta or not value.numel():
        return (id(value),)
    return value.data_ptr(), value.dtype, value.shape, value.stride()
