"""Burgers' equation: the random functions have their law, and the solver agrees with Cole and Hopf."""

import math
import re

import numpy as np
import pytest
import torch

from funcsci import random
from funcsci.data import burgers, burgers_solution, gaussian_random_field

KEY = random.key(81)
QUIET = {"progress_bar": False}


def cole_hopf(u0: torch.Tensor, viscosity: float, time: float, grid: int = 4096) -> np.ndarray:
    """u = -2 ν φ_x / φ with φ_t = ν φ_xx and φ = exp(-∫ u0 / 2ν) at first, for functions of mean zero."""
    series = np.fft.rfft(u0.numpy())
    points, kappa = u0.shape[-1], 2 * np.pi * np.arange(grid // 2 + 1)
    potential = np.zeros((len(u0), grid // 2 + 1), dtype=complex)
    waves = slice(1, (points + 1) // 2)
    potential[:, waves] = series[:, waves] / (1j * kappa[waves]) * (grid / points)
    exponent = -np.fft.irfft(potential) / (2 * viscosity)
    # Its largest value is a factor of φ, which the quotient does not see.
    phi = np.fft.rfft(np.exp(exponent - exponent.max(-1, keepdims=True))) * np.exp(
        -viscosity * kappa**2 * time
    )
    whole = -2 * viscosity * np.fft.irfft(1j * kappa * phi) / np.fft.irfft(phi)
    return whole[:, :: grid // points]


@pytest.mark.parametrize("viscosity", [0.1, 0.01])
def test_solutions_are_those_of_cole_and_hopf_and_of_half_the_step(viscosity):
    pairs = burgers(KEY, 6, viscosity=viscosity, **QUIET)
    torch.testing.assert_close(
        pairs["y"], torch.from_numpy(cole_hopf(pairs["x"], viscosity, 1.0)), rtol=0, atol=1e-10
    )
    halved = burgers_solution(pairs["x"], viscosity=viscosity, steps=6000, **QUIET)
    scale = halved.norm(dim=-1, keepdim=True)
    torch.testing.assert_close(pairs["y"] / scale, halved / scale, rtol=0, atol=1e-10)


def test_the_error_falls_with_the_fourth_power_of_the_step():
    u0 = gaussian_random_field(KEY, 4, modes=4)  # of rough ones the first steps see less
    exact = torch.from_numpy(cole_hopf(u0, 0.05, 0.5))
    errors = [
        (burgers_solution(u0, viscosity=0.05, time=0.5, steps=steps, **QUIET) - exact).norm()
        for steps in (200, 400)
    ]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(4, abs=0.5)


def test_a_front_too_steep_for_the_grid_feeds_on_no_aliases():
    """Without aliases a cut series keeps its energy but for viscosity; with them it grows beyond bounds."""
    u0 = gaussian_random_field(KEY, 3)
    u = burgers_solution(u0, viscosity=1e-4, time=0.5, steps=1000, resolution=128, **QUIET)
    assert bool((u.square().mean(-1) < u0.square().mean(-1)).all())


@pytest.mark.parametrize("points", [7, 8])
def test_a_function_of_few_points_is_the_wave_through_them(points):
    """With all its waves on the finer grid, also the last one of an even number."""
    x = torch.arange(points) / points
    wave = points // 2
    u0 = 1e-6 * torch.cos(2 * math.pi * wave * x)  # so small that it obeys the heat equation
    found = burgers_solution(u0, viscosity=0.01, time=0.1, steps=10, resolution=8 * points, **QUIET)
    decay = math.exp(-0.01 * (2 * math.pi * wave) ** 2 * 0.1)
    torch.testing.assert_close(found / 1e-6, u0 * decay / 1e-6, rtol=0, atol=1e-5)


def test_shifts_mirrors_and_moving_frames_are_symmetries_and_the_mean_is_kept():
    u0 = gaussian_random_field(KEY, 3, 32)
    how = {"viscosity": 0.05, "time": 0.25, "steps": 400, **QUIET}
    u = burgers_solution(u0, **how)
    close = {"rtol": 0, "atol": 1e-12}
    torch.testing.assert_close(burgers_solution(u0.roll(5, -1), **how), u.roll(5, -1), **close)
    torch.testing.assert_close(burgers_solution(-u0.flip(-1), **how), -u.flip(-1), **close)
    # In a time of 1/4 the speed of 1/2 goes 4 of 32 points.
    moved = burgers_solution(u0 + 0.5, **how)
    torch.testing.assert_close(moved, 0.5 + u.roll(4, -1), rtol=0, atol=1e-8)
    torch.testing.assert_close(moved.mean(-1), torch.full((3,), 0.5), **close)


def test_every_wave_of_the_field_has_the_variance_of_its_law():
    samples, points = 20_000, 16
    u = gaussian_random_field(KEY, samples, points, sigma=3.0, tau=4.0, gamma=1.5)
    series = 2 * torch.fft.rfft(u) / points
    assert float(series[:, [0, -1]].abs().max()) < 1e-12  # no mean, and no wave that two points cannot tell
    kappa = 2 * math.pi * torch.arange(1, points // 2)
    law = 2 * 3.0**2 * (kappa**2 + 4.0**2) ** -1.5
    for part in (series[:, 1:-1].real, series[:, 1:-1].imag):
        error = (part.square().mean(0) / law - 1).abs().max()
        assert float(error) < 4.5 * math.sqrt(2 / samples)
    parts = torch.cat([series[:, 1:-1].real, series[:, 1:-1].imag], -1)
    correlation = torch.corrcoef(parts.T) - torch.eye(parts.shape[-1])
    assert float(correlation.abs().max()) < 5 / math.sqrt(samples)


def test_the_defaults_are_those_of_the_benchmark():
    u = gaussian_random_field(KEY, 4)
    named = gaussian_random_field(KEY, 4, 64, sigma=25.0, tau=5.0, gamma=2.0, modes=31)
    assert torch.equal(u, named)
    assert torch.equal(burgers(KEY, 4, **QUIET)["x"], u)


def test_a_field_of_given_waves_is_one_function_on_every_grid():
    coarse, fine = (gaussian_random_field(KEY, 3, points, modes=5) for points in (16, 64))
    torch.testing.assert_close(fine[:, ::4], coarse, rtol=0, atol=1e-13)


def test_dtype_device_and_leading_dimensions_are_followed():
    pairs = burgers(KEY, 2, 16, dtype=torch.float32, time=0.01, **QUIET)
    assert {leaf.dtype for leaf in pairs.values()} == {torch.float32}
    u0 = gaussian_random_field(KEY, 6, 16)
    how = {"viscosity": 0.1, "steps": 10, **QUIET}
    u = burgers_solution(u0, **how)
    torch.testing.assert_close(
        burgers_solution(u0.reshape(2, 3, 16), **how), u.reshape(2, 3, 16), rtol=0, atol=1e-14
    )
    torch.testing.assert_close(burgers_solution(u0[0], **how), u[0], rtol=0, atol=1e-14)
    mapped = torch.func.vmap(lambda one: burgers_solution(one, **how))(u0)
    torch.testing.assert_close(mapped, u, rtol=0, atol=1e-14)
    single = burgers_solution(u0.float(), **how)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), u, rtol=0, atol=1e-6)
    assert burgers_solution(u0.to("meta"), **how).is_meta
    assert gaussian_random_field(KEY.to("meta"), 3).is_meta


U = torch.zeros(2, 8)
WRONG = [
    (lambda: gaussian_random_field(KEY, 0), "samples must be at least 1. Got samples=0."),
    (lambda: gaussian_random_field(KEY, 1, 2), "points must be at least 3. Got points=2."),
    (lambda: gaussian_random_field(KEY, 1, sigma=0.0), "sigma must be positive. Got sigma=0.0."),
    (lambda: gaussian_random_field(KEY, 1, tau=-1.0), "tau must not be negative. Got tau=-1.0."),
    (lambda: gaussian_random_field(KEY, 1, gamma=math.inf), "gamma must be finite. Got gamma=inf."),
    (lambda: gaussian_random_field(KEY, 1, modes=0), "modes must be at least 1. Got modes=0."),
    (lambda: burgers_solution(U, viscosity=0.0), "viscosity must be positive. Got viscosity=0.0."),
    (lambda: burgers_solution(U, viscosity=0.1, time=-1.0), "time must be positive. Got time=-1.0."),
    (lambda: burgers_solution(U, viscosity=0.1, steps=0), "steps must be at least 1. Got steps=0."),
    (
        lambda: burgers_solution(U, viscosity=0.1, resolution=8),
        "resolution must be a multiple of the 8 points, 16 at least. Got resolution=8. Try resolution=32.",
    ),
    (
        lambda: burgers_solution(U, viscosity=0.1, resolution=20),
        "resolution must be a multiple of the 8 points, 16 at least. Got resolution=20.",
    ),
    (
        lambda: burgers_solution(U[:, :2], viscosity=0.1),
        "u0 must have at least three points in its last dimension. Got u0 of shape (2, 2).",
    ),
    (lambda: burgers(KEY, 1, viscosity=-0.1), "viscosity must be positive. Got viscosity=-0.1."),
]


@pytest.mark.parametrize(("call", "expected"), WRONG)
def test_wrong_values_are_named(call, expected):
    with pytest.raises(ValueError, match=re.escape(expected)):
        call()


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda: burgers_solution([0.0], viscosity=0.1), "u0 must be a tensor. Got u0=[0.0]."),
        (lambda: burgers_solution(U, viscosity="thick"), "viscosity must be a real number."),
        (lambda: gaussian_random_field(KEY, 1.5), "samples must be an integer. Got samples=1.5."),
    ],
)
def test_wrong_types_are_named(call, expected):
    with pytest.raises(TypeError, match=re.escape(expected)):
        call()


@pytest.mark.wrong_types
def test_integers_are_no_field():
    with pytest.raises(ValueError, match=re.escape("u0.dtype must be torch.float32 or torch.float64.")):
        burgers_solution(U.long(), viscosity=0.1)
