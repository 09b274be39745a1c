"""Points of a box: where an equation is asked to hold, and where it is judged."""

import math
import warnings
from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from scipy.stats import qmc
from torch import Tensor

from funcsci import checks, random
from funcsci.random import Key

UnitPoints = Float[Tensor, "n dimensions"]


def uniform(key: Key, count: int, dimensions: int, sets: int = 1) -> UnitPoints:
    """Random points, uniform and independent."""
    return random.uniform(key, (sets * count, dimensions), dtype=torch.float64)


def grid(key: Key, count: int, dimensions: int, sets: int = 1) -> UnitPoints:
    """The centres of a grid's cells, at least `count` of them; of several sets each is moved at random."""
    return _cells(key, count, dimensions, sets)


def chebyshev(key: Key, count: int, dimensions: int, sets: int = 1) -> UnitPoints:
    r"""Products of Chebyshev points, $\tfrac12 (1 - \cos \pi \tfrac{i + 1/2}{n})$, dense at the edges."""
    return 0.5 - 0.5 * torch.cos(math.pi * _cells(key, count, dimensions, sets))


def sobol(key: Key, count: int, dimensions: int, sets: int = 1) -> UnitPoints:
    """Sobol's points, shifted at random: evener than random ones in any dimension.

    Each set begins at a multiple of a power of two, from where on the points are even.

    Source: Sobol (1967), doi:10.1016/0041-5553(67)90144-9; Cranley and Patterson (1976), doi:10.1137/0713071
    (the shift).
    """
    apart = count if sets == 1 else 2 ** (count - 1).bit_length()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The balance properties of Sobol", UserWarning)
        points = qmc.Sobol(dimensions, scramble=False).random(sets * apart)
    points = points.reshape(sets, apart, dimensions)[:, :count].reshape(-1, dimensions)
    shift = random.uniform(key, (dimensions,), dtype=torch.float64)
    return (torch.from_numpy(points) + shift.cpu()) % 1.0


def latin_hypercube(key: Key, count: int, dimensions: int, sets: int = 1) -> UnitPoints:
    """A Latin hypercube: one point in each of `count` slices of every coordinate."""
    seed = int(random.bits(key, ())) & 0x7FFFFFFF
    sampler = qmc.LatinHypercube(dimensions, seed=seed)
    return torch.from_numpy(np.concatenate([sampler.random(count) for _ in range(sets)]))


SAMPLINGS: dict[str, Callable[[Key, int, int, int], UnitPoints]] = {
    "uniform": uniform,
    "grid": grid,
    "chebyshev": chebyshev,
    "sobol": sobol,
    "latin_hypercube": latin_hypercube,
}
"""Each way to place points in the unit cube by its name."""


def sample(name: str, key: Key, count: int, dimensions: int, sets: int = 1) -> UnitPoints:
    """Points of the unit cube, float64.

    Args:
        name: in `SAMPLINGS`.
        key: the random key.
        count: how many; a grid has the next larger number that is a power.
        dimensions: of the cube; in none there is one point.
        sets: of so many points, one after the other; each covers the cube, and no two are alike.

    Raises:
        ValueError: if the name is unknown.
    """
    checks.one_of(SAMPLINGS, sampling=name)
    if dimensions == 0:
        return torch.zeros(1, 0, dtype=torch.float64)
    return SAMPLINGS[name](key, count, dimensions, sets).cpu()


def _side(count: int, dimensions: int) -> int:
    side: int = round(count ** (1 / dimensions))
    return side if side**dimensions >= count else side + 1


def _cells(key: Key, count: int, dimensions: int, sets: int) -> Tensor:
    """A point in each cell of a grid: its centre, or for each of several sets another place in all cells."""
    side = _side(count, dimensions)
    lines = torch.meshgrid(*[torch.arange(side, dtype=torch.float64)] * dimensions, indexing="ij")
    corners = torch.stack(lines, -1).reshape(-1, dimensions)
    if sets == 1:
        return (corners + 0.5) / side
    places = random.uniform(key, (sets, 1, dimensions), dtype=torch.float64).cpu()
    return ((corners + places) / side).reshape(-1, dimensions)
