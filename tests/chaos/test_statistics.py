"""Climate: NumPy's and SciPy's statistics, and processes whose memory is known."""

import math
import re

import numpy as np
import pytest
import torch
from scipy import stats

from funcsci import chaos, data, random


def test_moments_and_quantiles_are_numpys():
    series = random.normal(random.key(0), (501, 3)) @ random.normal(random.key(1), (3, 3))
    found = chaos.attractor_statistics(series, dt=0.1)
    array = series.numpy()
    np.testing.assert_allclose(found.mean, array.mean(0), atol=1e-14)
    np.testing.assert_allclose(found.covariance, np.cov(array.T), rtol=1e-12)
    np.testing.assert_allclose(found.quantiles, np.quantile(array, [0.05, 0.25, 0.5, 0.75, 0.95], axis=0))
    assert found.std == pytest.approx(math.sqrt(array.var(0, ddof=1).sum()))
    assert repr(found).splitlines()[0].split() == [
        *("mean", "std", "5", "%", "25", "%", "50", "%", "75", "%", "95", "%", "memory")
    ]
    assert len(repr(found).splitlines()) == 5


def test_the_memory_of_a_process_and_of_a_wave():
    noise = random.normal(random.key(2), (200_000,)).tolist()
    value, process = 0.0, []
    for one in noise:  # its autocorrelation is 0.95**k
        value = 0.95 * value + one
        process.append(value)
    found = chaos.attractor_statistics(torch.tensor(process)[:, None], dt=0.1)
    assert float(found.correlation_time) == pytest.approx(-0.1 / math.log(0.95), rel=0.05)
    wave = torch.sin(0.01 * torch.arange(100_000))[:, None]
    found = chaos.attractor_statistics(wave, dt=0.01)
    assert float(found.correlation_time) == pytest.approx(math.acos(math.exp(-1)), rel=1e-2)
    short = chaos.attractor_statistics(torch.tensor([[0.0], [1.0]]), dt=1.0)
    assert 0 < float(short.correlation_time) < 1


def test_the_memory_is_where_the_mean_product_of_two_times_crosses():
    series = random.normal(random.key(5), (60, 1)).cumsum(0)
    centred = (series - series.mean()).numpy()[:, 0]
    correlation = [np.mean(centred[: 60 - k] * centred[k:]) / np.mean(centred**2) for k in range(60)]
    after = int(np.argmax(np.array(correlation) <= math.exp(-1)))
    crossing = np.interp(-math.exp(-1), [-correlation[after - 1], -correlation[after]], [after - 1, after])
    found = chaos.attractor_statistics(series, dt=0.5)
    assert float(found.correlation_time) == pytest.approx(0.5 * crossing)


def test_a_constant_coordinate_has_no_memory():
    series = torch.stack([torch.zeros(50), torch.sin(torch.arange(50.0))], -1)
    memory = chaos.attractor_statistics(series, dt=1.0).correlation_time
    assert memory.isnan().tolist() == [True, False]


def test_the_lorenz_attractor_has_the_symmetry_and_balance_of_its_equations():
    # Means over chaos differ with every rounding: over this time, in the place checked last, by about 0.05.
    series = data.lorenz(32000, dt=0.05, rtol=1e-6, atol=1e-6, method="odeint")
    found = chaos.attractor_statistics(series, dt=0.05)
    # The mean of dx/dt is zero, hence <x> = <y>; that of dz/dt too, hence <xy> = beta <z>.
    torch.testing.assert_close(found.mean[0], found.mean[1], atol=0.01, rtol=0)
    product = found.covariance[0, 1] + found.mean[0] * found.mean[1]
    torch.testing.assert_close(product, 8 / 3 * found.mean[2], rtol=2e-3, atol=0)
    assert chaos.attractor_distance(series[:16000], series[16000:]).max() < 0.2
    mirrored = series * torch.tensor([-1.0, -1.0, 1.0])
    assert chaos.attractor_distance(mirrored, series).max() < 0.2


def test_the_distance_is_scipys_in_standard_deviations():
    one, other = random.normal(random.key(3), (70, 2)), 3 * random.normal(random.key(4), (90, 2)) + 1
    found = chaos.attractor_distance(one, other)
    for column in range(2):
        whole = stats.wasserstein_distance(one[:, column].numpy(), other[:, column].numpy())
        assert float(found[column]) == pytest.approx(whole / float(other[:, column].std()))
    assert chaos.attractor_distance(other.flip(0), other).tolist() == [0.0, 0.0]


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("series", "truth", "message"),
    [
        (torch.zeros(5, 2), torch.zeros(5, 3), "series must have as many features as truth"),
        (torch.zeros(5, 1), torch.zeros(5, 1), "truth.std(0) must vary in every coordinate"),
        (torch.zeros(5, 1), torch.zeros(1, 1), "len(truth) must hold at least two states"),
        (torch.full((5, 1), math.inf), torch.ones(5, 1), "series must be finite"),
    ],
)
def test_wrong_pairs_are_refused(series, truth, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        chaos.attractor_distance(series, truth)


def test_wrong_series_are_refused():
    with pytest.raises(ValueError, match="dt must be positive"):
        chaos.attractor_statistics(torch.zeros(5, 1), dt=0.0)
    with pytest.raises(ValueError, match="must hold at least two states"):
        chaos.attractor_statistics(torch.zeros(1, 1), dt=1.0)
