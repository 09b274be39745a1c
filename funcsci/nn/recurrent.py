"""Recurrent cells: what they remember, and how one step changes it."""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from funcsci import checks, random, tree
from funcsci.nn import initializers
from funcsci.nn.linear import check_features
from funcsci.nn.model import Params, placed
from funcsci.random import Key

Carry: TypeAlias = Tensor | tuple[Tensor, Tensor]
"""What a cell hands on to its next step: `h`, or `(h, c)` of an LSTM, each of shape `(*batch, hidden)`."""

NONLINEARITIES = {"tanh": torch.tanh, "relu": torch.relu}
"""Of the plain cell."""


class Cell(NamedTuple):
    """One step of a recurrent network, as pure functions.

    Its params are torch's: `weight_ih`, shape `(gates * hidden, features)`, `weight_hh`, shape
    `(gates * hidden, hidden)`, and `bias_ih` and `bias_hh`, shape `(gates * hidden,)`.

    Attributes:
        init: `init(key, *, dtype=None, device=None) -> params`, uniform in ±1/sqrt(hidden).
        start: `start(params, batch) -> carry`, zeros, for the shape of the batch dimensions.
        project: `project(params, x)`, the input's part in all gates, by one affine map; `x` may hold all
            times.
        advance: `advance(params, projected, carry) -> carry`, the step for a projected input.
        features: size of the last dimension of `x`.
        hidden: size of the last dimension of `h`.
    """

    init: Callable[..., Params]
    start: Callable[[Params, tuple[int, ...]], Carry]
    project: Callable[[Params, Tensor], Tensor]
    advance: Callable[[Params, Tensor, Carry], Carry]
    features: int
    hidden: int

    def apply(self, params: Params, x: Float[Tensor, "*batch features"], carry: Carry | None = None) -> Carry:
        """The carry after one input.

        Args:
            params: of the cell.
            x: the input, shape `(*batch, features)`.
            carry: what was remembered; None is zeros.

        Raises:
            TypeError: if `x` is not a tensor.
            ValueError: if `x` has other features, or the carry another shape.
        """
        check_features(self.features, x)
        carry = self.start(params, tuple(x.shape[:-1])) if carry is None else carry
        check_carry((*x.shape[:-1], self.hidden), carry)
        return self.advance(params, self.project(params, x), carry)


def rnn_cell(features: int, hidden: int, *, nonlinearity: str = "tanh", bias: bool = True) -> Cell:
    r"""The plain cell, $h' = \tanh(W_x x + b_x + W_h h + b_h)$.

    Args:
        features: size of the last dimension of `x`.
        hidden: size of `h`.
        nonlinearity: `"tanh"` or `"relu"`.
        bias: whether to learn $b_x$ and $b_h$.

    Returns:
        A `Cell` whose carry is `h`.

    Raises:
        TypeError: if a size is no integer.
        ValueError: if a size is not positive, or the name is unknown.

    Example:
        >>> import torch
        >>> from funcsci import nn, random
        >>> cell = nn.rnn_cell(5, 3)
        >>> params = cell.init(random.key(0))
        >>> h = cell.apply(params, torch.zeros(2, 5))
        >>> cell.apply(params, torch.ones(2, 5), h).shape
        torch.Size([2, 3])

    Source: Elman (1990), doi:10.1207/s15516709cog1402_1.
    """
    checks.one_of(NONLINEARITIES, nonlinearity=nonlinearity)
    sigma = NONLINEARITIES[nonlinearity]

    def advance(params: Params, projected: Tensor, carry: Carry) -> Carry:
        return sigma(projected + _recalled(params, hidden_of(carry)))

    return _cell(features, hidden, 1, bias, advance, _zeros(hidden))


def gru_cell(features: int, hidden: int, *, bias: bool = True) -> Cell:
    r"""The gated recurrent unit, $h' = (1 - z) \odot n + z \odot h$.

    $r = \sigma(W_r x + U_r h)$, $z = \sigma(W_z x + U_z h)$, $n = \tanh(W_n x + r \odot U_n h)$, each
    product with its bias.

    Args:
        features: size of the last dimension of `x`.
        hidden: size of `h`.
        bias: whether to learn the biases.

    Returns:
        A `Cell` whose carry is `h`; its weights hold the rows of $r$, $z$ and $n$ in this order.

    Raises:
        TypeError: if a size is no integer.
        ValueError: if a size is not positive.

    Example:
        >>> import torch
        >>> from funcsci import nn, random
        >>> cell = nn.gru_cell(5, 3)
        >>> cell.apply(cell.init(random.key(0)), torch.zeros(2, 5)).shape
        torch.Size([2, 3])

    Source: Cho et al. (2014), arXiv:1406.1078, with torch's place for the reset gate: after the product.
    """

    def advance(params: Params, projected: Tensor, carry: Carry) -> Carry:
        h = hidden_of(carry)
        reset_x, update_x, new_x = projected.chunk(3, -1)
        reset_h, update_h, new_h = _recalled(params, h).chunk(3, -1)
        update = torch.sigmoid(update_x + update_h)
        new = torch.tanh(new_x + torch.sigmoid(reset_x + reset_h) * new_h)
        return (1 - update) * new + update * h

    return _cell(features, hidden, 3, bias, advance, _zeros(hidden))


