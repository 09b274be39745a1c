"""Points of the unit cube: inside, the same for the same key, and as even as their names say."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import qmc

from funcsci import random
from funcsci.pinn.sampling import SAMPLINGS, sample

RANDOM = ("uniform", "sobol", "latin_hypercube")


@pytest.mark.parametrize("dimensions", [1, 2, 3])
@pytest.mark.parametrize("count", [1, 2, 7, 64, 100])
@pytest.mark.parametrize("name", SAMPLINGS)
def test_points_are_distinct_and_inside(name: str, count: int, dimensions: int) -> None:
    points = sample(name, random.key(0), count, dimensions)
    assert points.dtype == torch.float64 and points.shape[1] == dimensions
    assert len(points) == count if name in RANDOM else len(points) >= count
    assert len(points.unique(dim=0)) == len(points)
    assert float(points.min()) >= 0 and float(points.max()) < 1


@pytest.mark.parametrize("name", SAMPLINGS)
def test_points_depend_on_the_key_alone(name: str) -> None:
    torch.manual_seed(0)
    np.random.seed(0)
    one, same, other = (sample(name, random.key(seed), 32, 2) for seed in (0, 0, 1))
    torch.manual_seed(1)
    np.random.seed(1)
    assert torch.equal(one, same) and torch.equal(one, sample(name, random.key(0), 32, 2))
    assert torch.equal(one, other) == (name not in RANDOM)


def test_a_grid_is_of_cell_centres() -> None:
    assert sample("grid", random.key(0), 4, 1)[:, 0].tolist() == [0.125, 0.375, 0.625, 0.875]
    square = sample("grid", random.key(0), 4, 2)
    assert square.tolist() == [[0.25, 0.25], [0.25, 0.75], [0.75, 0.25], [0.75, 0.75]]


def test_chebyshev_points_are_the_polynomials_roots() -> None:
    points = sample("chebyshev", random.key(0), 12, 1)[:, 0]
    roots = np.polynomial.chebyshev.chebpts1(12)
    np.testing.assert_allclose(2 * points.numpy() - 1, roots, atol=1e-15)
    square = sample("chebyshev", random.key(0), 9, 2)
    assert square[:, 0].unique().shape == (3,) and len(square) == 9


@pytest.mark.parametrize(
    ("count", "dimensions", "side"),
    [(9, 2, 3), (10, 2, 4), (64, 3, 4), (1000, 3, 10), (1001, 3, 11), (1, 4, 1)],
)
def test_a_grid_has_the_next_power(count: int, dimensions: int, side: int) -> None:
    for name in ("grid", "chebyshev"):
        assert len(sample(name, random.key(0), count, dimensions)) == side**dimensions


@pytest.mark.parametrize("dimensions", [1, 3])
def test_a_latin_hypercube_has_one_point_in_each_slice(dimensions: int) -> None:
    points = sample("latin_hypercube", random.key(3), 50, dimensions)
    slices = (points * 50).floor().sort(0).values
    assert torch.equal(slices, torch.arange(50.0, dtype=torch.float64)[:, None].expand(50, dimensions))


@pytest.mark.parametrize("seed", range(3))
def test_sobols_points_are_evener_than_random_ones(seed: int) -> None:
    def discrepancy(name: str) -> float:
        return qmc.discrepancy(sample(name, random.key(seed), 256, 3).numpy(), method="WD")

    assert discrepancy("sobol") < 0.2 * discrepancy("uniform")
    assert discrepancy("latin_hypercube") < discrepancy("uniform")


def test_sobols_points_integrate_faster_than_random_ones() -> None:
    def error(name: str, count: int) -> float:
        wrong = [
            float(torch.exp(sample(name, random.key(seed), count, 2).sum(1)).mean()) - (math.e - 1) ** 2
            for seed in range(8)
        ]
        return float(np.sqrt(np.mean(np.square(wrong))))

    # Sixteen times as many points: a quarter of the error for random ones, about a sixteenth here.
    assert error("sobol", 1024) < 0.12 * error("sobol", 64)
    assert error("sobol", 1024) < 0.1 * error("uniform", 1024)


def test_the_shift_makes_each_point_uniform() -> None:
    firsts = torch.cat([sample("sobol", random.key(seed), 1, 1) for seed in range(200)])
    assert abs(float(firsts.mean()) - 0.5) < 0.08 and float(firsts.std()) == pytest.approx(0.289, abs=0.04)


def test_a_cube_of_no_dimensions_is_one_point() -> None:
    assert sample("sobol", random.key(0), 17, 0).shape == (1, 0)
