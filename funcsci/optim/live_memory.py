"""How much memory a function of tensors needs, counted and not guessed."""

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode

from funcsci import tree


def peak_bytes(function: Callable[..., Any], *args: Any) -> int:
    """The most bytes of tensors that are alive at once while a function runs, its result included.

    Memory that was there before, of arguments and constants, does not count. Every operation is seen
    below all transforms of `torch.func`, and what their tapes keep is counted for as long as it is kept; an
    operation's own work space is not seen.

    Args:
        function: any function of tensors; it is run once, as it is.
        *args: its arguments.

    Returns:
        The peak in bytes.

    Example:
        >>> import torch
        >>> peak_bytes(lambda x: (2 * x).sum(), torch.ones(1000, dtype=torch.float64))
        8008
    """
    with _LiveBytes() as live:
        result = function(*args)
    del result
    peak: int = live.peak
    return peak


class _LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sums the storages that operations make, after each operation, until nothing refers to them."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak = 0
        self._made: dict[int, tuple[Any, int]] = {}
        self._there_before: dict[int, Any] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for storage in _storages((args, kwargs or {})):
            if storage._cdata not in self._made:  # the reference keeps its number from being given again
                self._there_before.setdefault(storage._cdata, storage)
        result = func(*args, **(kwargs or {}))
        self._made = {key: one for key, one in self._made.items() if not one[0].expired()}
        for storage in _storages(result):
            if storage._cdata not in self._there_before:
                self._made[storage._cdata] = (StorageWeakRef(storage), storage.nbytes())  # type: ignore[no-untyped-call]
        self.peak = max(self.peak, sum(size for _, size in self._made.values()))
        return result


def _storages(values: Any) -> list[Any]:
    return [leaf.untyped_storage() for leaf in tree.leaves(values) if isinstance(leaf, Tensor)]