def lstm_cell(features: int, hidden: int, *, bias: bool = True) -> Cell:
    r"""Long short-term memory, $c' = f \odot c + i \odot g$ and $h' = o \odot \tanh c'$.

    $(i, f, g, o) = (\sigma, \sigma, \tanh, \sigma)(W x + U h + b)$, all gates by one map. The derivative of
    $c'$ by $c$ is $f$: what is remembered fades as the forget gate lets it, not by a power of a matrix.

    Args:
        features: size of the last dimension of `x`.
        hidden: size of `h` and `c`.
        bias: whether to learn $b$.

    Returns:
        A `Cell` whose carry is `(h, c)`; its weights hold the rows of $i$, $f$, $g$ and $o$ in this order.

    Raises:
        TypeError: if a size is no integer.
        ValueError: if a size is not positive.

    Example:
        >>> import torch
        >>> from funcsci import nn, random
        >>> cell = nn.lstm_cell(5, 3)
        >>> h, c = cell.apply(cell.init(random.key(0)), torch.zeros(2, 5))
        >>> h.shape, c.shape
        (torch.Size([2, 3]), torch.Size([2, 3]))

    Source: Hochreiter and Schmidhuber (1997), doi:10.1162/neco.1997.9.8.1735; Gers, Schmidhuber and Cummins
        (2000), doi:10.1162/089976600300015015, for the forget gate.
    """

    def advance(params: Params, projected: Tensor, carry: Carry) -> Carry:
        h, c = carry
        i, f, g, o = (projected + _recalled(params, h)).chunk(4, -1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c

    zeros = _zeros(hidden)
    return _cell(features, hidden, 4, bias, advance, lambda params, batch: (zeros(params, batch),) * 2)


def hidden_of(carry: Carry) -> Tensor:
    """The `h` of a carry, which is the cell's output."""
    return carry if isinstance(carry, Tensor) else carry[0]


def check_carry(shape: tuple[int, ...], carry: Carry) -> None:
    """Each part of a carry has the shape.

    Raises:
        ValueError: if one has not.
    """
    for leaf in tree.leaves(carry):
        if tuple(leaf.shape) != shape:
            raise ValueError(
                f"carry must have the shape {shape}. Got {tuple(leaf.shape)}. "
                "Leave it out to begin with zeros."
            )


def _recalled(params: Params, h: Tensor) -> Tensor:
    return F.linear(h, params["weight_hh"], params.get("bias_hh"))


def _zeros(hidden: int) -> Callable[[Params, tuple[int, ...]], Tensor]:
    def start(params: Params, batch: tuple[int, ...]) -> Tensor:
        zeros: Tensor = params["weight_hh"].new_zeros((*batch, hidden))
        return zeros

    return start


def _cell(
    features: int,
    hidden: int,
    gates: int,
    bias: bool,
    advance: Callable[[Params, Tensor, Carry], Carry],
    start: Callable[[Params, tuple[int, ...]], Carry],
) -> Cell:
    checks.integer(least=1, features=features, hidden=hidden)
    shapes: dict[str, tuple[int, ...]] = {
        "weight_ih": (gates * hidden, features),
        "weight_hh": (gates * hidden, hidden),
        **({"bias_ih": (gates * hidden,), "bias_hh": (gates * hidden,)} if bias else {}),
    }
    draw = initializers.fan_in_uniform(fan_in=hidden)

    def init(
        key: Key, *, dtype: torch.dtype | None = None, device: str | torch.device | None = None
    ) -> Params:
        # Always four keys, so that the weights do not depend on whether there are biases.
        keys = random.split(placed(key, device), 4)
        return {
            name: draw(one, shape, dtype=dtype, device=device)
            for one, (name, shape) in zip(keys, shapes.items(), strict=False)
        }

    def project(params: Params, x: Tensor) -> Tensor:
        return F.linear(x, params["weight_ih"], params.get("bias_ih"))

    return Cell(init, start, project, advance, features, hidden)
