"""Variable projection finds the same minima in fewer steps, and refuses parameters it must not eliminate."""

import re

import pytest
import torch
from torch.func import grad, vmap

from funcsci import nn, random, tree
from funcsci.optim import least_squares

KEY = random.key(34)
T = torch.linspace(0, 4, 60, dtype=torch.float64)


def exponentials(params, point):
    """y = c0 + c1 exp(-a0 t) + c2 exp(-a1 t), whose c enter linearly."""
    t, y = point
    decays = torch.exp(-params["rates"] * t)
    return params["weights"][0] + torch.matmul(params["weights"][1:], decays) - y


def data(noise):
    y = 0.5 + 2 * torch.exp(-0.6 * T) - torch.exp(-3.0 * T)
    return T, y + noise * random.normal(KEY, (60,), dtype=torch.float64)


def start():
    return {"rates": torch.tensor([0.2, 5.0]), "weights": torch.tensor([1.0, 1.0, 1.0])}


def steps_to(history):
    """The steps until the minimum is there but for a millionth, or round-off."""
    return int((history > history.min() * (1 + 1e-6) + 1e-18).sum())


@pytest.mark.parametrize("noise", [0.0, 0.05])
@pytest.mark.parametrize(
    ("choice", "solver"),
    [("['weights']", "cholesky"), (lambda path, leaf: "weights" in path, "qr"), ("['weights']", "svd")],
    ids=["cholesky", "qr", "svd"],
)
def test_separable_fits_have_the_same_minimum_in_fewer_steps(noise, choice, solver):
    points = data(noise)
    plain = least_squares(exponentials, start(), points)
    projected = least_squares(exponentials, start(), points, variable_projection=choice, solver=solver)
    assert plain.status.converged and projected.status.converged
    assert steps_to(projected.history) < steps_to(plain.history)
    for name in ("rates", "weights"):
        ours = projected.params[name].sort().values
        torch.testing.assert_close(ours, plain.params[name].sort().values, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(projected.value, plain.value, rtol=1e-9, atol=1e-24)


def test_the_start_of_what_is_eliminated_does_not_matter():
    other = {**start(), "weights": torch.tensor([-7.0, 1e3, 0.0])}
    one, two = (
        least_squares(exponentials, params, data(0.05), variable_projection="['weights']")
        for params in (start(), other)
    )
    torch.testing.assert_close(one.history, two.history, rtol=1e-9, atol=0)


def test_the_value_is_that_of_the_parameters_returned_and_stationary_in_all_of_them():
    points = data(0.05)
    found = least_squares(exponentials, start(), points, variable_projection="['weights']")

    def loss(params):
        return 0.5 * (vmap(exponentials, (None, 0))(params, points) ** 2).sum()

    assert float(found.value) == pytest.approx(float(loss(found.params)), rel=1e-12)
    for slope in tree.leaves(grad(loss)(found.params)):
        assert float(slope.abs().max()) < 1e-7


def test_a_networks_last_layer_of_a_linear_equation():
    """u'' + u = 0 with hard conditions: the residual is affine in the last layer."""
    network = nn.mlp((1, 10, 10, 1))

    def u(params, t):
        return 1 + t**2 * network.apply(params, t[None] / 3 - 1)[0]

    def residual(params, t):
        return grad(grad(u, argnums=1), argnums=1)(params, t) + u(params, t)

    points = torch.linspace(0, 6, 80, dtype=torch.float64)
    params = network.init(KEY, dtype=torch.float64)
    found = least_squares(residual, params, points, variable_projection="['layers'][2]", steps=60, warn=False)
    error = vmap(lambda t: u(found.params, t))(points) - torch.cos(points)
    plain = least_squares(residual, params, points, steps=60, warn=False)
    assert float(error.abs().max()) < 1e-6
    assert float(found.value) < float(plain.value)


def test_without_points_too():
    points = data(0.05)
    by_point = least_squares(exponentials, start(), points, variable_projection="['weights']")
    together = least_squares(
        lambda params: vmap(exponentials, (None, 0))(params, points),
        start(),
        variable_projection="['weights']",
    )
    torch.testing.assert_close(by_point.history, together.history, rtol=1e-8, atol=0)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("['rates']", "variable_projection must choose parameters that the residual is affine in."),
        ("['weight']", "It chooses none. The paths are ['rates'], ['weights']."),
        (lambda path, leaf: True, "It chooses all."),
    ],
)
def test_a_wrong_choice_is_refused(choice, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        least_squares(exponentials, start(), data(0.0), variable_projection=choice)


def test_matrix_free_solvers_have_no_matrix_to_project():
    with pytest.raises(ValueError, match="solver must be one of 'cholesky', 'qr', 'svd' with variable_proj"):
        least_squares(exponentials, start(), data(0.0), variable_projection="['weights']", solver="cg")
