"""Points of a series and their neighbours in space that are none in time."""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from funcsci import checks

BLOCK = 200_000
"""The most distances that are held at once: they stay in the processor's cache."""


def delay_embedding(
    series: Float[Tensor, "time features"], dimension: int, delay: int
) -> Float[Tensor, "points coordinates"]:
    r"""States made of what was seen at several times, where the whole state was not.

    $(x_i, x_{i + \tau}, \dots, x_{i + (m - 1) \tau})$; for almost every quantity seen, and $m$ above twice
    the dimension of the attractor, it has the same exponents and dimensions.

    Args:
        series: $x$ at equal distances in time.
        dimension: $m$, how many times make a state.
        delay: $\tau$, how many steps lie between two of them.

    Returns:
        The states in the order of time, $(m - 1) \tau$ fewer than the series has.

    Raises:
        TypeError: if an argument is of the wrong kind.
        ValueError: if a number is not positive, or the series is too short.

    Example:
        >>> delay_embedding(torch.arange(6.0)[:, None], 3, 2)
        tensor([[0., 2., 4.],
                [1., 3., 5.]])

    Source: Takens (1981), doi:10.1007/BFb0091924.
    """
    check_series(series=series)
    checks.integer(least=1, dimension=dimension, delay=delay)
    count = len(series) - (dimension - 1) * delay
    if count < 1:
        must = f"hold more than {(dimension - 1) * delay} states, the span of one point"
        raise ValueError(checks.message(must, "len(series)", len(series), "Try a smaller delay."))
    return torch.cat([series[place * delay :][:count] for place in range(dimension)], -1)


def distances(points: Tensor, theiler: int) -> Iterator[Tensor]:
    """The distances of some points to all, block by block; infinite within the window in time."""
    count = len(points)
    when = torch.arange(count, device=points.device)
    for block in torch.split(when, max(1, BLOCK // count)):
        apart = torch.cdist(points[block], points, compute_mode="donot_use_mm_for_euclid_dist")
        yield torch.where((block[:, None] - when).abs() <= theiler, torch.inf, apart)


def nearest(points: Tensor, theiler: int) -> Tensor:
    """The place of each point's nearest neighbour outside the window, that does not lie on the point."""
    found = [torch.where(apart == 0, torch.inf, apart).argmin(1) for apart in distances(points, theiler)]
    return torch.cat(found)


def check_series(**values: Tensor) -> None:
    """Each is a tensor of shape `(time, features)` of numbers."""
    for name, one in values.items():
        if not isinstance(one, Tensor):
            raise TypeError(checks.message("be a tensor", name, one, f"Try torch.as_tensor({name})."))
        checks.floating(**{f"{name}.dtype": one.dtype})
        if one.dim() != 2 or not one.numel():
            raise ValueError(
                f"{name} must be of shape (time, features). Got {name} of shape {tuple(one.shape)}. "
                f"Try {name}[:, None] for a single quantity, or one trajectory of several."
            )
        if not bool(torch.isfinite(one).all()):
            raise ValueError(
                f"{name} must be finite. Got {name} with nan or infinity. Cut it before the first of them."
            )
