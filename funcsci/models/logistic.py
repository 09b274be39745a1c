"""Logistic regression from its equations."""

import torch
from jaxtyping import Float
from torch import Tensor

from funcsci import nn
from funcsci.nn import Model
from funcsci.tree import Params, Scalar


def logistic_regression(features: int = 2) -> Model:
    r"""The log-odds of class 1 as an affine function of the features, $z = w^\top x + b$.

    Args:
        features: size of the last dimension of `x`.

    Returns:
        A model whose params are `weight`, shape `(1, features)`, and `bias`, shape `(1,)`. It maps `x`, shape
        `(*batch, features)`, to logits of shape `(*batch,)`; `sigmoid` makes them probabilities.

    Raises:
        TypeError: if `features` is no integer.
        ValueError: if it is below 1; when applied, if `x` has another last dimension.

    Example:
        >>> import torch
        >>> model = logistic_regression(2)
        >>> params = {"weight": torch.tensor([[1.0, 1.0]]), "bias": torch.tensor([0.0])}
        >>> sigmoid(model.apply(params, torch.tensor([[0.0, 0.0], [2.0, 2.0]])))
        tensor([0.5000, 0.9820])

    Source: Cox (1958), doi:10.1111/j.2517-6161.1958.tb00292.x.
    """
    affine = nn.linear(features, 1)
    return Model(affine.init, lambda params, x: affine.apply(params, x).squeeze(-1))


def sigmoid(logits: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    r"""The probability that has these log-odds, $\sigma(z) = 1 / (1 + e^{-z})$.

    Args:
        logits: $z$, any real numbers.

    Returns:
        Probabilities. Where $e^{-z}$ overflows they are 0, as they should.

    Example:
        >>> import torch
        >>> sigmoid(torch.tensor([0.0, -1000.0]))
        tensor([0.5000, 0.0000])
    """
    return 1 / (1 + torch.exp(-logits))


def cross_entropy_by_hand(
    probability: Float[Tensor, "batch"], labels: Float[Tensor, "batch"]
) -> Float[Tensor, ""]:
    r"""The loss as it is written, $-\frac1N \sum y \log \hat y + (1 - y) \log (1 - \hat y)$.

    Args:
        probability: $\hat y$, of class 1.
        labels: $y$, 0 or 1.

    Returns:
        The mean, shape (). It is infinite or nan where a probability has been rounded to 0 or 1, which in
        float32 happens from logits of 17 on: `logistic_loss` has neither.

    Example:
        >>> import torch
        >>> z, y = torch.tensor([2.0, 20.0]), torch.tensor([1.0, 0.0])
        >>> cross_entropy_by_hand(sigmoid(z), y), nn.binary_cross_entropy_with_logits(z, y)
        (tensor(inf), tensor(10.0635))
    """
    return -(labels * torch.log(probability) + (1 - labels) * torch.log(1 - probability)).mean()


def logistic_loss(
    params: Params, x: Float[Tensor, "batch features"], labels: Float[Tensor, "batch"], *, l2: float = 0.0
) -> Scalar:
    r"""The regularised loss in its stable form, $\frac1N \sum \log(e^0 + e^z) - y z + \frac\lambda2 \|w\|^2$.

    The logarithm of a sum of exponentials is finite for every $z$, and so is its gradient. On classes that a
    line separates the loss without $\lambda$ has no minimum: the weights grow for ever.

    Args:
        params: `weight` and `bias` of `logistic_regression`.
        x: features.
        labels: 0 or 1.
        l2: $\lambda$; the bias is left out of it.

    Returns:
        The loss, shape ().

    Raises:
        ValueError: if `x` does not fit the weights, or a label is not in [0, 1].

    Example:
        >>> import torch
        >>> params = {"weight": torch.zeros(1, 2), "bias": torch.zeros(1)}
        >>> logistic_loss(params, torch.ones(4, 2), torch.ones(4))
        tensor(0.6931)
    """
    weight: Tensor = params["weight"]
    logits = logistic_regression(weight.shape[1]).apply(params, x)
    return nn.binary_cross_entropy_with_logits(logits, labels) + l2 / 2 * (weight**2).sum()
