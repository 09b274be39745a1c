"""Normalisation: torch's values, gradients and running statistics, messages."""

import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from funcsci import nn, random, tree

KEY = random.key(11)
BATCH_NORMS = (torch.nn.BatchNorm1d, torch.nn.BatchNorm1d, torch.nn.BatchNorm2d, torch.nn.BatchNorm3d)
sizes = st.lists(st.integers(1, 4), max_size=3).map(tuple)


def values(*shape: int, seed: int = 0) -> torch.Tensor:
    return 3 + 2 * random.normal(random.key(30 + seed), shape)


def moved(params):
    """Scales and shifts that are not ones and zeros, of which a mistake could hide behind."""
    return tree.map(lambda leaf: leaf + 0.3 * random.normal(KEY, tuple(leaf.shape)), params)


def loaded(module: torch.nn.Module, params) -> torch.nn.Module:
    module = module.to(torch.float64)
    module.load_state_dict({**module.state_dict(), **params})
    return module


def assert_gradients_equal(apply, params, module: torch.nn.Module, x: torch.Tensor) -> None:
    leaf = x.clone().requires_grad_()
    y = module(leaf)
    torch.testing.assert_close(apply(params, x), y, rtol=0, atol=1e-12)
    torch.sin(y).sum().backward()
    by_params, by_x = torch.func.grad(lambda p, x: torch.sin(apply(p, x)).sum(), argnums=(0, 1))(params, x)
    torch.testing.assert_close(by_x, leaf.grad, rtol=0, atol=1e-12)
    for name, parameter in module.named_parameters():
        torch.testing.assert_close(by_params[name], parameter.grad, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "options", [{}, {"momentum": 0.3, "eps": 1e-3}, {"momentum": None}, {"affine": False}]
)
def test_batch_norm_follows_torch_for_a_hundred_steps(options):
    """Values in training and in evaluation, and the three statistics, after every one of the steps."""
    model = nn.batch_norm(3, **options)
    params, state = model.init(KEY)
    params = moved(params)
    module = loaded(torch.nn.BatchNorm2d(3, **options), params)
    for step in range(100):
        x = values(4, 3, 5, 2, seed=step)
        before = tree.map(torch.clone, state)
        y, after = model.apply(params, state, x, train=True)
        torch.testing.assert_close(y, module.train()(x), rtol=0, atol=1e-12)
        assert tree.allclose(state, before, rtol=0, atol=0)
        state = after
        for name, buffer in module.named_buffers():
            torch.testing.assert_close(state[name], buffer, rtol=1e-12, atol=1e-12)
        z, unchanged = model.apply(params, state, x, train=False)
        torch.testing.assert_close(z, module.eval()(x), rtol=0, atol=1e-12)
        assert unchanged is state
    assert int(state["num_batches_tracked"]) == 100


@given(sizes, st.integers(2, 4), st.integers(1, 3), st.booleans())
def test_batch_norm_equals_torch_in_every_dimension(size, batch, channels, train):
    model = nn.batch_norm(channels)
    params, state = model.init(KEY)
    params = moved(params)
    module = loaded(BATCH_NORMS[len(size)](channels), params).train(train)
    x = values(batch, channels, *size)
    assert_gradients_equal(lambda p, x: model.apply(p, state, x, train=train)[0], params, module, x)


def test_batch_norm_divides_by_n_itself_and_keeps_the_other_variance():
    """The batch is scaled by the variance with 1/n; what is kept for later has 1/(n - 1)."""
    x = values(6, 1)
    model = nn.batch_norm(1, eps=1e-12, momentum=1.0)
    params, state = model.init(KEY)
    y, state = model.apply(params, state, x, train=True)
    torch.testing.assert_close((y**2).mean(), torch.tensor(1.0), rtol=1e-11, atol=0)
    torch.testing.assert_close(state["running_var"], x.var(0, correction=1), rtol=1e-11, atol=0)


def test_batch_norm_under_vmap_and_grad_equals_a_loop():
    """An ensemble: every member has its own params, statistics and batch."""
    model = nn.batch_norm(2)
    x = values(3, 5, 2, 4)
    params, state = torch.func.vmap(model.init)(random.split(KEY, 3))

    def loss(params, state, x):
        y, state = model.apply(params, state, x, train=True)
        return torch.sin(y).sum(), state

    mapped = torch.func.vmap(torch.func.grad(loss, has_aux=True))(params, state, x)
    members = zip(tree.unstack(params), tree.unstack(state), x, strict=True)
    looped = tree.stack([torch.func.grad(loss, has_aux=True)(*member) for member in members])
    assert tree.allclose(mapped, looped, rtol=1e-12, atol=1e-12)


def test_batch_norm_has_second_derivatives_and_forward_mode():
    model = nn.batch_norm(2)
    params, state = model.init(KEY)
    x, v = values(3, 2), values(3, 2, seed=1)

    def f(x):
        return (model.apply(params, state, x, train=True)[0] ** 3).sum()

    def by_hand(x):
        centred = x - x.mean(0)
        return ((centred / ((centred**2).mean(0) + 1e-5).sqrt()) ** 3).sum()

    torch.testing.assert_close(
        torch.func.jvp(f, (x,), (v,))[1], torch.func.jvp(by_hand, (x,), (v,))[1], rtol=1e-11, atol=1e-11
    )
    second = torch.func.grad(lambda x: (torch.func.grad(f)(x) * v).sum())(x)
    expected = torch.func.grad(lambda x: (torch.func.grad(by_hand)(x) * v).sum())(x)
    torch.testing.assert_close(second, expected, rtol=1e-9, atol=1e-9)


