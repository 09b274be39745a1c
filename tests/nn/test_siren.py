"""Sine networks: the written-out formula, torch's modules, the paper's law of first values, messages."""

import math
import re

import pytest
import torch

from funcsci import nn, random, tree

KEY = random.key(21)


def values(*shape: int) -> torch.Tensor:
    return random.uniform(random.key(50), shape, minval=-1.0, maxval=1.0)


def before_sines(params, x, omega0, omega):
    """What each sine is taken of, and what the last layer makes of it."""
    found = []
    for place, layer in enumerate(params["layers"]):
        x = x @ layer["weight"].T + layer["bias"]
        if place < len(params["layers"]) - 1:
            found.append((omega if place else omega0) * x)
            x = torch.sin(found[-1])
    return found, x


@pytest.mark.parametrize("widths", [(2, 1), (1, 8, 2), (3, 16, 5, 16, 1)])
@pytest.mark.parametrize("frequencies", [{}, {"omega0": 4.0, "omega": 2.5}, {"omega0": 7}])
def test_it_is_the_formula(widths, frequencies):
    model = nn.siren(widths, **frequencies)
    params = model.init(KEY)
    omega0, omega = frequencies.get("omega0", 30.0), frequencies.get("omega", 1.0)
    x = values(9, widths[0])
    _, expected = before_sines(params, x, omega0, omega)
    torch.testing.assert_close(model.apply(params, x), expected, rtol=1e-11, atol=1e-13)


