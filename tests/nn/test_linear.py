"""Affine layers and perceptrons: torch's values and gradients, batches, keys, devices, messages."""

import math
import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from funcsci import nn, random, tree

KEY = random.key(3)
sizes = st.integers(1, 5)
batches = st.lists(sizes, max_size=3).map(tuple)


def values(*shape: int) -> torch.Tensor:
    return random.normal(random.key(50), shape)


def torch_linear(params) -> torch.nn.Linear:
    """torch's layer with these weights, made without drawing numbers of its own."""
    out_features, in_features = params["weight"].shape
    layer = torch.nn.utils.skip_init(torch.nn.Linear, in_features, out_features, bias="bias" in params)
    layer.load_state_dict(params)
    return layer


def torch_mlp(params, activation: torch.nn.Module) -> torch.nn.Sequential:
    layers: list[torch.nn.Module] = []
    for layer in params["layers"]:
        layers += [torch_linear(layer), activation]
    return torch.nn.Sequential(*layers[:-1])


@given(sizes, sizes, batches, st.booleans())
def test_linear_equals_torch_for_any_batch(in_features, out_features, batch, bias):
    model = nn.linear(in_features, out_features, bias=bias)
    params = model.init(KEY)
    x = values(*batch, in_features)
    y = model.apply(params, x)
    assert y.shape == (*batch, out_features)
    torch.testing.assert_close(y, torch_linear(params)(x), rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("bias", [True, False])
def test_linear_gradients_equal_torch(bias):
    model = nn.linear(4, 3, bias=bias)
    params = model.init(KEY)
    x = values(6, 4)

    def loss(params, x):
        return model.apply(params, x).square().sum()

    by_params, by_x = torch.func.grad(loss, argnums=(0, 1))(params, x)
    layer, leaf = torch_linear(params), x.clone().requires_grad_()
    layer(leaf).square().sum().backward()
    torch.testing.assert_close(by_x, leaf.grad, rtol=1e-13, atol=1e-13)
    assert by_params.keys() == dict(layer.named_parameters()).keys()
    for name, parameter in layer.named_parameters():
        torch.testing.assert_close(by_params[name], parameter.grad, rtol=1e-13, atol=1e-13)

    tracked = tree.map(lambda leaf: leaf.clone().requires_grad_(), params)
    for found, expected in zip(
        torch.autograd.grad(loss(tracked, x), tree.leaves(tracked)), tree.leaves(by_params), strict=True
    ):
        torch.testing.assert_close(found, expected, rtol=1e-13, atol=1e-13)


def test_linear_begins_as_torchs():
    params = nn.linear(64, 5000).init(KEY)
    assert params["weight"].shape == (5000, 64) and params["bias"].shape == (5000,)
    for leaf in params.values():
        assert leaf.abs().max() <= 1 / 8
        assert float(leaf.std()) == pytest.approx(1 / 8 / math.sqrt(3), rel=0.03)
        assert abs(leaf.mean()) < 0.005


def test_linear_takes_initializers_and_the_weight_does_not_depend_on_the_bias():
    initializer = nn.initializers.xavier_normal()
    params = nn.linear(4, 3, weight_init=initializer, bias_init=nn.initializers.constant(0.5)).init(KEY)
    assert torch.equal(params["bias"], torch.full((3,), 0.5))
    assert torch.equal(params["weight"], initializer(random.split(KEY)[0], (3, 4)))
    without = nn.linear(4, 3, bias=False).init(KEY)
    assert without.keys() == {"weight"}
    assert torch.equal(without["weight"], nn.linear(4, 3).init(KEY)["weight"])


@pytest.mark.parametrize(
    ("activation", "module"),
    [("tanh", torch.nn.Tanh()), (torch.sigmoid, torch.nn.Sigmoid()), ("gelu", torch.nn.GELU())],
)
@pytest.mark.parametrize("widths", [(2, 1), (3, 8, 2), (1, 16, 16, 4)])
def test_mlp_equals_torch(activation, module, widths):
    model = nn.mlp(widths, activation=activation)
    params = model.init(KEY)
    reference = torch_mlp(params, module)
    x = values(7, widths[0])
    torch.testing.assert_close(model.apply(params, x), reference(x), rtol=1e-13, atol=1e-13)

    gradients = torch.func.grad(lambda params: model.apply(params, x).square().sum())(params)
    reference(x).square().sum().backward()
    layers = [layer for layer in reference if isinstance(layer, torch.nn.Linear)]
    for gradient, layer in zip(gradients["layers"], layers, strict=True):
        torch.testing.assert_close(gradient["weight"], layer.weight.grad, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(gradient["bias"], layer.bias.grad, rtol=1e-12, atol=1e-12)


@given(st.lists(sizes, min_size=2, max_size=4), batches, st.booleans())
def test_mlp_shapes(widths, batch, bias):
    model = nn.mlp(widths, bias=bias)
    params = model.init(KEY)
    assert [tuple(layer["weight"].shape) for layer in params["layers"]] == list(
        zip(widths[1:], widths[:-1], strict=True)
    )
    assert all(("bias" in layer) == bias for layer in params["layers"])
    assert model.apply(params, values(*batch, widths[0])).shape == (*batch, widths[-1])


def test_mlp_second_derivative_by_nested_grad_equals_autograd():
    model = nn.mlp((1, 16, 16, 1), activation=torch.tanh)
    params = model.init(KEY)
    x = values(9, 1)
    second = torch.func.grad(torch.func.grad(lambda t: model.apply(params, t[None])[0]))
    found = torch.func.vmap(second)(x[:, 0])

    leaf = x.clone().requires_grad_()
    reference = torch_mlp(params, torch.nn.Tanh())
    first = torch.autograd.grad(reference(leaf).sum(), leaf, create_graph=True)[0]
    expected = torch.autograd.grad(first.sum(), leaf)[0]
    torch.testing.assert_close(found, expected[:, 0], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("model", [nn.linear(3, 2), nn.mlp((3, 8, 2))])
def test_vmap_equals_a_loop_over_samples_and_over_batches(model):
    params = model.init(KEY)
    x = values(5, 3)
    looped = torch.stack([model.apply(params, sample) for sample in x])
    mapped = torch.func.vmap(model.apply, (None, 0))(params, x)
    torch.testing.assert_close(mapped, looped, rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(model.apply(params, x), looped, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("model", [nn.linear(3, 2), nn.mlp((3, 8, 2))])
def test_ensemble_by_vmap_over_init_equals_a_loop(model):
    keys = random.split(KEY, 3)
    ensemble = torch.func.vmap(model.init)(keys)
    assert tree.allclose(ensemble, tree.stack([model.init(key) for key in keys]), rtol=1e-14, atol=0)


@pytest.mark.parametrize("model", [nn.linear(3, 2), nn.mlp((3, 8, 2))])
def test_meta_device_and_dtypes(model):
    params = model.init(KEY, device="meta", dtype=torch.float32)
    assert {(leaf.device.type, leaf.dtype) for leaf in tree.leaves(params)} == {("meta", torch.float32)}
    y = model.apply(params, torch.empty(4, 3, device="meta", dtype=torch.float32))
    assert y.device.type == "meta" and y.shape == (4, 2)
    assert {leaf.dtype for leaf in tree.leaves(model.init(KEY))} == {torch.float64}


def test_keys_reproduce_and_layers_differ():
    model = nn.mlp((4, 4, 4, 4))
    params = model.init(KEY)
    assert tree.allclose(params, model.init(random.key(3)), rtol=0, atol=0)
    drawn = tree.leaves(params) + tree.leaves(model.init(random.key(4)))
    numbers = torch.cat([leaf.reshape(-1) for leaf in drawn])
    assert numbers.unique().numel() == numbers.numel()


def test_apply_changes_no_input():
    model = nn.mlp((3, 8, 2))
    params, x = model.init(KEY), values(5, 3)
    before = tree.map(torch.clone, (params, x))
    model.apply(params, x)
    assert tree.allclose((params, x), before, rtol=0, atol=0)


def test_traces_to_one_graph():
    from torch.fx.experimental.proxy_tensor import make_fx

    model = nn.mlp((1, 8, 1))
    params, x = model.init(KEY), values(5, 1)
    flat, structure = tree.flatten(params)

    def loss(*leaves):
        return model.apply(tree.unflatten(structure, leaves), x).square().mean()

    step = torch.func.grad(loss, argnums=tuple(range(len(flat))))
    for found, expected in zip(make_fx(step)(*flat)(*flat), step(*flat), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-13, atol=1e-13)


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.linear(0, 1), ValueError, "in_features must be at least 1. Got in_features=0."),
        (lambda: nn.linear(1, 2.5), TypeError, "out_features must be an integer. Got out_features=2.5."),
        (lambda: nn.linear(1, 1, weight_init=0.1), TypeError, "must be an initializer. Got weight_init=0.1."),
        (
            lambda: nn.mlp((1, 1), bias_init="zeros"),
            TypeError,
            "must be an initializer. Got bias_init='zeros'",
        ),
        (lambda: nn.mlp((3,)), ValueError, "widths must hold an input and an output width. Got"),
        (lambda: nn.mlp((3, 0, 1)), ValueError, "widths must hold positive widths. Got widths=(3, 0, 1)."),
        (lambda: nn.mlp(32), TypeError, "widths must be a sequence of widths. Got widths=32."),
        (lambda: nn.mlp((1, 1), activation="tan"), ValueError, "Did you mean 'tanh'?"),
        (
            lambda: nn.linear(3, 2).apply(nn.linear(3, 2).init(KEY), torch.ones(5, 4)),
            ValueError,
            "x must have 3 features in its last dimension. Got x of shape (5, 4). Pass x",
        ),
        (
            lambda: nn.mlp((3, 2)).apply(nn.mlp((3, 2)).init(KEY), torch.tensor(1.0)),
            ValueError,
            "x must have 3 features in its last dimension. Got x of shape ().",
        ),
        (
            lambda: nn.linear(1, 1).apply(nn.linear(1, 1).init(KEY), [1.0]),
            TypeError,
            "x must be a tensor. Got x=[1.0]. Try torch.as_tensor(x).",
        ),
        (
            lambda: nn.mlp((1, 4, 1)).apply(nn.mlp((1, 1)).init(KEY), torch.ones(1)),
            ValueError,
            "params['layers'] must have 2 entries, one per layer. Got 1.",
        ),
    ],
)
def test_errors_say_what_must_hold(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
