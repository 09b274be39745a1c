"""Series: exponents and dimensions that are known, and neighbours as SciPy finds them."""

import math
import re

import pytest
import torch
from scipy.spatial.distance import cdist, pdist

from funcsci import chaos, data, random
from funcsci.chaos.neighbours import nearest


def logistic(steps):
    x = [0.3]
    for _ in range(steps - 1):
        x.append(4 * x[-1] * (1 - x[-1]))
    return torch.tensor(x)[:, None]


@pytest.fixture(scope="module")
def lorenz():
    return data.lorenz(4000, dt=0.04, rtol=1e-6, atol=1e-6, method="odeint", dtype=torch.float64)


def test_the_nearest_neighbour_is_outside_the_window_and_not_the_point_itself(monkeypatch):
    monkeypatch.setattr("funcsci.chaos.neighbours.BLOCK", 700)
    points = random.normal(random.key(0), (200, 3))
    points = torch.cat([points, points[:1]])
    apart = torch.tensor(cdist(points, points))
    number = torch.arange(201)
    apart[((number[:, None] - number).abs() <= 5) | (apart == 0)] = math.inf
    assert torch.equal(nearest(points, 5), apart.argmin(1))


def test_delays_make_states_of_what_was_seen():
    series = torch.arange(20.0).reshape(10, 2)
    found = chaos.delay_embedding(series, 3, 2)
    assert found.shape == (6, 6)
    assert torch.equal(found[1], torch.cat([series[1], series[3], series[5]]))
    with pytest.raises(ValueError, match=re.escape("len(series) must hold more than 10 states")):
        chaos.delay_embedding(series, 6, 2)


def test_henons_map_has_its_exponent_also_by_one_coordinate():
    x, y, states = 0.1, 0.1, []
    for _ in range(3000):
        x, y = 1 - 1.4 * x * x + y, 0.3 * x
        states.append((x, y))
    states = torch.tensor(states[100:])
    for seen in (states, chaos.delay_embedding(states[:, :1], 2, 1)):
        found = chaos.series_lyapunov_exponent(seen, dt=1.0, fit=(1.0, 8.0), theiler=3.0)
        assert found.value == pytest.approx(0.41922, rel=0.03)  # Sprott (2003)


def test_the_exponents_of_the_logistic_map_and_of_the_lorenz_system(lorenz):
    found = chaos.series_lyapunov_exponent(logistic(3000), dt=2.0, fit=(0.0, 10.0), theiler=4.0)
    assert found.value == pytest.approx(math.log(2) / 2, rel=0.03)
    found = chaos.series_lyapunov_exponent(lorenz, dt=0.04, fit=(0.5, 2.0), theiler=1.0)
    assert found.value == pytest.approx(0.9056, rel=0.2)  # the method's own error at this length
    assert len(found.time) == len(found.separation) == 101 and found.fit == (0.48, 2.0)
    assert "between t=0.48 and t=2" in repr(found)
    # The x coordinate alone, unfolded by delays, has the exponent too.
    unfolded = chaos.delay_embedding(lorenz[:, :1], 5, 3)
    found = chaos.series_lyapunov_exponent(unfolded, dt=0.04, fit=(0.5, 2.0), theiler=1.0)
    assert found.value == pytest.approx(0.9056, rel=0.2)


def test_a_periodic_series_does_not_part():
    angle = 0.1 * torch.arange(1500)
    circle = torch.stack([torch.cos(angle), torch.sin(angle)], -1)
    found = chaos.series_lyapunov_exponent(circle, dt=0.1, fit=(0.0, 5.0), theiler=3.0)
    assert abs(found.value) < 1e-6


def test_pairs_are_counted_and_dimensions_found(lorenz):
    points = random.uniform(random.key(1), (600, 2))
    square = chaos.correlation_dimension(points, dt=1.0, between=(0.1, 0.4), theiler=0.0)
    scaled = points / points.var(0).sum().sqrt()
    apart = torch.tensor(pdist(scaled))
    counted = torch.stack([(apart <= radius).double().mean() for radius in square.radius])
    torch.testing.assert_close(square.fraction, counted, atol=2e-5, rtol=0)
    assert square.value == pytest.approx(2, abs=0.2)
    found = chaos.correlation_dimension(lorenz, dt=0.04, between=(0.05, 0.3), theiler=1.0)
    assert found.value == pytest.approx(2.05, abs=0.06)  # Grassberger and Procaccia (1983): 2.05 ± 0.01
    assert repr(found).startswith("CorrelationDimension(2.")


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"series": torch.zeros(30)}, ValueError, "series must be of shape (time, features)"),
        ({"series": [0.0]}, TypeError, "series must be a tensor"),
        ({"series": torch.full((30, 1), math.nan)}, ValueError, "series must be finite"),
        ({"dt": -1.0}, ValueError, "dt must be positive"),
        ({"theiler": -1.0}, ValueError, "theiler must not be negative"),
        ({"fit": (1.0, 2.0)}, ValueError, "fit must hold 3 times of the curve"),
        ({"fit": (4.0, 1.0)}, ValueError, "fit must run forward"),
        ({"horizon": 2.0}, ValueError, "fit must hold 3 times of the curve"),
        ({"horizon": 29.0}, ValueError, "len(series) must hold at least 33 states"),
    ],
)
def test_wrong_arguments_of_the_exponent(change, error, message):
    options = {"series": torch.rand(30, 1), "dt": 1.0, "fit": (0.0, 4.0), "theiler": 1.0}
    with pytest.raises(error, match=re.escape(message)):
        chaos.series_lyapunov_exponent(**options | change)


@pytest.mark.parametrize(
    ("between", "message"),
    [((0.0, 1.0), "between[0] must be positive"), ((1e-9, 2e-9), "between must hold 3 of the 40 radii")],
)
def test_wrong_radii(between, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        chaos.correlation_dimension(logistic(50), dt=1.0, between=between, theiler=0.0)
