"""The networks of a transformer, which work at each position by itself."""

import torch
from jaxtyping import Float
from torch import Tensor

from funcsci import checks, random
from funcsci.nn.activations import Activation
from funcsci.nn.activations import activation as activation_of
from funcsci.nn.initializers import Initializer
from funcsci.nn.linear import linear
from funcsci.nn.model import Model, Params, placed
from funcsci.random import Key


def feed_forward(
    width: int,
    hidden: int | None = None,
    *,
    activation: str | Activation = "relu",
    gated: bool = False,
    bias: bool = True,
    weight_init: Initializer | None = None,
) -> Model:
    r"""Two affine maps, $y = W_2\, \sigma(W_1 x)$, or with a gate, $y = W_2\, (\sigma(W_1 x) \odot W_g x)$.

    A gate with the identity for $\sigma$ is bilinear: it holds every quadratic form of `x` exactly, such as
    the vector field of Lorenz's equations, which no other activation does.

    Args:
        width: size of the last dimension of `x` and `y`.
        hidden: how many numbers there are between the maps; None is `4 * width`.
        activation: $\sigma$, a name in `ACTIVATIONS` or a function.
        gated: whether there is a gate.
        bias: whether the maps have biases.
        weight_init: draws the weights; None is that of `linear`. Products of small factors are smaller still:
            with a gate and the identity, `initializers.lecun_normal()` keeps their size.

    Returns:
        A model whose params are `linear1`, `linear2` and, with a gate, `gate`, each with `weight` and `bias`.

    Raises:
        TypeError: if a size is no integer, or the activation neither name nor function.
        ValueError: if a size is not positive, or the name is unknown; when applied, if `x` has another width.

    Example:
        A product of two inputs, exactly:

        >>> import torch
        >>> model = feed_forward(2, 1, activation="identity", gated=True, bias=False)
        >>> params = {
        ...     "linear1": {"weight": torch.tensor([[1.0, 0.0]])},
        ...     "gate": {"weight": torch.tensor([[0.0, 1.0]])},
        ...     "linear2": {"weight": torch.tensor([[1.0], [0.0]])},
        ... }
        >>> model.apply(params, torch.tensor([3.0, 5.0]))
        tensor([15.,  0.])

    Source: Vaswani et al. (2017), arXiv:1706.03762, section 3.3; Dauphin et al. (2016), arXiv:1612.08083, and
        Shazeer (2020), arXiv:2002.05202, for the gate.
    """
    hidden = 4 * width if hidden is None else hidden
    checks.integer(least=1, width=width, hidden=hidden)
    sigma = activation_of(activation)
    into = linear(width, hidden, bias=bias, weight_init=weight_init)
    out = linear(hidden, width, bias=bias, weight_init=weight_init)
    parts = {"linear1": into, "linear2": out, **({"gate": into} if gated else {})}

    def init(
        key: Key, *, dtype: torch.dtype | None = None, device: str | torch.device | None = None
    ) -> Params:
        # Always three keys, so that the maps do not depend on whether there is a gate.
        keys = random.split(placed(key, device), 3)
        return {
            name: part.init(one, dtype=dtype) for one, (name, part) in zip(keys, parts.items(), strict=False)
        }

    def apply(params: Params, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        inner = sigma(into.apply(params["linear1"], x))
        if gated:
            inner = inner * into.apply(params["gate"], x)
        return out.apply(params["linear2"], inner)

    return Model(init, apply)
