"""Forecasts: what is counted as valid, and at which rate errors grow."""

import math
import re

import pytest
import torch

from funcsci import chaos

JUDGE = {"dt": 0.01, "std": 2.0}


def forecasts(*errors):
    """Pairs of states that differ by such errors, in standard deviations, in no special direction."""
    truth = torch.linspace(-3, 3, len(errors[0]) * 3).reshape(1, -1, 3).expand(len(errors), -1, -1)
    direction = torch.tensor([2.0, -1.0, 2.0]) / 3
    return truth + 2.0 * torch.tensor(errors)[..., None] * direction, truth


@pytest.mark.parametrize(("threshold", "steps"), [(0.3, 2), (0.4, 3), (0.5, 5)])
def test_the_time_is_the_last_before_the_error_first_passes_the_threshold(threshold, steps):
    forecast, truth = forecasts([0.1, 0.2, 0.35, 0.45, 0.1, 0.6], [0.0] * 6)
    found = chaos.valid_prediction_time(forecast, truth, **JUDGE, lyapunov=0.9, threshold=threshold)
    torch.testing.assert_close(found, 0.01 * 0.9 * torch.tensor([steps, 6.0]))


def test_what_is_no_number_is_lost_and_does_not_come_back():
    lost = [[0.0, bad, 0.0] for bad in (math.nan, math.inf, -math.inf)]
    forecast, truth = forecasts(*lost, [1.0, 0.0, 0.0])
    found = chaos.valid_prediction_time(forecast, truth, dt=1.0, std=2.0, lyapunov=1.0)
    assert found.tolist() == [1.0, 1.0, 1.0, 0.0]
    single = chaos.valid_prediction_time(forecast[0].float(), truth[0], dt=1.0, std=2.0, lyapunov=1.0)
    assert single.shape == () and single.dtype == torch.float64


def test_batches_of_any_shape_transforms_and_meta():
    forecast, truth = forecasts([0.1, 0.5], [0.5, 0.1])
    judge = {**JUDGE, "std": torch.tensor(2.0), "lyapunov": 1.0}
    flat = chaos.valid_prediction_time(forecast, truth, **judge)
    nested = chaos.valid_prediction_time(forecast[:, None], truth[:, None], **judge)
    mapped = torch.func.vmap(lambda f, t: chaos.valid_prediction_time(f, t, **judge))(forecast, truth)
    assert torch.equal(nested[:, 0], flat) and torch.equal(mapped, flat)
    assert chaos.valid_prediction_time(forecast.to("meta"), truth.to("meta"), **JUDGE, lyapunov=1.0).is_meta


def test_the_mean_error_is_geometric_and_its_slope_the_rate_of_growth():
    time = 0.01 * torch.arange(1, 1001)
    grown = [(size * torch.exp(0.9 * time)).tolist() for size in (1e-6, 1e-8)]
    growth = chaos.error_growth(*forecasts(*grown), **JUDGE)
    torch.testing.assert_close(growth.time, time)
    torch.testing.assert_close(growth.error, 1e-7 * torch.exp(0.9 * time))
    assert growth.slope == pytest.approx(0.9, abs=1e-6)
    assert growth.fit == (pytest.approx(math.log(10) / 0.9 + 0.01, abs=0.011), 10.0)
    narrow = chaos.error_growth(*forecasts(*grown), **JUDGE, between=(1e-6, 1e-5))
    low, high = (math.log(size / 1e-7) / 0.9 for size in (1e-6, 1e-5))
    assert narrow.fit == (pytest.approx(low, abs=0.011), pytest.approx(high, abs=0.011))
    assert "slope=0.900 between t=2.57 and t=10" in repr(growth)


def test_an_error_that_is_large_from_the_start_or_nothing_has_no_slope():
    for size in (0.05, 0.0):
        growth = chaos.error_growth(*forecasts([size] * 5), **JUDGE, between=(1e-3, 0.01))
        assert math.isnan(growth.slope) and math.isnan(growth.fit[0])
        torch.testing.assert_close(growth.error, torch.full((5,), size))


@pytest.mark.wrong_types
@pytest.mark.parametrize("call", [chaos.valid_prediction_time, chaos.error_growth])
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"forecast": torch.zeros(2, 4, 3)}, ValueError, "forecast must have the shape of truth"),
        ({"forecast": torch.zeros(5), "truth": torch.zeros(5)}, ValueError, "(..., time, features)"),
        ({"forecast": torch.zeros(2, 0, 3), "truth": torch.zeros(2, 0, 3)}, ValueError, "forecast must have"),
        ({"forecast": [0.0]}, TypeError, "forecast must be a tensor"),
        ({"truth": torch.zeros(2, 5, 3, dtype=torch.int64)}, ValueError, "truth.dtype must be"),
        ({"dt": 0.0}, ValueError, "dt must be positive"),
        ({"std": -1.0}, ValueError, "std must be positive"),
        ({"std": torch.ones(3)}, ValueError, "std must be a number. Got std of shape (3,)."),
    ],
)
def test_wrong_arguments_say_what_must_hold(call, change, error, message):
    options = {"forecast": torch.zeros(2, 5, 3), "truth": torch.zeros(2, 5, 3), **JUDGE}
    options |= {"lyapunov": 1.0} if call is chaos.valid_prediction_time else {}
    with pytest.raises(error, match=re.escape(message)):
        call(**options | change)


def test_wrong_thresholds_and_ranges_are_refused():
    pair = forecasts([0.1, 0.2])
    with pytest.raises(ValueError, match="threshold must be positive"):
        chaos.valid_prediction_time(*pair, **JUDGE, lyapunov=1.0, threshold=0.0)
    with pytest.raises(ValueError, match="lyapunov must be positive"):
        chaos.valid_prediction_time(*pair, **JUDGE, lyapunov=-1.0)
    with pytest.raises(ValueError, match="between must run forward"):
        chaos.error_growth(*pair, **JUDGE, between=(0.1, 0.01))
    with pytest.raises(ValueError, match=re.escape("between[0] must be positive")):
        chaos.error_growth(*pair, **JUDGE, between=(0.0, 0.01))
