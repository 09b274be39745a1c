"""First values: torch.nn.init's formulas, moments, orthogonality, keys, devices, messages."""

import math
import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from funcsci import random
from funcsci.nn import initializers

KEY = random.key(11)
SHAPES = [(300, 200), (200, 300), (64, 16, 5, 3), (32, 48, 7)]
sizes = st.integers(1, 6)

# Name -> (initializer, whether it needs a shape with fans).
ALL = {
    "constant": (initializers.constant(0.3), False),
    "zeros": (initializers.zeros(), False),
    "ones": (initializers.ones(), False),
    "uniform": (initializers.uniform(-0.5, 0.25), False),
    "normal": (initializers.normal(0.3), False),
    "truncated_normal": (initializers.truncated_normal(0.3), False),
    "fan_in_uniform of a bias": (initializers.fan_in_uniform(fan_in=9), False),
    "fan_in_uniform": (initializers.fan_in_uniform(), True),
    "xavier_uniform": (initializers.xavier_uniform(), True),
    "xavier_normal": (initializers.xavier_normal(), True),
    "kaiming_uniform": (initializers.kaiming_uniform(), True),
    "kaiming_normal": (initializers.kaiming_normal(), True),
    "lecun_normal": (initializers.lecun_normal(), True),
    "orthogonal": (initializers.orthogonal(), True),
}
CONSTANT = {"constant", "zeros", "ones"}


def torch_fans(shape):
    return torch.nn.init._calculate_fan_in_and_fan_out(torch.empty(shape, device="meta"))


def assert_uniform(sample, bound):
    """All within the bound, the bound nearly reached, and the moments of the uniform distribution."""
    assert sample.abs().max() <= bound
    assert sample.abs().max() > 0.99 * bound
    assert_moments(sample, bound / math.sqrt(3), kurtosis=1.8)


def assert_moments(sample, std, kurtosis):
    """Mean 0 and the variance, within five standard errors; the fourth moment within five percent."""
    count = sample.numel()
    assert abs(sample.mean()) < 5 * std / math.sqrt(count)
    assert abs(sample.square().mean() / std**2 - 1) < 5 * math.sqrt((kurtosis - 1) / count)
    assert sample.pow(4).mean() / std**4 == pytest.approx(kurtosis, rel=0.05)


@given(st.lists(sizes, min_size=2, max_size=5))
def test_fans_are_torchs(shape):
    assert initializers.fans(shape) == torch_fans(shape)


@pytest.mark.parametrize("nonlinearity", initializers.GAINS)
@pytest.mark.parametrize("a", [0.0, 0.2, math.sqrt(5)])
def test_gain_is_torchs(nonlinearity, a):
    assert initializers.gain(nonlinearity, a) == pytest.approx(torch.nn.init.calculate_gain(nonlinearity, a))


@pytest.mark.parametrize("nonlinearity", initializers.GAINS)
def test_the_gain_by_default_is_torchs(nonlinearity):
    assert initializers.gain(nonlinearity) == pytest.approx(
        torch.nn.init.calculate_gain(nonlinearity), rel=1e-15
    )


@pytest.mark.parametrize("value", [-2.0, 0.0, 1, 0.25])
def test_constant(value):
    assert torch.equal(initializers.constant(value)(KEY, (3, 2)), torch.full((3, 2), float(value)))


def test_zeros_and_ones():
    assert torch.equal(initializers.zeros()(KEY, (4,)), torch.zeros(4))
    assert torch.equal(initializers.ones()(KEY, (4,)), torch.ones(4))


def test_uniform():
    sample = initializers.uniform(2.0, 5.0)(KEY, (200, 300))
    assert sample.min() >= 2.0 and sample.max() < 5.0
    assert_uniform(sample - 3.5, 1.5)


def test_normal():
    assert_moments(initializers.normal(0.2)(KEY, (200, 300)), 0.2, kurtosis=3.0)


def test_truncated_normal_has_the_moments_of_the_cut_distribution():
    sample = initializers.truncated_normal(0.2, -1.0, 2.5)(KEY, (200, 300))
    assert sample.min() >= -0.2 and sample.max() <= 0.5
    mean, variance = stats.truncnorm.stats(-1.0, 2.5)
    assert float(sample.mean()) == pytest.approx(0.2 * mean, rel=0.02)
    assert float(sample.var()) == pytest.approx(0.04 * variance, rel=0.02)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("gain", [1.0, 5 / 3])
def test_xavier(shape, gain):
    fan_in, fan_out = torch_fans(shape)
    assert_uniform(initializers.xavier_uniform(gain)(KEY, shape), gain * math.sqrt(6 / (fan_in + fan_out)))
    std = gain * math.sqrt(2 / (fan_in + fan_out))
    assert_moments(initializers.xavier_normal(gain)(KEY, shape), std, kurtosis=3.0)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("mode", ["fan_in", "fan_out"])
@pytest.mark.parametrize(("nonlinearity", "a"), [("leaky_relu", math.sqrt(5)), ("relu", 0.0), ("tanh", 0.0)])
def test_kaiming(shape, mode, nonlinearity, a):
    fan = torch_fans(shape)[("fan_in", "fan_out").index(mode)]
    std = torch.nn.init.calculate_gain(nonlinearity, a) / math.sqrt(fan)
    assert_uniform(initializers.kaiming_uniform(a, mode, nonlinearity)(KEY, shape), math.sqrt(3) * std)
    assert_moments(initializers.kaiming_normal(a, mode, nonlinearity)(KEY, shape), std, kurtosis=3.0)


