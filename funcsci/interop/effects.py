"""What torch's functions do on the side, inside a module's forward, brought into the open."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from funcsci import nn, random
from funcsci.random import Key


@contextmanager
def in_the_open(key: Key | None) -> Iterator[None]:
    """Inside, torch's functions draw from the key or not at all, and can be traced.

    The n-th dropout, by `F.dropout` or `torch.nn.Dropout`, uses `random.fold_in(key, n)`, and the global
    generator is not read. Batch norm moves its running statistics by operations that every torch can trace.

    Raises:
        TypeError: inside, if an operation would read the global generator.
        ValueError: inside, if dropout in training finds no key.
    """
    with _RefuseDraws(), _Replace(key):  # type: ignore[no-untyped-call]
        yield


class _Replace(TorchFunctionMode):
    """Sees the functions themselves, so that a key under `vmap` or in a trace stays what it is."""

    def __init__(self, key: Key | None) -> None:
        super().__init__()
        self.key = key
        self.count = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is F.dropout and kwargs["training"]:
            key = None if self.key is None else random.fold_in(self.key, self.count)
            self.count += 1
            return _dropout(key, *args, **kwargs)
        if func is F.batch_norm and kwargs["training"]:
            return _batch_norm(*args, **kwargs)
        return func(*args, **kwargs)


def _dropout(key: Key | None, x: Tensor, *, p: float, training: bool, inplace: bool) -> Tensor:
    # Torch's own may drop everything.
    y: Tensor = nn.dropout(p).apply({}, {}, x, train=training, key=key)[0] if p < 1 else 0 * x
    return x.copy_(y) if inplace else y  # the module asks for it, of a tensor of its own


def _batch_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    *,
    weight: Tensor | None,
    bias: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
) -> Tensor:
    y = F.batch_norm(x, None, None, weight, bias, training, 0.0, eps)
    var, mean = torch.var_mean(x.detach(), (0, *range(2, x.dim())))
    for running, new in ((running_mean, mean), (running_var, var)):
        if running is not None:  # the copy that this call was given
            running.copy_(running + momentum * (new.to(running.dtype) - running))
    return y


class _RefuseDraws(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if torch.Tag.nondeterministic_seeded in func.tags and _draws(func, args, kwargs):
            raise TypeError(
                "forward must draw random numbers by torch.nn.functional.dropout alone, which has the key. "
                f"Got {func.name()}. Set the dropout of attention and recurrent layers to 0, or write the "
                "model with funcsci.nn and funcsci.random."
            )
        return func(*args, **kwargs)


def _draws(func: Any, args: Any, kwargs: Any) -> bool:
    """Whether it does draw: attention and recurrent layers may, but not without dropout or in evaluation."""
    values = {argument.name: argument.default_value for argument in func._schema.arguments}
    values |= {**dict(zip(values, args, strict=False)), **kwargs}
    idle = (("dropout_p", 0), ("dropout", 0), ("train", False), ("training", False))
    return not any(name in values and values[name] == value for name, value in idle)
