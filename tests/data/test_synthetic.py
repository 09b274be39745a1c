"""Synthetic data: the numbers they are drawn with can be found again in them."""

import re

import numpy as np
import pytest
import torch
from scipy import stats

from funcsci import random
from funcsci.data import noisy_line, noisy_sine, noisy_waves, two_blobs

KEY = random.key(67)
MAKERS = [noisy_line, noisy_sine, noisy_waves, two_blobs]


def test_a_line_is_found_again_by_regression():
    data = noisy_line(KEY, 10_000, slope=3.0, intercept=0.5, noise=0.2)
    x, y = (data[name].squeeze(1).numpy() for name in "xy")
    found = stats.linregress(x, y)
    assert found.slope == pytest.approx(3.0, abs=4 * found.stderr)
    assert found.intercept == pytest.approx(0.5, abs=4 * found.intercept_stderr)
    assert (y - 3.0 * x - 0.5).std() == pytest.approx(0.2, rel=0.03)
    assert stats.kstest(x, "norm").pvalue > 0.01


def test_a_sine_has_normal_noise_at_equally_spaced_points():
    data = noisy_sine(KEY)
    assert torch.equal(data["x"], torch.linspace(-10, 10, 1000).unsqueeze(1))
    error = (data["y"] - torch.sin(data["x"])).squeeze(1).numpy()
    assert stats.kstest(error / 0.1, "norm").pvalue > 0.01


def test_waves_are_a_linear_recurrence_and_normal_noise():
    t, clean = noisy_waves(KEY, noise=0.0).values()
    torch.testing.assert_close(t, 0.1 * torch.arange(1000.0).unsqueeze(1), rtol=0, atol=1e-12)
    # Each wave obeys s[n + 1] = 2 cos(w dt) s[n] - s[n - 1]; of two, the product of both polynomials.
    law = np.polymul([1, -2 * np.cos(0.1), 1], [1, -2 * np.cos(0.05), 1])
    assert np.abs(np.convolve(clean.squeeze(1).numpy(), law, "valid")).max() < 1e-12
    assert clean[0] == 0 and float(clean[1]) == pytest.approx(np.sin(0.1) + np.sin(0.05), abs=1e-15)
    error = (noisy_waves(KEY, noise=0.3)["y"] - clean).squeeze(1).numpy()
    assert stats.kstest(error / 0.3, "norm").pvalue > 0.01


def test_blobs_are_normal_about_their_centers():
    data = two_blobs(KEY, 2000, centers=((-2, 1, 0), (2, 4, 1)), std=0.5)
    assert data["x"].shape == (4000, 3)
    assert data["y"].tolist() == 2000 * [0.0] + 2000 * [1.0]
    for half, center in ((data["x"][:2000], (-2, 1, 0)), (data["x"][2000:], (2, 4, 1))):
        for feature, middle in zip(half.T, center, strict=True):
            assert stats.kstest((feature.numpy() - middle) / 0.5, "norm").pvalue > 0.01


def test_the_exercises_data_are_the_defaults():
    line, blobs = noisy_line(KEY, noise=0.0), two_blobs(KEY)
    torch.testing.assert_close(line["y"], 5.0 * line["x"] - 2.0)
    assert line["x"].shape == (100, 1)
    assert blobs["x"].shape == (200, 2)
    assert (blobs["x"].sum(dim=1) > 0).eq(blobs["y"] == 1.0).double().mean() > 0.99


@pytest.mark.parametrize("make", MAKERS)
def test_the_key_decides_and_dtype_and_device_are_followed(make):
    for name, leaf in make(KEY, 7).items():
        assert torch.equal(leaf, make(KEY, 7)[name])
        assert leaf.dtype == torch.float64
    assert not torch.equal(make(KEY, 7)["y"], make(random.key(68), 7)["y"]) or make is two_blobs
    assert {leaf.dtype for leaf in make(KEY, 7, dtype=torch.float32).values()} == {torch.float32}
    assert {leaf.device.type for leaf in make(KEY.to("meta"), 7).values()} == {"meta"}


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: noisy_line(KEY, 0), ValueError, "samples must be at least 1. Got samples=0."),
        (lambda: noisy_line(KEY, slope=float("nan")), ValueError, "slope must be finite"),
        (lambda: noisy_line(KEY, noise=-1.0), ValueError, "noise must not be negative"),
        (lambda: noisy_sine(KEY, 1), ValueError, "samples must be at least 2"),
        (lambda: noisy_sine(KEY, interval=(1, 0)), ValueError, "interval must run forward"),
        (lambda: noisy_sine(KEY, noise="much"), TypeError, "noise must be a real number"),
        (lambda: noisy_waves(KEY, 0), ValueError, "samples must be at least 1"),
        (lambda: noisy_waves(KEY, dt=0.0), ValueError, "dt must be positive. Got dt=0.0."),
        (lambda: noisy_waves(KEY, noise=-0.1), ValueError, "noise must not be negative"),
        (lambda: two_blobs(KEY, 1.5), TypeError, "samples must be an integer"),
        (lambda: two_blobs(KEY, std=-0.1), ValueError, "std must not be negative"),
        (
            lambda: two_blobs(KEY, centers=((0, 1), (2,))),
            ValueError,
            "centers must be two points with as many features. Got centers=((0, 1), (2,)). Try centers=",
        ),
        (
            lambda: two_blobs(KEY, centers=((0, 1), (2, float("inf")))),
            ValueError,
            "centers[1][1] must be finite",
        ),
    ],
)
def test_wrong_numbers_say_what_must_hold(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
