"""L-BFGS: a model of the inverse Hessian that is only a few pairs of vectors."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from funcsci import checks
from funcsci.optim.quasi_newton import Pair, QuasiNewton, useful
from funcsci.tree import Scalar


class Memory(NamedTuple):
    r"""The last pairs of L-BFGS, the newest first; a pair not yet there is zero, with weight zero.

    Attributes:
        steps: as many steps as are remembered.
        changes: the gradients' changes over them.
        weights: $1 / y^\top s$ of each pair, shape ().
        scale: $y^\top s / y^\top y$ of the newest pair, shape ().
    """

    steps: tuple[Float[Tensor, "parameters"], ...]
    changes: tuple[Float[Tensor, "parameters"], ...]
    weights: tuple[Scalar, ...]
    scale: Scalar


def empty_memory(start: Float[Tensor, "parameters"], scale: Scalar, length: int) -> Memory:
    """A memory without pairs, whose inverse Hessian is `scale` times the identity.

    Args:
        start: gives shape, dtype and device.
        scale: shape ().
        length: how many pairs it will hold.

    Returns:
        The memory. Its zeros share one tensor.
    """
    zeros, none = torch.zeros_like(start), torch.zeros_like(scale)
    return Memory((zeros,) * length, (zeros,) * length, (none,) * length, scale)


def remember(memory: Memory, pair: Pair) -> Memory:
    r"""The memory with a new pair in place of the oldest.

    A pair that is not `useful` gets no weight.

    Args:
        memory: the pairs before.
        pair: $s$ and $y$; $s^\top B s$ is not used.

    Returns:
        A new memory of the same length.
    """
    known, slope = useful(pair), pair.change @ pair.step
    slope = torch.where(known, slope, torch.ones_like(slope))
    scale = torch.where(known, slope / (pair.change @ pair.change), memory.scale)
    weight = torch.where(known, 1 / slope, torch.zeros_like(slope))
    return Memory(
        (pair.step, *memory.steps[:-1]),
        (pair.change, *memory.changes[:-1]),
        (weight, *memory.weights[:-1]),
        scale,
    )


def two_loops(memory: Memory, gradient: Float[Tensor, "parameters"]) -> Float[Tensor, "parameters"]:
    r"""The product $H g$ with the inverse Hessian of L-BFGS, which is never formed.

    Args:
        memory: pairs $s_i, y_i$, and the scale $\gamma$ of $H_0 = \gamma I$.
        gradient: $g$.

    Returns:
        $H g$, in $4 m n$ multiplications.

    Example:
        >>> import torch
        >>> step, change = torch.tensor([1.0, 0.0]), torch.tensor([2.0, 1.0])
        >>> memory = empty_memory(step, torch.tensor(1.0), 3)
        >>> two_loops(remember(memory, Pair(step, change, step @ step)), change)
        tensor([1., 0.])

    Source: Nocedal (1980), doi:10.1090/S0025-5718-1980-0572855-7; Nocedal and Wright (2006),
    doi:10.1007/978-0-387-40065-5, algorithm 7.4.
    """
    shares = []
    for step, change, weight in zip(memory.steps, memory.changes, memory.weights, strict=True):
        share = weight * (step @ gradient)
        shares.append(share)
        gradient = gradient - share * change
    result = memory.scale * gradient
    oldest_first = reversed(list(zip(memory.steps, memory.changes, memory.weights, shares, strict=True)))
    for step, change, weight, share in oldest_first:
        result = result + (share - weight * (change @ result)) * step
    return result


def limited(memory: int) -> QuasiNewton:
    """L-BFGS, whose model is a `Memory`.

    Args:
        memory: how many pairs it holds.

    Raises:
        ValueError: if that is none.
    """
    checks.integer(memory=memory, least=1)
    return QuasiNewton(lambda params, scale: empty_memory(params, scale, memory), remember, two_loops)
