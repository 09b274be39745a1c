"""Cells over time: one cell along a sequence, stacks of them in both directions, and how a gradient fades."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from funcsci import checks, random, tree
from funcsci.nn.linear import check_features
from funcsci.nn.model import Model, Params, placed
from funcsci.nn.recurrent import Carry, Cell, check_carry, gru_cell, hidden_of, lstm_cell, rnn_cell
from funcsci.random import Key


class Recurrent(NamedTuple):
    """Layers of cells over a sequence.

    Its params have torch's names: `weight_ih_l0`, `weight_hh_l0`, `bias_ih_l0` and `bias_hh_l0` for the first
    layer, `..._l0_reverse` for its other direction, `..._l1` for the second layer.

    Attributes:
        init: `init(key, *, dtype=None, device=None) -> params`.
        apply: `apply(params, x, carries=None) -> (outputs, carries)`. `x` has the shape `(batch, time,
            features)`, or `(time, batch, features)` where time comes first, or `(time, features)`; the
            outputs have `directions * hidden` in place of the features. `carries` is a list with the carry
            of each layer, forward before backward, as it comes out; None begins with zeros.
    """

    init: Callable[..., Params]
    apply: Callable[..., tuple[Tensor, list[Carry]]]

    @property
    def model(self) -> Model:
        """The outputs alone, for `nn.sequential`."""
        return Model(self.init, lambda params, x: self.apply(params, x)[0])


class Fading(NamedTuple):
    r"""How the last hidden state depends on what was carried before.

    Attributes:
        norms: the spectral norm of $\partial h_T / \partial s_t$ for $t = 0, \dots, T$, shape `(time + 1,)`.
        bound: $s^{T - t}$ with the largest singular value $s$ of the recurrent weight, shape `(time + 1,)`;
            the plain cell's norms are below it, for the slope of its nonlinearity is at most one. An
            eigenvalue bounds nothing.
    """

    norms: Float[Tensor, "steps"]
    bound: Float[Tensor, "steps"]


def unroll(
    cell: Cell,
    params: Params,
    x: Float[Tensor, "..."],
    carry: Carry | None = None,
    *,
    batch_first: bool = True,
    reverse: bool = False,
) -> tuple[Float[Tensor, "..."], Carry]:
    """A cell along a sequence. The input's part in all gates of all times is one product.

    Args:
        cell: of any kind.
        params: of the cell.
        x: shape `(batch, time, features)` or `(time, features)`.
        carry: where to begin; None is zeros.
        batch_first: whether the batch comes before the time, or after it.
        reverse: whether to go from the last time to the first; the outputs stay at their times.

    Returns:
        `h` at every time, with `hidden` in place of the features, and the carry after the last step.

    Raises:
        TypeError: if `x` is not a tensor.
        ValueError: if `x` has other features, no time, or another number of dimensions, or the carry does not
            fit.

    Example:
        >>> import torch
        >>> from funcsci import nn, random
        >>> cell = nn.lstm_cell(5, 3)
        >>> outputs, (h, c) = nn.unroll(cell, cell.init(random.key(0)), torch.zeros(2, 10, 5))
        >>> outputs.shape, torch.equal(outputs[:, -1], h)
        (torch.Size([2, 10, 3]), True)
    """
    check_features(cell.features, x)
    axis = _time_axis(x, batch_first)
    batch = tuple(size for place, size in enumerate(x.shape[:-1]) if place != axis)
    carry = cell.start(params, batch) if carry is None else carry
    check_carry((*batch, cell.hidden), carry)
    steps = cell.project(params, x).unbind(axis)
    outputs = []
    for projected in reversed(steps) if reverse else steps:
        carry = cell.advance(params, projected, carry)
        outputs.append(hidden_of(carry))
    return torch.stack(outputs[::-1] if reverse else outputs, axis), carry


def rnn(
    features: int,
    hidden: int,
    *,
    layers: int = 1,
    nonlinearity: str = "tanh",
    bias: bool = True,
    bidirectional: bool = False,
    batch_first: bool = True,
) -> Recurrent:
    """Layers of plain cells; arguments, results and errors are those of `lstm`.

    Example:
        >>> import torch
        >>> from funcsci import nn, random
        >>> model = nn.rnn(5, 3)
        >>> model.apply(model.init(random.key(0)), torch.zeros(2, 10, 5))[0].shape
        torch.Size([2, 10, 3])
    """

    def make(size: int) -> Cell:
        return rnn_cell(size, hidden, nonlinearity=nonlinearity, bias=bias)

    return _stack(make, features, layers, bidirectional, batch_first)


def gru(
    features: int,
    hidden: int,
    *,
    layers: int = 1,
    bias: bool = True,
    bidirectional: bool = False,
    batch_first: bool = True,
) -> Recurrent:
    """Layers of gated recurrent units; arguments, results and errors are those of `lstm`.

    Example:
        >>> import torch
        >>> from funcsci import nn, random
        >>> model = nn.gru(5, 3, layers=2)
        >>> len(model.apply(model.init(random.key(0)), torch.zeros(2, 10, 5))[1])
        2
    """

    def make(size: int) -> Cell:
        return gru_cell(size, hidden, bias=bias)

    return _stack(make, features, layers, bidirectional, batch_first)


def lstm(
    features: int,
    hidden: int,
    *,
    layers: int = 1,
    bias: bool = True,
    bidirectional: bool = False,
    batch_first: bool = True,
) -> Recurrent:
    """Layers of long short-term memory, each along the outputs of the one before.

    Args:
        features: size of the last dimension of `x`.
        hidden: size of `h` in each direction.
        layers: how many, one upon the other.
        bias: whether to learn biases.
        bidirectional: whether each layer also has a cell that goes backwards; the outputs hold both.
        batch_first: whether the batch comes before the time, or after it.

    Returns:
        A `Recurrent`, whose params are those of a `torch.nn.LSTM` by name and shape.

    Raises:
        TypeError: if a size is no integer.
        ValueError: if a size is not positive; when applied, if `x` does not fit, or the carries.

    Example:
        >>> import torch
        >>> from funcsci import nn, random
        >>> model = nn.lstm(1, 64, layers=2)
        >>> params = model.init(random.key(0))
        >>> outputs, carries = model.apply(params, torch.zeros(8, 50, 1))
        >>> outputs.shape, sorted(params)[:2]
        (torch.Size([8, 50, 64]), ['bias_hh_l0', 'bias_hh_l1'])

    Differs from: `torch.nn.LSTM`, which takes the batch second by default, stacks its carries, and has no
        second derivatives in its fast kernel.
    """

    def make(size: int) -> Cell:
        return lstm_cell(size, hidden, bias=bias)

    return _stack(make, features, layers, bidirectional, batch_first)


def gradient_through_time(
    cell: Cell, params: Params, x: Float[Tensor, "time features"], carry: Carry | None = None
) -> Fading:
    r"""How much of each carry is left in the last hidden state, $\|\partial h_T / \partial s_t\|_2$.

    The chain of the steps' Jacobians, multiplied from the end; $s$ is $h$, and $(h, c)$ of an LSTM. That the
    norm falls like a power is what "vanishing gradients" means.

    Args:
        cell: of any kind.
        params: of the cell.
        x: one sequence.
        carry: where to begin; None is zeros.

    Returns:
        The norms and the bound.

    Raises:
        TypeError: if `x` is not a tensor.
        ValueError: if `x` has other features or another number of dimensions.

    Example:
        >>> import torch
        >>> from funcsci import nn, random
        >>> cell = nn.rnn_cell(1, 8)
        >>> fading = nn.gradient_through_time(cell, cell.init(random.key(0)), torch.zeros(5, 1))
        >>> bool((fading.norms <= fading.bound * (1 + 1e-5)).all()), float(fading.norms[-1])
        (True, 1.0)

    Source: Pascanu, Mikolov and Bengio (2013), arXiv:1211.5063, equations 5 to 7.
    """
    check_features(cell.features, x)
    if x.dim() != 2:
        remedy = "Pass one sequence, such as x[0]."
        raise ValueError(checks.message("have the shape (time, features)", "x.shape", tuple(x.shape), remedy))
    carry = cell.start(params, ()) if carry is None else carry
    check_carry((cell.hidden,), carry)
    flat, restored = tree.ravel(carry)
    jacobians = []
    for projected in cell.project(params, x).unbind(0):

        def step(flat: Tensor, projected: Tensor = projected) -> Tensor:
            return tree.ravel(cell.advance(params, projected, restored(flat)))[0]

        jacobians.append(torch.func.jacrev(step)(flat))
        flat = step(flat)
    left = torch.eye(cell.hidden, len(flat), dtype=x.dtype, device=x.device)  # h comes first
    norms = [torch.linalg.matrix_norm(left, 2)]
    for jacobian in reversed(jacobians):
        left = left @ jacobian
        norms.append(torch.linalg.matrix_norm(left, 2))
    largest = torch.linalg.matrix_norm(params["weight_hh"], 2)
    powers = torch.arange(len(x), -1, -1, dtype=x.dtype, device=x.device)
    return Fading(torch.stack(norms[::-1]), largest**powers)


def _stack(
    make: Callable[[int], Cell], features: int, layers: int, bidirectional: bool, batch_first: bool
) -> Recurrent:
    checks.integer(least=1, layers=layers)
    endings = ("", "_reverse") if bidirectional else ("",)
    first = make(features)
    cells = [first, *[make(len(endings) * first.hidden)] * (layers - 1)]
    places = [(layer, ending) for layer in range(layers) for ending in endings]

    def own(params: Params, layer: int, ending: str) -> Params:
        tail = f"_l{layer}{ending}"
        return {
            name.removesuffix(tail): leaf
            for name, leaf in params.items()
            if name.rpartition("_l")[2] == tail[2:]
        }

    def init(
        key: Key, *, dtype: torch.dtype | None = None, device: str | torch.device | None = None
    ) -> Params:
        key = placed(key, device)
        return {
            f"{name}_l{layer}{ending}": leaf
            for place, (layer, ending) in enumerate(places)
            for name, leaf in cells[layer]
            .init(random.fold_in(key, place), dtype=dtype, device=device)
            .items()
        }

    def apply(
        params: Params, x: Float[Tensor, "..."], carries: Sequence[Carry] | None = None
    ) -> tuple[Float[Tensor, "..."], list[Carry]]:
        if carries is not None and len(carries) != len(places):
            remedy = "Pass those that come out, or None."
            must = f"hold {len(places)} carries, one for each layer and direction"
            raise ValueError(checks.message(must, "len(carries)", len(carries), remedy))
        after: list[Carry] = []
        for layer, cell in enumerate(cells):
            outputs = []
            for ending in endings:
                before = None if carries is None else carries[len(after)]
                output, carry = unroll(
                    cell,
                    own(params, layer, ending),
                    x,
                    before,
                    batch_first=batch_first,
                    reverse=ending == "_reverse",
                )
                outputs.append(output)
                after.append(carry)
            x = torch.cat(outputs, -1)
        return x, after

    return Recurrent(init, apply)


def _time_axis(x: Tensor, batch_first: bool) -> int:
    order = "(batch, time, features)" if batch_first else "(time, batch, features)"
    if x.dim() not in (2, 3):
        raise ValueError(
            f"x must have the shape {order} or (time, features). Got x of shape {tuple(x.shape)}. "
            "Add the time: x.unsqueeze(-2) is a sequence of one."
        )
    axis = 1 if batch_first and x.dim() == 3 else 0
    if x.shape[axis] == 0:
        raise ValueError(
            f"x must hold at least one time. Got x of shape {tuple(x.shape)}. Pass a longer sequence."
        )
    return axis
