"""Affine layers, and the multilayer perceptron made of them."""

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from funcsci import checks, random
from funcsci.nn import activations, initializers
from funcsci.nn.initializers import Initializer, check_initializers
from funcsci.nn.model import Model, Params, check_length, placed
from funcsci.random import Key


def linear(
    in_features: int,
    out_features: int,
    *,
    bias: bool = True,
    weight_init: Initializer | None = None,
    bias_init: Initializer | None = None,
) -> Model:
    """An affine map, `y = x W^T + b`.

    Args:
        in_features: size of the last dimension of `x`.
        out_features: size of the last dimension of `y`.
        bias: whether to learn `b`.
        weight_init: draws `W`; None is uniform in ±1/sqrt(in_features), as `torch.nn.Linear`.
        bias_init: draws `b`; None is the same interval.

    Returns:
        A model whose params are `weight`, shape `(out_features, in_features)`, and `bias`, shape
        `(out_features,)`. It maps `x`, shape `(*batch, in_features)`, to `(*batch, out_features)`, for
        any number of batch dimensions, none included.

    Raises:
        TypeError: if a size is not an integer, or an initializer is not a function.
        ValueError: if a size is not positive; and, when applied, if `x` has another last dimension.

    Example:
        >>> import torch
        >>> from funcsci import nn, random
        >>> model = nn.linear(3, 2, bias_init=nn.initializers.zeros())
        >>> params = model.init(random.key(0))
        >>> params["bias"]
        tensor([0., 0.])
        >>> model.apply(params, torch.zeros(5, 3)).shape
        torch.Size([5, 2])

    Differs from: `torch.nn.Linear` in the random numbers, not in their distribution.
    """
    checks.integer(least=1, in_features=in_features, out_features=out_features)
    check_initializers(weight_init=weight_init, bias_init=bias_init)
    draw_weight = weight_init or initializers.fan_in_uniform()
    draw_bias = bias_init or initializers.fan_in_uniform(fan_in=in_features)

    def init(
        key: Key, *, dtype: torch.dtype | None = None, device: str | torch.device | None = None
    ) -> Params:
        # Split even without a bias, so that the weight does not depend on whether there is one.
        keys = random.split(placed(key, device))
        weight = draw_weight(keys[0], (out_features, in_features), dtype=dtype, device=device)
        if not bias:
            return {"weight": weight}
        return {"weight": weight, "bias": draw_bias(keys[1], (out_features,), dtype=dtype, device=device)}

    def apply(params: Params, x: Float[Tensor, "*batch in"]) -> Float[Tensor, "*batch out"]:
        check_features(in_features, x)
        return F.linear(x, params["weight"], params.get("bias"))

    return Model(init, apply)


def mlp(
    widths: Sequence[int],
    *,
    activation: str | activations.Activation = "tanh",
    bias: bool = True,
    weight_init: Initializer | None = None,
    bias_init: Initializer | None = None,
) -> Model:
    """A multilayer perceptron, `h_0 = x`, `h_i = σ(W_i h_{i-1} + b_i)`, `y = W_n h_{n-1} + b_n`.

    Args:
        widths: sizes of the input, of each hidden layer and of the output; two at least.
        activation: `σ`, a name in `ACTIVATIONS` or a function; it does not follow the last layer.
        bias: whether to learn the `b_i`.
        weight_init: draws each `W_i`; None is uniform in ±1/sqrt(W_i's input size).
        bias_init: draws each `b_i`; None is the same interval.

    Returns:
        A model whose params are `{"layers": [{"weight", "bias"}, ...]}`. It maps `x`, shape
        `(*batch, widths[0])`, to `(*batch, widths[-1])`. Layer `i` draws from `random.fold_in(key, i)`.

    Raises:
        TypeError: if `widths` holds no integers, or `activation` is neither name nor function.
        ValueError: if there are fewer than two widths, one is not positive, or the name is unknown;
            and, when applied, if `x` has another last dimension.

    Example:
        >>> import torch
        >>> from funcsci import nn, random, tree
        >>> model = nn.mlp((1, 32, 32, 1), activation=torch.tanh)
        >>> params = model.init(random.key(0))
        >>> tree.size(params)
        1153
        >>> model.apply(params, torch.zeros(64, 1)).shape
        torch.Size([64, 1])
        >>> derivative = torch.func.grad(lambda x: model.apply(params, x).squeeze())
        >>> torch.func.vmap(derivative)(torch.zeros(64, 1)).shape
        torch.Size([64, 1])
    """
    checks.widths(widths=widths)
    if len(widths) < 2:
        remedy = f"Try widths=({widths[0]}, 32, 1)."
        raise ValueError(checks.message("hold an input and an output width", "widths", widths, remedy))
    sigma = activations.activation(activation)
    layers = [
        linear(narrow, wide, bias=bias, weight_init=weight_init, bias_init=bias_init)
        for narrow, wide in itertools.pairwise(widths)
    ]

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
            x = sigma(layer.apply(given[index], x))
        return layers[-1].apply(given[-1], x)

    return Model(init, apply)


def check_features(expected: int, x: Tensor) -> None:
    """The last dimension of `x` has the expected size. Under `vmap` it is one sample that is looked at.

    Raises:
        TypeError: if `x` is not a tensor.
        ValueError: if it has no dimensions, or the last has another size.
    """
    if not isinstance(x, Tensor):
        raise TypeError(checks.message("be a tensor", "x", x, "Try torch.as_tensor(x)."))
    if x.dim() == 0 or x.shape[-1] != expected:
        raise ValueError(
            f"x must have {expected} features in its last dimension. Got x of shape {tuple(x.shape)}. "
            f"Pass x of shape (..., {expected}), or make the layer for another number of features."
        )
