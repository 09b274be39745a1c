"""The distributions themselves, by closed forms, and the laws that hold for every seed."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats
from torch import Tensor

from funcsci import random
from funcsci.random.erfinv import inverse_error

FAST = settings(max_examples=25, deadline=None)
SEEDS = st.integers(-(2**63), 2**63 - 1)
DTYPES = [torch.float32, torch.float64]
BATCHED = torch.linspace(0.1, 0.9, 5)


def identical(got: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(got, expected, rtol=0, atol=0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_distributions(dtype: torch.dtype) -> None:
    n = 20_000
    first, second, third = random.split(random.key(0), 3)
    uniform = random.uniform(first, (n,), dtype=dtype, minval=-2.0, maxval=3.0)
    assert uniform.min() >= -2 and uniform.max() < 3
    assert stats.kstest(uniform, stats.uniform(-2, 5).cdf).pvalue > 1e-3
    assert stats.kstest(random.normal(second, (n,), dtype=dtype), stats.norm.cdf).pvalue > 1e-3
    truncated = random.truncated_normal(third, -1.0, 2.0, (n,), dtype=dtype)
    assert truncated.min() > -1 and truncated.max() < 2
    assert stats.kstest(truncated, stats.truncnorm(-1, 2).cdf).pvalue > 1e-3


# In the tails the rounding of u * u counts, which JAX has too.
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-5), (torch.float64, 1e-11)])
def test_normal_is_the_inverse_error_function_of_uniform(dtype: torch.dtype, tolerance: float) -> None:
    key = random.key(9)
    least = -1 + 2.0 ** (-24 if dtype == torch.float32 else -53)
    u = random.uniform(key, (20_000,), dtype=dtype, minval=least, maxval=1.0).double()
    expected = math.sqrt(2) * torch.from_numpy(special.erfinv(u.numpy()))
    got = random.normal(key, (20_000,), dtype=dtype).double()
    torch.testing.assert_close(got, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_inverse_error_function_at_its_edges(dtype: torch.dtype) -> None:
    u = torch.tensor([-1.0, 0.0, 1.0], dtype=dtype)
    identical(inverse_error(u), torch.tensor([-math.inf, 0.0, math.inf], dtype=dtype))
    slope = torch.func.grad(lambda u: inverse_error(u)[1])(u)
    torch.testing.assert_close(slope, torch.tensor([0.0, math.sqrt(math.pi) / 2, 0.0], dtype=dtype))


def test_uniform_between_the_largest_numbers_is_finite() -> None:
    most = torch.finfo(torch.float64).max / 2
    drawn = random.uniform(random.key(0), (100,), dtype=torch.float64, minval=-most, maxval=most)
    unit = random.uniform(random.key(0), (100,), dtype=torch.float64)
    torch.testing.assert_close(drawn / most, 2 * unit - 1, rtol=0, atol=1e-15)


def test_uniform_lies_in_its_interval_and_rounding_may_reach_the_end() -> None:
    least, most = 1.0, 1.0 + 2.0**-22  # two steps of float32
    x = random.uniform(random.key(0), (4096,), dtype=torch.float32, minval=least, maxval=most)
    assert set(x.tolist()) == {least, 1.0 + 2.0**-23, most}
    assert "may reach maxval" in str(random.uniform.__doc__)
    assert float(random.uniform(random.key(0), (4096,), dtype=torch.float32).max()) < 1


def test_discrete_frequencies() -> None:
    n, weights = 20_000, torch.tensor([0.1, 0.2, 0.3, 0.4])
    for drawn in (
        random.categorical(random.key(1), weights.log(), shape=(n,)),
        random.choice(random.key(2), 4, (n,), p=weights),
    ):
        counts = torch.bincount(drawn, minlength=4)
        assert stats.chisquare(counts.numpy(), n * weights.double().numpy()).pvalue > 1e-3
    counts = torch.bincount(random.randint(random.key(3), (n,), 0, 7), minlength=7)
    assert stats.chisquare(counts.numpy()).pvalue > 1e-3
    hits = int(random.bernoulli(random.key(4), 0.3, (n,)).sum())
    assert stats.binomtest(hits, n, 0.3).pvalue > 1e-3


def test_bernoulli_and_truncated_normal_take_their_shape_from_tensors() -> None:
    key = random.key(0)
    assert random.bernoulli(key).shape == ()
    assert random.bernoulli(key, BATCHED).shape == (5,)
    assert random.bernoulli(key, BATCHED, (2, 5)).shape == (2, 5)
    assert random.truncated_normal(key, -BATCHED, 1.0).shape == (5,)


@FAST
@given(SEEDS, st.integers(0, 300))
def test_a_permutation_holds_every_element_once(seed: int, size: int) -> None:
    identical(random.permutation(random.key(seed), size).sort().values, torch.arange(size))


@FAST
@given(SEEDS, SEEDS, st.integers(1, 2**64), st.sampled_from([torch.int32, torch.int64]))
def test_randint_stays_in_its_range(seed: int, minval: int, span: int, dtype: torch.dtype) -> None:
    if dtype == torch.int32:
        minval, span = minval >> 32, (span >> 32) + 1
    maxval = min(minval + span, torch.iinfo(dtype).max + 1)
    drawn = random.randint(random.key(seed), (50,), minval, maxval, dtype=dtype).tolist()
    assert all(minval <= number < maxval for number in drawn)


@FAST
@given(SEEDS)
def test_keys_are_distinct(seed: int) -> None:
    key = random.key(seed)
    folded = torch.stack([random.fold_in(key, number) for number in range(20)])
    assert len({tuple(row) for row in [key.tolist(), *random.split(key, 100).tolist()]}) == 101
    assert len({tuple(row) for row in folded.tolist()}) == 20


@FAST
@given(SEEDS)
def test_a_draw_without_replacement_is_distinct(seed: int) -> None:
    for p in (None, torch.ones(8)):
        assert len(set(random.choice(random.key(seed), 8, (8,), replace=False, p=p).tolist())) == 8
