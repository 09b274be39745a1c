"""Running means of gradients and of their squares, and the bias of their first steps."""

import torch
from torch import Tensor

from funcsci.tree import Scalar


def running_mean(m: Tensor, g: Tensor, beta: float) -> Tensor:
    r"""The first moment, $m' = \beta m + (1 - \beta) g$."""
    return torch.lerp(m, g, 1 - beta)


def running_square(v: Tensor, g: Tensor, beta: float) -> Tensor:
    r"""The second moment, $v' = \beta v + (1 - \beta) g^2$."""
    return torch.addcmul(beta * v, g, g, value=1 - beta)


def debias(beta: float, steps: Scalar) -> Scalar:
    r"""The share $1 - \beta^n$ of a running mean of $n$ steps that is not its first value, zero.

    Float64, where $1 - \beta^n$ keeps its digits; to be cast to each leaf's own dtype, for under vmap a
    0-d float64 tensor would widen a float32 leaf.

    Example:
        >>> debias(0.9, torch.tensor(2))
        tensor(0.1900, dtype=torch.float64)
    """
    return 1 - beta ** steps.to(torch.float64)