@pytest.mark.parametrize("shape", SHAPES)
def test_lecun_normal(shape):
    sample = initializers.lecun_normal()(KEY, shape)
    std = 1 / math.sqrt(torch_fans(shape)[0])
    cut = stats.truncnorm(-2, 2)
    assert_moments(sample, std, kurtosis=float(cut.stats("k")) + 3)
    assert sample.abs().max() <= 2 * std / cut.std()


@pytest.mark.parametrize("shape", SHAPES)
def test_fan_in_uniform_is_what_torchs_layers_begin_with(shape):
    # torch.nn.Linear and the convolutions: kaiming_uniform_(a=sqrt(5)), which is ±1/sqrt(fan_in).
    bound = 1 / math.sqrt(torch_fans(shape)[0])
    assert_uniform(initializers.fan_in_uniform()(KEY, shape), bound)
    kaiming = initializers.kaiming_uniform(math.sqrt(5))(KEY, shape)
    torch.testing.assert_close(initializers.fan_in_uniform()(KEY, shape), kaiming, rtol=1e-12, atol=1e-12)


def test_fan_in_uniform_of_a_bias():
    assert_uniform(initializers.fan_in_uniform(fan_in=16)(KEY, (20_000,)), 0.25)


@given(st.lists(sizes, min_size=2, max_size=4), st.floats(0.1, 3.0))
def test_orthogonal(shape, gain):
    weight = initializers.orthogonal(gain)(KEY, shape)
    assert weight.shape == tuple(shape)
    matrix = weight.reshape(shape[0], -1)
    gram = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    torch.testing.assert_close(gram, gain**2 * torch.eye(gram.shape[0]), rtol=1e-12, atol=1e-12)


def test_orthogonal_is_uniform_over_rotations_and_reflections():
    # Without the signs, the diagonal of Q would be biased: its mean over many draws is then not 0.
    keys = random.split(KEY, 2000)
    matrices = torch.func.vmap(lambda key: initializers.orthogonal()(key, (3, 3)))(keys)
    assert matrices.mean(0).abs().max() < 5 / math.sqrt(3 * 2000)
    assert abs(torch.linalg.det(matrices).mean()) < 5 / math.sqrt(2000)


@pytest.mark.parametrize("name", ALL)
def test_protocol(name):
    initializer, _ = ALL[name]
    shape = (4, 3, 2)
    for dtype in (torch.float32, torch.float64):
        drawn = initializer(KEY, shape, dtype=dtype)
        assert drawn.shape == shape and drawn.dtype == dtype and not drawn.requires_grad
    assert initializer(KEY, list(shape)).dtype == torch.get_default_dtype()
    assert torch.equal(initializer(KEY, shape), initializer(KEY, shape))
    same = torch.equal(initializer(KEY, shape), initializer(random.key(12), shape))
    assert same == (name in CONSTANT)
    meta = initializer(KEY, shape, device="meta")
    assert meta.device.type == "meta" and meta.shape == shape and meta.dtype == torch.get_default_dtype()
    assert initializer(KEY.to("meta"), shape).device.type == "meta"


@pytest.mark.parametrize("name", ALL)
def test_vmap_over_keys_equals_a_loop(name):
    initializer, _ = ALL[name]
    keys = random.split(KEY, 3)
    batched = torch.func.vmap(lambda key: initializer(key, (4, 3)))(keys)
    looped = torch.stack([initializer(key, (4, 3)) for key in keys])
    torch.testing.assert_close(batched, looped, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("name", [name for name, (_, fans) in ALL.items() if not fans])
def test_those_without_fans_take_any_shape(name):
    for shape in [(), (5,)]:
        assert ALL[name][0](KEY, shape).shape == shape


@pytest.mark.parametrize("name", [name for name, (_, fans) in ALL.items() if fans])
def test_those_with_fans_need_two_dimensions(name):
    with pytest.raises(ValueError, match=re.escape("have at least two dimensions. Got shape=(5,).")):
        ALL[name][0](KEY, (5,))


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: initializers.fans((3, 0)), ValueError, "shape must hold positive widths. Got shape=(3, 0)."),
        (lambda: initializers.gain("tan"), ValueError, "Did you mean 'tanh'?"),
        (lambda: initializers.constant(math.nan), ValueError, "value must be finite. Got value=nan."),
        (
            lambda: initializers.uniform(1.0, 0.0),
            ValueError,
            "(low, high) must run forward. Got (low, high)=(1.0, 0.0).",
        ),
        (lambda: initializers.normal(0.0), ValueError, "std must be positive. Got std=0.0."),
        (lambda: initializers.truncated_normal(-1.0), ValueError, "std must be positive. Got std=-1.0."),
        (
            lambda: initializers.truncated_normal(1.0, 2.0, 2.0),
            ValueError,
            "(lower, upper) must have a positive length.",
        ),
        (lambda: initializers.xavier_uniform(0), ValueError, "gain must be positive. Got gain=0."),
        (lambda: initializers.xavier_normal("1"), TypeError, "gain must be a real number. Got gain='1'."),
        (lambda: initializers.kaiming_normal(mode="fan"), ValueError, "mode must be one of 'fan_in', "),
        (lambda: initializers.kaiming_uniform(nonlinearity="rellu"), ValueError, "Did you mean 'relu'?"),
        (lambda: initializers.fan_in_uniform(0), ValueError, "fan_in must be at least 1. Got fan_in=0."),
        (lambda: initializers.orthogonal(-1), ValueError, "gain must be positive. Got gain=-1."),
        (lambda: initializers.normal()(5, (2,)), TypeError, "key must be a key, not a seed. Got key=5."),
    ],
)
def test_errors_say_what_must_hold(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
