"""Collocation points: where an equation is asked to hold."""

import math
from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from funcsci import random
from funcsci.pinn.problem import Oscillator
from funcsci.pinn.trial import distances, layer_share
from funcsci.random import Key

BLOCK = 256
"""Batches of random points that are drawn at once."""


def collocation(
    problem: Oscillator, count: int, *, dtype: torch.dtype, device: torch.device
) -> Float[Tensor, "count"]:
    r"""Chebyshev points, $s_i = -\cos \pi \tfrac{i + 1/2}{n}$, and graded ones behind a fast transient.

    Args:
        problem: gives the interval.
        count: how many points.
        dtype: of the result.
        device: of the result.

    Returns:
        Times, shape `(count,)`.
    """
    graded = int(layer_share(problem) * count)
    index = torch.arange(count - graded, dtype=dtype, device=device)
    s = -torch.cos(math.pi * (index + 0.5) / (count - graded))
    if graded:
        share = (torch.arange(graded, dtype=dtype, device=device) + 0.5) / graded
        s = torch.cat([-1 + distances(problem, share), s])
    return problem.t_span[0] + 0.5 * problem.duration * (s + 1)


def random_batches(
    problem: Oscillator, key: Key, count: int, *, dtype: torch.dtype
) -> Iterator[Float[Tensor, "count"]]:
    """Batches of times, uniform on the interval and new at every step, without end.

    Args:
        problem: gives the interval.
        key: the random key, whose device is that of the points; batch `i` depends on it and on `i` alone.
        count: points in a batch.
        dtype: of the points.

    Yields:
        Times, shape `(count,)`.
    """
    block = 0
    start, end = problem.t_span
    while True:
        own = random.fold_in(key, block)
        yield from random.uniform(own, (BLOCK, count), dtype=dtype, minval=start, maxval=end)
        block += 1
