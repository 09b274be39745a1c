"""The largest exponent of maps: closed forms, and the literature's numbers."""

import math
import re

import pytest
import torch

from funcsci import data, random
from funcsci.chaos import largest_lyapunov_exponent

QUIET = {"progress_bar": False}


def henon(state):
    x, y = state.unbind(-1)
    return torch.stack([1 - 1.4 * x**2 + y, 0.3 * x], -1)


def lorenz_step(state, dt=0.02):
    first = data.lorenz_field(state)
    second = data.lorenz_field(state + dt / 2 * first)
    third = data.lorenz_field(state + dt / 2 * second)
    return state + dt / 6 * (first + 2 * second + 2 * third + data.lorenz_field(state + dt * third))


def test_a_linear_map_has_the_logarithm_of_its_spectral_radius():
    matrix = torch.tensor([[0.0, 2.0, 0.0], [2.0, 3.0, 1.0], [0.0, 1.0, -1.0]])
    radius = torch.linalg.eigvalsh(matrix).abs().max()
    start = random.normal(random.key(1), (2, 3))
    found = largest_lyapunov_exponent(lambda x: x @ matrix.T, start, dt=0.5, steps=200, settle=100, **QUIET)
    torch.testing.assert_close(found.members, (2 * torch.log(radius)).expand(2), atol=1e-9, rtol=0)
    assert found.rates.shape == (200, 2)


def test_the_logistic_map_doubles_and_henons_has_its_known_exponent():
    start = 0.1 + 0.3 * random.uniform(random.key(2), (500, 1))
    logistic = largest_lyapunov_exponent(lambda x: 4 * x * (1 - x), start, steps=1000, **QUIET)
    assert logistic.value == pytest.approx(math.log(2), abs=5 * logistic.error + 1e-4)
    start = 0.1 * random.uniform(random.key(3), (1000, 2))
    found = largest_lyapunov_exponent(henon, start, steps=1000, settle=200, **QUIET)
    assert found.error < 1e-3
    assert found.value == pytest.approx(0.41922, abs=4 * found.error)  # Sprott (2003)


def test_the_lorenz_system_has_its_known_exponent():
    starts = torch.tensor([0.0, 0.0, 25.0]) + 5 * random.normal(random.key(5), (2000, 3))
    found = largest_lyapunov_exponent(lorenz_step, starts, dt=0.02, steps=1200, settle=500, **QUIET)
    assert found.error < 0.002
    assert found.value == pytest.approx(0.9056, abs=3 * found.error)


def test_a_window_that_shifts_has_the_exponent_of_the_map_that_shifts_it():
    def shifted(window):
        return torch.cat([window[:, 1:], henon(window[:, -1:])], 1)

    windows = [0.1 * random.uniform(random.key(4), (100, 2))]
    for _ in range(3):
        windows.append(henon(windows[-1]))
    window = torch.stack(windows, 1)  # (100, 4, 2)
    options = {"steps": 400, "settle": 100, **QUIET}
    alone = largest_lyapunov_exponent(henon, window[:, -1], **options)
    found = largest_lyapunov_exponent(shifted, window, state_dims=2, **options)
    assert found.members.shape == (100,)
    torch.testing.assert_close(
        found.members, alone.members, atol=0.02, rtol=0
    )  # boundary terms over 400 steps


def test_a_stable_map_a_forgetful_map_and_one_that_leaves_the_numbers():
    start = torch.ones(1, 2)
    stable = largest_lyapunov_exponent(lambda x: 0.5 * torch.sin(x), start, steps=50, settle=50, **QUIET)
    assert stable.value == pytest.approx(math.log(0.5), abs=1e-9)
    assert largest_lyapunov_exponent(lambda x: 0.0 * x, start, steps=3, **QUIET).value == -math.inf
    assert math.isnan(largest_lyapunov_exponent(lambda x: x**3 + 2, start, steps=20, **QUIET).value)


def test_backends_agree_the_key_decides_and_one_state_has_an_error_too():
    start = torch.tensor([0.1, 0.1])
    options = {"steps": 60, "settle": 0, **QUIET}
    traced, eager = (
        largest_lyapunov_exponent(henon, start, backend=name, **options) for name in ("trace", "eager")
    )
    torch.testing.assert_close(traced.rates, eager.rates)
    other = largest_lyapunov_exponent(henon, start, key=random.key(9), **options)
    assert other.rates[0] != traced.rates[0]
    assert traced.members.shape == () and 0 < traced.error < 1
    assert re.fullmatch(r"LyapunovExponent\(0\.\d{4} ± 0\.\d{4}; 1 x 60 steps\)", repr(traced))


@pytest.mark.slow
def test_a_compiled_step_gives_the_same_numbers():
    start = torch.tensor([[0.1, 0.1]])
    found = [
        largest_lyapunov_exponent(henon, start, steps=30, backend=name, **QUIET)
        for name in ("compile", "eager")
    ]
    torch.testing.assert_close(found[0].rates, found[1].rates)


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"steps": 0}, ValueError, "steps must be at least 1"),
        ({"settle": -1}, ValueError, "settle must be at least 0"),
        ({"dt": 0.0}, ValueError, "dt must be positive"),
        ({"state_dims": 0}, ValueError, "state_dims must be at least 1"),
        ({"state_dims": 2}, ValueError, "state must have at least 2 dimensions"),
        ({"state": [0.1, 0.1]}, TypeError, "state must be a tensor"),
        ({"state": torch.zeros(0, 2)}, ValueError, "state must have at least 1 dimensions"),
        ({"state": torch.zeros(2, dtype=torch.int64)}, ValueError, "state.dtype must be"),
        ({"step": lambda x: x[..., :1]}, ValueError, "step must return states of the same shape"),
    ],
)
def test_wrong_arguments_say_what_must_hold(options, error, message):
    with pytest.raises(error, match=re.escape(message)):
        largest_lyapunov_exponent(
            **{"step": henon, "state": torch.tensor([0.1, 0.1]), "steps": 3, **QUIET} | options
        )