@given(sizes.filter(len), sizes, st.booleans(), st.booleans())
def test_layer_norm_equals_torch(shape, batch, affine, bias):
    model = nn.layer_norm(shape, elementwise_affine=affine, bias=bias)
    params = moved(model.init(KEY))
    module = torch.nn.LayerNorm(shape, elementwise_affine=affine, bias=bias)
    assert_gradients_equal(model.apply, params, loaded(module, params), values(*batch, *shape))


@given(st.integers(1, 3), st.integers(1, 2), sizes, st.booleans())
def test_group_norm_equals_torch(groups, each, size, affine):
    channels = groups * each
    model = nn.group_norm(groups, channels, affine=affine)
    params = moved(model.init(KEY))
    module = torch.nn.GroupNorm(groups, channels, affine=affine)
    x = values(2, channels, *size, 2)
    assert_gradients_equal(model.apply, params, loaded(module, params), x)
    mapped = torch.func.vmap(model.apply, (None, 0))(params, x[:, None])
    torch.testing.assert_close(mapped[:, 0], module(x), rtol=0, atol=1e-12)


@given(sizes.filter(len), sizes, st.sampled_from([None, 1e-3]))
def test_rms_norm_is_its_formula(shape, batch, eps):
    model = nn.rms_norm(shape, eps=eps)
    params = moved(model.init(KEY))
    x = values(*batch, *shape)
    small = torch.finfo(torch.float64).eps if eps is None else eps
    mean_square = (x**2).flatten(len(batch)).mean(-1).reshape(*batch, *[1] * len(shape))
    expected = params["weight"] * x / (mean_square + small).sqrt()
    torch.testing.assert_close(model.apply(params, x), expected, rtol=1e-13, atol=1e-13)
    if hasattr(torch.nn, "RMSNorm"):  # from torch 2.4 on
        module = loaded(torch.nn.RMSNorm(shape, eps=eps), params)
        assert_gradients_equal(model.apply, params, module, x)


@pytest.mark.parametrize("model", [nn.layer_norm(3), nn.group_norm(1, 3), nn.rms_norm(3)])
def test_meta_device_and_dtype(model):
    params = model.init(KEY, device="meta", dtype=torch.float32)
    assert {(leaf.device.type, leaf.dtype) for leaf in tree.leaves(params)} == {("meta", torch.float32)}
    assert model.apply(params, torch.empty(2, 3, device="meta", dtype=torch.float32)).device.type == "meta"


def test_batch_norm_on_meta_and_its_dtypes():
    model = nn.batch_norm(3)
    params, state = model.init(KEY, device="meta", dtype=torch.float32)
    y, state = model.apply(params, state, torch.empty(2, 3, device="meta", dtype=torch.float32), train=True)
    assert {leaf.device.type for leaf in [y, *tree.leaves(state)]} == {"meta"}
    assert state["num_batches_tracked"].dtype == torch.int64


def applied(model, x: torch.Tensor):
    made = model.init(KEY)
    return model.apply(*made, x, train=True) if isinstance(model, nn.StatefulModel) else model.apply(made, x)


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.batch_norm(0), ValueError, "num_features must be at least 1. Got num_features=0."),
        (lambda: nn.batch_norm(3, eps=0.0), ValueError, "eps must be positive. Got eps=0.0."),
        (lambda: nn.batch_norm(3, momentum=2.0), ValueError, "momentum must be at most 1. Got momentum=2.0."),
        (
            lambda: applied(nn.batch_norm(3), torch.zeros(4, 2, 5, 5)),
            ValueError,
            "x must have the shape (batch, 3, ...), with 3 channels. Got x of shape (4, 2, 5, 5).",
        ),
        (
            lambda: applied(nn.batch_norm(3), torch.zeros(1, 3)),
            ValueError,
            "x must hold at least two values in each channel, for a variance. Got x of shape (1, 3).",
        ),
        (lambda: applied(nn.batch_norm(3), [1.0]), TypeError, "x must be a tensor. Got x=[1.0]."),
        (lambda: nn.layer_norm(0), ValueError, "normalized_shape must hold positive widths."),
        (
            lambda: applied(nn.layer_norm((2, 3)), torch.zeros(3, 2)),
            ValueError,
            "x must have the last dimensions (2, 3). Got x of shape (3, 2).",
        ),
        (lambda: applied(nn.rms_norm(3), "x"), TypeError, "x must be a tensor. Got x='x'."),
        (lambda: nn.rms_norm(3, eps=-1.0), ValueError, "eps must be positive."),
        (lambda: nn.group_norm(2, 3), ValueError, "num_groups must divide the 3 channels. Got num_groups=2."),
    ],
)
def test_errors_say_what_must_hold(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