def test_the_params_are_those_of_a_perceptron():
    widths = (2, 7, 5, 1)
    params, expected = nn.siren(widths).init(KEY), nn.mlp(widths).init(KEY)
    assert tree.paths(params) == tree.paths(expected)
    assert [leaf.shape for leaf in tree.leaves(params)] == [leaf.shape for leaf in tree.leaves(expected)]
    # With both frequencies at one it is the perceptron of that activation.
    x = values(6, 2)
    one, other = nn.siren(widths, omega0=1.0), nn.mlp(widths, activation=torch.sin)
    torch.testing.assert_close(one.apply(params, x), other.apply(params, x), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("omega", [1.0, 30.0])
def test_first_values_are_uniform_within_the_papers_bounds(omega):
    layers = nn.siren((4, 300, 200, 100), omega=omega).init(KEY)["layers"]
    bounds = [
        (1 / 4, 1 / math.sqrt(4)),
        (math.sqrt(6 / 300) / omega, 1 / math.sqrt(300) / omega),
        (math.sqrt(6 / 200) / omega, 1 / math.sqrt(200) / omega),
    ]
    for layer, (weight, bias) in zip(layers, bounds, strict=True):
        for drawn, bound in [(layer["weight"], weight), (layer["bias"], bias)]:
            assert (1 - 10 / drawn.numel()) * bound < drawn.abs().max() <= bound
            assert drawn.mean().abs() < 5 * bound / math.sqrt(3 * drawn.numel())
            assert float(drawn.std()) == pytest.approx(bound / math.sqrt(3), rel=6 / math.sqrt(drawn.numel()))


@pytest.mark.parametrize("omega", [1.0, 30.0])
@pytest.mark.parametrize("omega0", [10.0, 30.0])
def test_depth_neither_damps_nor_amplifies(omega0, omega):
    # A sine of many periods has variance 1/2, and that of a normal variable of variance v the variance
    # (1 - exp(-2 v)) / 2; weights of variance 2 / m then give the next layer its variance, to which the
    # biases add 1 / (3 m).
    width, depth = 400, 8
    model, x = nn.siren((1, *[width] * depth, 1), omega0=omega0, omega=omega), values(1000, 1)
    nets = [before_sines(model.init(key), x, omega0, omega)[0] for key in random.split(KEY, 4)]
    expected = 1.0
    for layer in range(1, depth):
        inner = torch.stack([net[layer] for net in nets])
        assert float(inner.square().mean()) == pytest.approx(expected + 1 / (3 * width), rel=0.05)
        assert abs(float(inner.mean())) < 0.05
        fourth = float(inner.pow(4).mean() / inner.square().mean() ** 2)
        assert fourth == pytest.approx(3.0, abs=0.2)
        expected = 1 - math.exp(-2 * expected)
    assert expected == pytest.approx(0.7968, abs=1e-3)  # where it stays


def test_omega_changes_gradients_and_no_hidden_value():
    plain, boosted = (nn.siren((2, 64, 64, 64, 3), omega=omega) for omega in (1.0, 30.0))
    first, second = plain.init(KEY), boosted.init(KEY)
    x = values(50, 2)
    for one, other in zip(before_sines(first, x, 30, 1)[0], before_sines(second, x, 30, 30)[0], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-11)
    # The last layer's weights are divided by omega too, and no sine multiplies them back.
    torch.testing.assert_close(plain.apply(first, x), 30 * boosted.apply(second, x), rtol=1e-10, atol=1e-11)


def test_second_derivatives_equal_autograd():
    model = nn.siren((1, 12, 12, 1), omega0=6.0)
    params = model.init(KEY)
    x = values(9, 1)
    second = torch.func.grad(torch.func.grad(lambda t: model.apply(params, t[None])[0]))
    found = torch.func.vmap(second)(x[:, 0])
    leaf = x.clone().requires_grad_()
    _, y = before_sines(params, leaf, 6.0, 1.0)
    first = torch.autograd.grad(y.sum(), leaf, create_graph=True)[0]
    expected = torch.autograd.grad(first.sum(), leaf)[0]
    torch.testing.assert_close(found, expected[:, 0], rtol=1e-11, atol=1e-10)
    assert found.abs().max() > 1


def test_devices_dtypes_batches_and_keys():
    model = nn.siren((3, 8, 2))
    params = model.init(KEY, device="meta", dtype=torch.float32)
    assert {(leaf.device.type, leaf.dtype) for leaf in tree.leaves(params)} == {("meta", torch.float32)}
    y = model.apply(params, torch.empty(4, 5, 3, device="meta", dtype=torch.float32))
    assert (y.device.type, y.dtype, y.shape) == ("meta", torch.float32, (4, 5, 2))
    ensemble = torch.func.vmap(model.init)(random.split(KEY, 3))
    assert tree.allclose(
        ensemble, tree.stack([model.init(key) for key in random.split(KEY, 3)]), rtol=1e-14, atol=0
    )
    params, x = model.init(KEY), values(5, 3)
    looped = torch.stack([model.apply(params, sample) for sample in x])
    torch.testing.assert_close(
        torch.func.vmap(model.apply, (None, 0))(params, x), looped, rtol=1e-12, atol=1e-13
    )


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: nn.siren((3,)),
            ValueError,
            "widths must hold an input and an output width. Got widths=(3,).",
        ),
        (lambda: nn.siren((3, 0, 1)), ValueError, "widths must hold positive widths. Got widths=(3, 0, 1)."),
        (lambda: nn.siren((1, 1), omega0=0.0), ValueError, "omega0 must be positive. Got omega0=0.0."),
        (lambda: nn.siren((1, 1), omega="1"), TypeError, "omega must be a real number. Got omega='1'."),
        (lambda: nn.siren((1, 1)).init(5), TypeError, "key must be a key, not a seed. Got key=5."),
        (
            lambda: nn.siren((1, 4, 1)).apply(nn.siren((1, 1)).init(KEY), torch.ones(1)),
            ValueError,
            "params['layers'] must have 2 entries, one per layer. Got 1.",
        ),
        (
            lambda: nn.siren((3, 2)).apply(nn.siren((3, 2)).init(KEY), torch.ones(5, 4)),
            ValueError,
            "x must have 3 features in its last dimension. Got x of shape (5, 4).",
        ),
    ],
)
def test_errors_say_what_must_hold(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
