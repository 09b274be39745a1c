"""What a run is besides its numbers: the loss, the optimizer, the data and the settings that decide it."""

import hashlib
import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from funcsci import tree
from funcsci.autodiff import value_and_grad
from funcsci.compile.fingerprint import Fingerprint, content, difference, fingerprint
from funcsci.optim import Optimizer, call_update
from funcsci.train.loss import Loss
from funcsci.train.report import Watch
from funcsci.train.step import TrainState
from funcsci.tree import Params, PyTree, Scalar

MOST_BYTES = 2**26
"""Data of no more bytes are told by their numbers, larger ones and datasets by the shape of a batch."""


def identity(
    loss: Loss,
    optimizer: Optimizer,
    begin: TrainState,
    example: tuple[Any, ...] | None,
    data: Any,
    watch: Watch,
    settings: Mapping[str, Any],
) -> dict[str, Any]:
    """What decides a run, as JSON can hold it.

    Args:
        loss: with its gradient, it is told by a fingerprint; by none where it cannot be traced.
        optimizer: told by the fingerprint of its update, and by the numbers that its state begins with.
        begin: gives the structure of parameters and state.
        example: what the step is called with besides the state; None where there is no batch left.
        data: as in `fit`.
        watch: decides which report is the best, and when the run ends.
        settings: other numbers that decide the run.
    """
    return {
        "torch": str(torch.__version__),
        "device": begin.step.device.type,
        "loss": None if example is None else _loss(loss, begin, *example),
        "optimizer": _optimizer(optimizer, begin.params),
        "batch": None if example is None else _shapes(example[0]),
        "data": _digest(data),
        "settings": {**watch._asdict(), **settings},
    }


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """In what two runs differ, in words.

    Args:
        then: the `identity` of the run in a checkpoint.
        now: that of the run that goes on from it.
    """
    found = []
    if traced_alike(then, now):
        found += _changed("the loss differs", then["loss"], now["loss"])
        rule = "the optimizer's update differs, in its rule, a schedule or a constant"
        found += _changed(rule, then["optimizer"]["update"], now["optimizer"]["update"])
    before, after = then["optimizer"]["numbers"], now["optimizer"]["numbers"]
    found += _pairs(before, after)
    if before == after and then["optimizer"]["state"] != now["optimizer"]["state"]:
        found.append("the state that the optimizer begins with differs")
    if then["batch"] is not None and now["batch"] is not None:
        found += _pairs(then["batch"], now["batch"])
    if None not in (then["data"], now["data"]) and then["data"] != now["data"]:
        found.append("the data differ")
    patience = [told["settings"]["patience"] for told in (then, now)]
    grown = [math.inf if one is None else one for one in patience]
    loosened = {"patience": patience[1]} if grown[0] <= grown[1] else {}
    return found + list(_pairs({**then["settings"], **loosened}, now["settings"]))


def traced_alike(then: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether fingerprints can be compared: other versions and devices may record other operations."""
    return (then["torch"], then["device"]) == (now["torch"], now["device"])


def _pairs(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for name in dict.fromkeys((*then, *now)):
        one, other = then.get(name, "missing"), now.get(name, "missing")
        if one != other:
            yield f"{name} was {one} and is {other}"


def _changed(what: str, then: dict[str, Any] | None, now: dict[str, Any] | None) -> list[str]:
    change = difference(_read(then), _read(now))
    return [] if change is None else [f"{what}: {change}"]


def _read(told: dict[str, Any] | None) -> Fingerprint | None:
    return None if told is None else Fingerprint(told["digest"], told["operations"], tuple(told["numbers"]))


def _told(found: Fingerprint | None) -> dict[str, Any] | None:
    return None if found is None else found._asdict()


def _loss(loss: Loss, begin: TrainState, batch: PyTree, mask: Tensor | None = None) -> dict[str, Any] | None:
    differentiate = value_and_grad(loss.call, has_aux=True)

    def slopes(params: Params, batch: PyTree, state: PyTree, key: Tensor, mask: Tensor | None) -> Any:
        return differentiate(params, batch, state=state, key=key, mask=mask)

    return _told(fingerprint(slopes, begin.params, batch, begin.state, begin.key, mask))


def _optimizer(optimizer: Optimizer, params: Params) -> dict[str, Any]:
    """What the caller passed: of a run that goes on, the state itself comes from the checkpoint."""
    zeros = tree.map(torch.zeros_like, params)
    state = optimizer.init(zeros)

    def update(grads: Params, state: PyTree, params: Params, value: Scalar) -> Any:
        return call_update(optimizer, grads, state, params, value)

    value = tree.leaves(zeros)[0].new_zeros(())
    leaves = tree.leaves(state)
    named = zip(tree.paths(state, "optimizer_state"), leaves, strict=True)
    return {
        "update": _told(fingerprint(update, zeros, state, zeros, value)),
        "numbers": {name: _number(leaf) for name, leaf in named if leaf.dim() == 0},
        "state": _joined(leaves),
    }


def _number(leaf: Scalar) -> str:
    """A number with as many digits as its dtype tells apart."""
    return str((leaf.float() if leaf.dtype == torch.bfloat16 else leaf).detach().cpu().numpy())


def _shapes(batch: PyTree) -> dict[str, str]:
    return {
        name: f"{str(leaf.dtype).removeprefix('torch.')}{list(leaf.shape)}"
        for name, leaf in zip(tree.paths(batch, "batch"), tree.leaves(batch), strict=True)
    }


def _digest(data: Any) -> str | None:
    """The digest of tensors in memory, unless they are large; None for everything else."""
    leaves = tree.leaves(data)
    if not leaves or not all(isinstance(leaf, Tensor) for leaf in leaves):
        return None
    size = sum(leaf.numel() * leaf.element_size() for leaf in leaves)
    return _joined(leaves) if size <= MOST_BYTES else None


def _joined(leaves: list[Tensor]) -> str:
    return hashlib.sha256(b"".join(map(content, leaves))).hexdigest()
