"""Embeddings: the written-out features, exact periods, the kernel of random waves, composition, messages."""

import math
import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from funcsci import nn, optim, random, tree
from funcsci.autodiff import partials

KEY = random.key(33)


def values(*shape: int, seed: int = 50) -> torch.Tensor:
    return random.normal(random.key(seed), shape)


@pytest.mark.parametrize("batch", [(), (7,), (2, 3)])
def test_fourier_features_are_the_formula(batch):
    model = nn.fourier_features(3, 5, scale=2.0)
    params = model.init(KEY)
    assert params.keys() == {"frequencies"} and params["frequencies"].shape == (5, 3)
    x = values(*batch, 3)
    y = model.apply(params, x)
    assert y.shape == (*batch, 10)
    for place, row in enumerate(params["frequencies"]):
        angle = 2 * math.pi * (x * row).sum(-1)
        torch.testing.assert_close(y[..., place], angle.cos(), rtol=1e-12, atol=1e-13)
        torch.testing.assert_close(y[..., 5 + place], angle.sin(), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("scale", [0.3, 1, 10.0])
def test_frequencies_are_normal_of_that_deviation(scale):
    drawn = nn.fourier_features(2, 20_000, scale=scale).init(KEY)["frequencies"]
    assert drawn.mean().abs() < 5 * scale / math.sqrt(drawn.numel())
    assert float(drawn.std()) == pytest.approx(scale, rel=5 / math.sqrt(2 * drawn.numel()))
    assert float((drawn / scale).pow(4).mean()) == pytest.approx(3.0, rel=0.05)


def test_the_inner_product_of_features_is_a_gaussian_kernel():
    # Bochner: the mean of cos(2 pi b d) over normal b is exp(-2 (pi scale d)^2), of the distance alone.
    model = nn.fourier_features(1, 50_000, scale=0.7)
    params = model.init(KEY)
    x, y = torch.linspace(-1, 1, 9)[:, None], torch.tensor([[0.3]])
    product = (model.apply(params, x) * model.apply(params, y)).sum(-1) / 50_000
    expected = torch.exp(-2 * (math.pi * 0.7 * (x - y)[:, 0]) ** 2)
    torch.testing.assert_close(product, expected, rtol=0, atol=5 / math.sqrt(2 * 50_000))


def test_frequencies_are_learned_unless_they_are_frozen():
    model = nn.sequential(nn.fourier_features(2, 4), nn.linear(8, 1))
    params, x = model.init(KEY), values(6, 2)
    grads = torch.func.grad(lambda params: model.apply(params, x).square().sum())(params)
    assert grads[0]["frequencies"].abs().min() > 0
    held = optim.multi_transform(
        {"fixed": optim.freeze(), "learned": optim.sgd(0.1)},
        lambda path, leaf: "fixed" if "frequencies" in path else "learned",
    )
    after = optim.apply_updates(params, held.update(grads, held.init(params), params)[0])
    assert torch.equal(after[0]["frequencies"], params[0]["frequencies"])
    assert not torch.equal(after[1]["weight"], params[1]["weight"])


def test_periodic_embedding_is_the_documented_order():
    model = nn.periodic_embedding((2.0, None, 0.5, None), harmonics=2, lower=(-0.7, 9.0, 0.1, 9.0))
    x = values(6, 4)
    first, third = math.pi * (x[:, 0] + 0.7), 4 * math.pi * (x[:, 2] - 0.1)
    angles = [first, 2 * first, third, 2 * third]
    columns = [x[:, 1], x[:, 3], *(torch.cos(one) for one in angles), *(torch.sin(one) for one in angles)]
    y = model.apply({}, x)
    assert y.shape == (6, 4 - 2 + 2 * 2 * 2)
    torch.testing.assert_close(y, torch.stack(columns, 1), rtol=1e-12, atol=1e-13)


@given(
    st.lists(st.none() | st.floats(0.1, 10.0), min_size=1, max_size=4).filter(any),
    st.integers(1, 3),
    st.lists(st.integers(1, 3), max_size=2).map(tuple),
)
def test_periodic_embedding_has_its_periods_and_its_size(periods, harmonics, batch):
    model = nn.periodic_embedding(periods, harmonics=harmonics)
    x = values(*batch, len(periods))
    count = sum(period is not None for period in periods)
    assert model.apply({}, x).shape == (*batch, len(periods) - count + 2 * count * harmonics)
    for place, period in enumerate(periods):
        if period is not None:
            moved = x.clone()
            moved[..., place] += 3 * period
            torch.testing.assert_close(model.apply({}, moved), model.apply({}, x), rtol=0, atol=1e-12)


@pytest.mark.parametrize("derivatives", ["nested", "taylor"])
def test_a_network_on_it_is_periodic_with_all_its_derivatives(derivatives):
    model = nn.sequential(
        nn.periodic_embedding((2.0, None), harmonics=2, lower=[-1.0, 0.0]), nn.mlp((5, 12, 1))
    )
    params = model.init(KEY)
    operators = (((),), ((0,),), ((0, 0),), ((0, 0, 0),), ((0, 1),))

    def at(x: float) -> tuple[torch.Tensor, ...]:
        point = torch.tensor([x, 0.4])
        return partials(lambda x: model.apply(params, x), operators, derivatives=derivatives)(point)

    for left, right, inside in zip(at(-1.0), at(1.0), at(0.3), strict=True):
        torch.testing.assert_close(left, right, rtol=1e-11, atol=1e-11)
        assert (left - inside).abs() > 1e-3


def test_derivatives_of_fourier_features_equal_the_closed_form():
    model = nn.fourier_features(1, 3, scale=0.5)
    params = model.init(KEY)
    rates = 2 * math.pi * params["frequencies"][:, 0]
    x = torch.tensor([0.37])
    for derivatives in ("nested", "taylor"):
        (second,) = partials(lambda x: model.apply(params, x), (((0, 0),),), derivatives=derivatives)(x)
        torch.testing.assert_close(second, -rates.square().repeat(2) * model.apply(params, x))


def test_without_parameters_it_joins_others_and_can_be_trained():
    model = nn.sequential(nn.periodic_embedding((1.0,)), nn.fourier_features(2, 3), nn.linear(6, 1))
    params = model.init(KEY)
    assert params[0] == {}
    assert [path.split("]")[0] for path in tree.paths(params)] == ["[1", "[2", "[2"]
    optimizer = optim.adam(1e-2)
    x, state = values(8, 1), optimizer.init(params)
    grads = torch.func.grad(lambda params: model.apply(params, x).square().mean())(params)
    updates, _ = optimizer.update(grads, state, params)
    assert optim.apply_updates(params, updates)[0] == {}
    assert nn.summary(model, KEY, x).total == 2 * 3 + 7


@pytest.mark.parametrize(
    "model", [nn.fourier_features(2, 3), nn.periodic_embedding((1.0, None), harmonics=2)]
)
def test_devices_dtypes_and_vmap(model):
    params = model.init(KEY, device="meta", dtype=torch.float32)
    y = model.apply(params, torch.empty(4, 2, device="meta", dtype=torch.float32))
    assert (y.device.type, y.dtype) == ("meta", torch.float32)
    params, x = model.init(KEY), values(5, 2)
    looped = torch.stack([model.apply(params, sample) for sample in x])
    mapped = torch.func.vmap(model.apply, (None, 0))(params, x)
    torch.testing.assert_close(mapped, looped, rtol=1e-13, atol=1e-13)
    keys = random.split(KEY, 3)
    ensemble = torch.func.vmap(model.init)(keys)
    assert tree.allclose(ensemble, tree.stack([model.init(key) for key in keys]), rtol=1e-14, atol=0)


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.fourier_features(0, 2), ValueError, "in_features must be at least 1. Got in_features=0."),
        (lambda: nn.fourier_features(1, 2.5), TypeError, "count must be an integer. Got count=2.5."),
        (lambda: nn.fourier_features(1, 2, scale=0.0), ValueError, "scale must be positive. Got scale=0.0."),
        (lambda: nn.fourier_features(1, 2).init(3), TypeError, "key must be a key, not a seed. Got key=3."),
        (
            lambda: nn.fourier_features(2, 2).apply(nn.fourier_features(2, 2).init(KEY), torch.ones(3)),
            ValueError,
            "x must have 2 features in its last dimension. Got x of shape (3,).",
        ),
        (
            lambda: nn.periodic_embedding(2.0),
            TypeError,
            "periods must be a sequence with an entry for each coordinate. Got periods=2.0. Try",
        ),
        (
            lambda: nn.periodic_embedding((None, None)),
            ValueError,
            "periods must hold at least one period. Got periods=(None, None). Try periods=(1.0,).",
        ),
        (
            lambda: nn.periodic_embedding((None, -1)),
            ValueError,
            "periods[1] must be positive. Got periods[1]=-1.",
        ),
        (lambda: nn.periodic_embedding(("a",)), TypeError, "periods[0] must be a real number."),
        (lambda: nn.periodic_embedding((1.0,), harmonics=0), ValueError, "harmonics must be at least 1."),
        (
            lambda: nn.periodic_embedding((1.0, None), lower=(0.0,)),
            ValueError,
            "lower must have 2 entries, one for each of periods. Got lower=(0.0,). Try lower=(0.0, 0.0).",
        ),
        (
            lambda: nn.periodic_embedding((1.0,), lower=0.0),
            TypeError,
            "lower must be a sequence with an entry",
        ),
        (lambda: nn.periodic_embedding((1.0,), lower=(math.nan,)), ValueError, "lower[0] must be finite."),
        (
            lambda: nn.periodic_embedding((1.0,)).init(3),
            TypeError,
            "key must be a key, not a seed. Got key=3.",
        ),
        (
            lambda: nn.periodic_embedding((1.0,)).apply({}, torch.ones(3)),
            ValueError,
            "x must have 1 features in its last dimension. Got x of shape (3,).",
        ),
    ],
)
def test_errors_say_what_must_hold(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
