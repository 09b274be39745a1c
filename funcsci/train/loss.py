"""Losses: the one form the step works with, and how the simpler ones are brought into it."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.func import vmap

from funcsci import tree
from funcsci.random import Key
from funcsci.tree import Params, PyTree, Scalar

Metrics = dict[str, Scalar]
"""What is worth knowing of a step besides its loss: tensors of shape () by name."""

OFFERED = frozenset(("state", "key", "mask"))
"""The keywords that a loss may take."""


class Loss(NamedTuple):
    """A loss in full: `call(params, batch, *, state, key, mask) -> (value, (state, metrics))`.

    Attributes:
        call: the function.
        takes: which of the keywords `state`, `key` and `mask` the user's function has.
        batch: whether it has a place for the batch: "required", "optional" or "none".
    """

    call: Callable[..., tuple[Scalar, tuple[PyTree, Metrics]]]
    takes: frozenset[str]
    batch: str


def full(loss: Callable[..., Any]) -> Loss:
    """The full form of a loss that may take and return less.

    Args:
        loss: `loss(params, batch, *, state, key, mask)`, of which all but `params` may be missing. It returns
            `(value, (state, metrics))`, `(value, metrics)` or the value alone.

    Returns:
        The loss in full. Without a state of its own it hands on the one it is given.

    Raises:
        TypeError: if `loss` is no function; when called, if it returns something else.
    """
    if not callable(loss):
        raise TypeError(
            f"loss must be a function of params and a batch. Got a {type(loss).__name__}. "
            "Try lambda params, batch: ..."
        )
    names, place = _arguments(loss)

    def call(
        params: Params, batch: PyTree, *, state: PyTree, key: Key, mask: Tensor | None
    ) -> tuple[Scalar, tuple[PyTree, Metrics]]:
        offered = {"state": state, "key": key, "mask": mask}
        keywords = {name: value for name, value in offered.items() if name in names}
        without = place == "none" or (place == "optional" and batch is None)
        result = loss(params, **keywords) if without else loss(params, batch, **keywords)
        return _in_full(result, state)

    return Loss(call, names, place)


def _arguments(loss: Callable[..., Any]) -> tuple[frozenset[str], str]:
    """The keywords a loss takes of those on offer, and whether it has a place for the batch."""
    try:
        parameters = inspect.signature(loss).parameters.values()
    except (TypeError, ValueError):  # a callable that tells nothing of itself
        return frozenset(), "required"
    named = {one.name for one in parameters if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)}
    if any(one.kind is one.VAR_KEYWORD for one in parameters):
        named |= OFFERED
    places = [
        one
        for one in parameters
        if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD) and one.name not in OFFERED
    ]
    place = "none"
    if len(places) > 1:
        place = "required" if places[1].default is inspect.Parameter.empty else "optional"
    elif any(one.kind is one.VAR_POSITIONAL for one in parameters):
        place = "required"
    return OFFERED & named, place


def _in_full(result: Any, state: PyTree) -> tuple[Scalar, tuple[PyTree, Metrics]]:
    value: Any = result
    metrics: Any = {}
    if isinstance(result, tuple) and len(result) == 2:
        value, metrics = result
        if isinstance(metrics, tuple) and len(metrics) == 2:
            state, metrics = metrics
    if not isinstance(value, Tensor) or value.dim() != 0 or not value.is_floating_point():
        what = f"{value.dtype}, shape {tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)
        raise TypeError(
            f"loss must return a real tensor of shape (), or (value, metrics), or (value, (state, metrics)). "
            f"Got {what}. Try its .mean()."
        )
    if not isinstance(metrics, Mapping):
        raise TypeError(
            f"The metrics of a loss must be a dict of tensors by name. Got a {type(metrics).__name__}. "
            "Return (value, {'accuracy': ...}), or (value, (state, {}))."
        )
    tree.check_tensors(metrics=dict(metrics), state=state)
    taken = sorted(metrics.keys() & {"loss", "step"})
    if taken:
        raise TypeError(
            f"The metrics of a loss must not be called 'loss' or 'step'. Got {taken}. Rename them."
        )
    return value, (state, dict(metrics))


def averaged(loss: Loss) -> Loss:
    r"""The mean over the samples that count, $\sum_i m_i \ell(\theta, \{z_i\}) / \sum_i m_i$.

    For a loss that is the mean of its samples' losses and knows nothing of masks: each sample is a batch of
    one, under `vmap`, and its metrics are averaged likewise.

    Args:
        loss: takes no mask and no state.

    Returns:
        The same loss, which now heeds `mask`.
    """

    def call(
        params: Params, batch: PyTree, *, state: PyTree, key: Key, mask: Tensor | None
    ) -> tuple[Scalar, tuple[PyTree, Metrics]]:
        def of_one(sample: PyTree) -> tuple[Scalar, Metrics]:
            alone = tree.map(lambda leaf: leaf[None], sample)
            value, (_, metrics) = loss.call(params, alone, state=state, key=key, mask=None)
            return value, metrics

        values, metrics = vmap(of_one)(batch)

        def mean(each: Tensor) -> Scalar:
            if mask is None:
                return each.mean(0)
            return torch.where(mask, each, torch.zeros_like(each)).sum() / mask.sum()

        return mean(values), (state, {name: mean(each) for name, each in metrics.items()})

    return loss._replace(call=call, takes=loss.takes | {"mask"})


def check_averages(loss: Loss, params: Params, batch: PyTree, *, state: PyTree, key: Key) -> None:
    """The loss of a full batch is the mean of its samples' losses, so that a short one can be masked.

    Raises:
        ValueError: if it is not, or cannot be told.
    """
    remedy = (
        "Let it take mask, a tensor that is True where a sample counts, as in "
        "loss(params, batch, *, mask), or pass drop_last=True."
    )
    law = "The last batch is short, so the loss must be the mean of its samples' losses."
    if "state" in loss.takes:
        raise ValueError(f"{law} Got one with a state, which samples apart cannot share. {remedy}")
    with torch.no_grad():
        together, _ = loss.call(params, batch, state=state, key=key, mask=None)
        try:
            apart, _ = averaged(loss).call(params, batch, state=state, key=key, mask=None)
        except (RuntimeError, ValueError) as error:
            raise ValueError(
                f"{law} Got one that cannot be taken sample by sample: {error}. {remedy}"
            ) from error
    tolerance = torch.finfo(together.dtype).eps ** 0.5
    if not torch.allclose(together, apart, rtol=tolerance, atol=tolerance, equal_nan=True):
        raise ValueError(
            f"{law} Got {float(together):.4g} for a full batch, and {float(apart):.4g} as that mean. {remedy}"
        )
