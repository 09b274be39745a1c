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


def uniform(key: Key, count: int, dimensions: int) -> UnitPoints:
    """Random points, uniform and independent."""
    return random.uniform(key, (count, dimensions), dtype=torch.float64)


def grid(key: Key, count: int, dimensions: int) -> UnitPoints:
    """The centres of a grid's cells, at least `count` of them; the key is not used."""
    side = _side(count, dimensions)
    return _product((torch.arange(side, dtype=torch.float64) + 0.5) / side, dimensions)


def chebyshev(key: Key, count: int, dimensions: int) -> UnitPoints:
    r"""Products of Chebyshev points, $\tfrac12 (1 - \cos \pi \tfrac{i + 1/2}{n})$, dense at the edges."""
    side = _side(count, dimensions)
    line = (torch.arange(side, dtype=torch.float64) + 0.5) / side
    return _product(0.5 - 0.5 * torch.cos(math.pi * line), dimensions)


def sobol(key: Key, count: int, dimensions: int) -> UnitPoints:
    """Sobol's points, shifted at random: evener than random ones in any dimension.

    Source: Sobol (1967), doi:10.1016/0041-5553(67)90144-9; Cranley and Patterson (1976), doi:10.1137/0713071
    (the shift).
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The balance properties of Sobol", UserWarning)
        points = qmc.Sobol(dimensions, scramble=False).random(count)
    shift = random.uniform(key, (dimensions,), dtype=torch.float64)
    return (torch.from_numpy(points) + shift.cpu()) % 1.0


def latin_hypercube(key: Key, count: int, dimensions: int) -> UnitPoints:
    """A Latin hypercube: one point in each of `count` slices of every coordinate."""
    seed = int(random.bits(key, ())) & 0x7FFFFFFF
    return torch.from_numpy(np.asarray(qmc.LatinHypercube(dimensions, seed=seed).random(count)))


SAMPLINGS: dict[str, Callable[[Key, int, int], UnitPoints]] = {
    "uniform": uniform,
    "grid": grid,
    "chebyshev": chebyshev,
    "sobol": sobol,
    "latin_hypercube": latin_hypercube,
}
"""Each way to place points in the unit cube by its name."""


def sample(name: str, key: Key, count: int, dimensions: int) -> UnitPoints:
    """Points of the unit cube, float64.

    Args:
        name: in `SAMPLINGS`.
        key: the random key.
        count: how many; a grid has the next larger number that is a power.
        dimensions: of the cube; in none there is one point.

    Raises:
        ValueError: if the name is unknown.
    """
    checks.one_of(SAMPLINGS, sampling=name)
    if dimensions == 0:
        return torch.zeros(1, 0, dtype=torch.float64)
    return SAMPLINGS[name](key, count, dimensions).cpu()


def _side(count: int, dimensions: int) -> int:
    side: int = round(count ** (1 / dimensions))
    return side if side**dimensions >= count else side + 1


def _product(line: Tensor, dimensions: int) -> Tensor:
    return torch.stack(torch.meshgrid(*[line] * dimensions, indexing="ij"), -1).reshape(-1, dimensions)
