"""A table of what a model holds."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from funcsci import checks, tree
from funcsci.nn.model import Model, Params, State, StatefulModel, placed, stateful
from funcsci.random import Key


@dataclass(frozen=True)
class Row:
    """One leaf of a model's params or state: its path, shape, dtype, count of numbers, and bytes."""

    path: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    count: int
    bytes: int


@dataclass(frozen=True)
class Summary:
    """What a model holds and what it makes of an input; printed, it is a table.

    Attributes:
        params: a row for each leaf of the params.
        state: a row for each leaf of the state; none for a model without one.
        input_shape: the shape of `x`.
        output_shape: the shape of `y`.
    """

    params: tuple[Row, ...]
    state: tuple[Row, ...]
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]

    @property
    def total(self) -> int:
        """The number of learned numbers."""
        return sum(row.count for row in self.params)

    @property
    def bytes(self) -> int:
        """The memory of the params and the state."""
        return sum(row.bytes for row in self.params + self.state)

    def __str__(self) -> str:
        header = ("path", "shape", "dtype", "count", "bytes")
        body = [_cells(row) for row in self.params + self.state]
        total = ("total", "", "", f"{self.total:,}", f"{self.bytes:,}")
        lengths = [max(len(cells[i]) for cells in [header, *body, total]) for i in range(len(header))]
        rule = "-" * (sum(lengths) + 2 * (len(lengths) - 1))
        lines = [_line(header, lengths), rule, *(_line(cells, lengths) for cells in body), rule]
        return "\n".join([*lines, _line(total, lengths), f"{self.input_shape} -> {self.output_shape}"])

    __repr__ = __str__


def summary(model: Model | StatefulModel, key: Key, x: Tensor) -> Summary:
    """The paths, shapes and sizes of a model's params and state, and the shape of its output.

    The model is run on torch's meta device, which computes shapes and no numbers, so a large one costs
    neither time nor memory. A model that cannot run there is run as it is.

    Args:
        model: of either kind.
        key: what `init` takes; the table does not depend on it.
        x: an input. If it is floating-point, the params are made in its dtype.

    Returns:
        A `Summary`. Running statistics are listed as `state` and not counted as learned.

    Raises:
        TypeError: if `model` is no model, or `x` no tensor.

    Example:
        >>> import torch
        >>> from funcsci import nn, random
        >>> nn.summary(nn.mlp((1, 8, 1)), random.key(0), torch.zeros(5, 1, dtype=torch.float32))
        path                           shape   dtype    count  bytes
        ------------------------------------------------------------
        params['layers'][0]['bias']    (8,)    float32      8     32
        params['layers'][0]['weight']  (8, 1)  float32      8     32
        params['layers'][1]['bias']    (1,)    float32      1      4
        params['layers'][1]['weight']  (1, 8)  float32      8     32
        ------------------------------------------------------------
        total                                              25    100
        (5, 1) -> (5, 1)
    """
    lifted = stateful(model)
    given: Any = x
    if not isinstance(given, Tensor):
        raise TypeError(checks.message("be a tensor", "x", given, "Try x=torch.zeros(1, 1)."))
    dtype = x.dtype if x.dtype.is_floating_point else None
    try:
        params, state, y = _run(lifted, placed(key, "meta"), x.to("meta"), dtype)
    # Raised by an operation that has no meta kernel or reads a number; a true mistake raises again below.
    except RuntimeError:
        params, state, y = _run(lifted, placed(key, x.device), x, dtype)
    return Summary(_rows(params, "params"), _rows(state, "state"), tuple(x.shape), tuple(y.shape))


def _run(
    model: StatefulModel, key: Key, x: Tensor, dtype: torch.dtype | None
) -> tuple[Params, State, Tensor]:
    params, state = model.init(key, dtype=dtype, device=key.device)
    tree.check_tensors(params=params, state=state)
    y, _ = model.apply(params, state, x, train=False)
    return params, state, y


def _rows(leaves: Any, name: str) -> tuple[Row, ...]:
    return tuple(
        Row(path, tuple(leaf.shape), leaf.dtype, leaf.numel(), leaf.numel() * leaf.element_size())
        for path, leaf in zip(tree.paths(leaves, name), tree.leaves(leaves), strict=True)
    )


def _cells(row: Row) -> tuple[str, ...]:
    return row.path, str(row.shape), str(row.dtype).removeprefix("torch."), f"{row.count:,}", f"{row.bytes:,}"


def _line(cells: tuple[str, ...], lengths: list[int]) -> str:
    """Text to the left, the last two columns, which are numbers, to the right."""
    texts = [cell.ljust(length) for cell, length in zip(cells[:3], lengths[:3], strict=True)]
    numbers = [cell.rjust(length) for cell, length in zip(cells[3:], lengths[3:], strict=True)]
    return "  ".join(texts + numbers)
