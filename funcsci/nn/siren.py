"""Sine networks, with first values under which depth neither damps nor amplifies a signal."""

import itertools
import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from funcsci import checks, random
from funcsci.nn import initializers
from funcsci.nn.linear import linear
from funcsci.nn.model import Model, Params, check_length, placed
from funcsci.random import Key


def siren(widths: Sequence[int], *, omega0: float = 30.0, omega: float = 1.0) -> Model:
    r"""A sine network, $h_1 = \sin(\omega_0 (W_1 x + b_1))$, $h_i = \sin(\omega (W_i h_{i-1} + b_i))$.

    The last layer is affine, $y = W_n h_{n-1} + b_n$. With $m$ inputs to a layer, $W_1$ is uniform in
    $\pm 1/m$ and each other $W_i$ in $\pm\sqrt{6/m}/\omega$. What the second sine is taken of is then normal
    with standard deviation one; with depth that settles at 0.89, the root of $s^2 = 1 - \exp(-2 s^2)$.

    Args:
        widths: sizes of the input, of each hidden layer and of the output; two at least.
        omega0: how fast the first layer oscillates, in radians per unit of `x`, which is meant to lie in
            [-1, 1]. Equations with second derivatives often want less than the paper's 30.
        omega: a factor taken out of the other layers' weights. It changes no hidden layer's first values,
            only their gradients, which grow with it; the authors' own code has 30.

    Returns:
        A model whose params are `{"layers": [{"weight", "bias"}, ...]}`, as those of `mlp`. It maps `x`,
        shape `(*batch, widths[0])`, to `(*batch, widths[-1])`. Layer `i` draws from
        `random.fold_in(key, i)`.

    Raises:
        TypeError: if `widths` holds no integers, or a frequency is not a number.
        ValueError: if there are fewer than two widths, or one or a frequency is not positive; and, when
            applied, if `x` has another last dimension.

    Example:
        >>> import torch
        >>> from funcsci import nn, random
        >>> model = nn.siren((1, 64, 64, 1), omega0=10.0)
        >>> params = model.init(random.key(0))
        >>> curve = torch.func.grad(torch.func.grad(lambda x: model.apply(params, x[None]).squeeze()))
        >>> torch.func.vmap(curve)(torch.linspace(-1, 1, 5)).shape
        torch.Size([5])

    Source: Sitzmann et al. (2020), arXiv:2006.09661, section 3.2 for the network, supplement 1 for its first
    values.

    Differs from: the authors' code in the biases behind the first, uniform in ±1/(sqrt(m) omega) and not
    ±1/sqrt(m), so that omega leaves the distribution of every hidden layer as it is.
    """
    checks.widths(widths=widths)
    if len(widths) < 2:
        remedy = f"Try widths=({widths[0]}, 32, 1)."
        raise ValueError(checks.message("hold an input and an output width", "widths", widths, remedy))
    checks.positive(omega0=omega0, omega=omega)
    first = widths[0]
    layers = [linear(first, widths[1], weight_init=_within(1 / first))]
    for narrow, wide in itertools.pairwise(widths[1:]):
        weight, bias = _within(math.sqrt(6 / narrow) / omega), _within(1 / (math.sqrt(narrow) * omega))
        layers.append(linear(narrow, wide, weight_init=weight, bias_init=bias))

    def init(
        key: Key, *, dtype: torch.dtype | None = None, device: str | torch.device | None = None
    ) -> Params:
        key = placed(key, device)
        keys = [random.fold_in(key, index) for index in range(len(layers))]
        made = [layer.init(k, dtype=dtype, device=device) for layer, k in zip(layers, keys, strict=True)]
        return {"layers": made}

    def apply(params: Params, x: Float[Tensor, "*batch in"]) -> Float[Tensor, "*batch out"]:
        given = params["layers"]
        check_length(len(layers), **{"params['layers']": given})
        for index, layer in enumerate(layers[:-1]):
            x = torch.sin((omega if index else omega0) * layer.apply(given[index], x))
        return layers[-1].apply(given[-1], x)

    return Model(init, apply)


def _within(bound: float) -> initializers.Initializer:
    return initializers.uniform(-bound, bound)
