"""A forecaster: the next state of a series from those before it."""

import torch
from jaxtyping import Float
from torch import Tensor

from funcsci import nn, random
from funcsci.nn import Model, Params
from funcsci.nn.model import placed
from funcsci.random import Key


def forecaster(features: int = 1, hidden: int = 64, layers: int = 2) -> Model:
    r"""Long short-term memory and an affine map of what it holds at the end, $\hat x_{t+1} = W h_t + b$.

    Many to one: the layers read the window from its first state to its last, and only the last hidden state
    of the upper layer is used.

    Args:
        features: numbers in a state.
        hidden: size of the hidden and of the cell state of each layer.
        layers: how many, one upon the other.

    Returns:
        A model that maps windows `x`, shape `(*batch, time, features)`, of any length, to the next states,
        shape `(*batch, features)`; the batch has one dimension or none. Its params are `lstm`, of `nn.lstm`,
        and `head`, of `nn.linear`.

    Raises:
        TypeError: if a size is no integer.
        ValueError: if a size is not positive; when applied, if `x` has other features, no time, or another
            number of dimensions.

    Example:
        >>> from funcsci import data
        >>> model = forecaster()
        >>> params = model.init(random.key(0))
        >>> w = data.windows(data.noisy_waves(random.key(1))["y"], 51)
        >>> x, y = w[:, :-1], w[:, -1]
        >>> x.shape, y.shape, model.apply(params, x[:8]).shape
        (torch.Size([950, 50, 1]), torch.Size([950, 1]), torch.Size([8, 1]))

    Source: Hochreiter and Schmidhuber (1997), doi:10.1162/neco.1997.9.8.1735.
    """
    lstm = nn.lstm(features, hidden, layers=layers)
    head = nn.linear(hidden, features)

    def init(
        key: Key, *, dtype: torch.dtype | None = None, device: str | torch.device | None = None
    ) -> Params:
        first, last = random.split(placed(key, device))
        return {"lstm": lstm.init(first, dtype=dtype), "head": head.init(last, dtype=dtype)}

    def apply(params: Params, x: Float[Tensor, "*batch time features"]) -> Float[Tensor, "*batch features"]:
        outputs, _ = lstm.apply(params["lstm"], x)
        return head.apply(params["head"], outputs[..., -1, :])

    return Model(init, apply)
