"""Errata of module 1: what a tensor is, its random numbers, shapes and indices."""

import numpy as np
import pytest
import torch

from funcsci import nn, random


def values(*shape: int) -> torch.Tensor:
    return random.normal(random.key(70), shape)


def test_the_number_of_dimensions_is_not_the_rank_of_a_matrix():
    ones = torch.ones(3, 4)
    assert ones.dim() == 2 and np.linalg.matrix_rank(ones.numpy()) == 1


def test_uniform_numbers_stop_below_one():
    """In float32 they are the multiples of 2**-24 from 0 to 1 - 2**-24."""
    drawn = torch.rand(100_000, dtype=torch.float32, generator=torch.Generator().manual_seed(0))
    multiples = drawn.double() * 2**24
    assert torch.equal(multiples, multiples.round())
    assert int(multiples.min()) >= 0 and int(multiples.max()) <= 2**24 - 1
    ours = random.uniform(random.key(0), (100_000,), dtype=torch.float32)
    assert float(ours.min()) >= 0 and float(ours.max()) < 1


def test_standard_normal_weights_saturate_a_wide_layer():
    """A sum of n products with unit normal weights has the standard deviation sqrt(n)."""
    weight, x = random.normal(random.key(0), (256, 256)), random.normal(random.key(1), (64, 256))
    before = x @ weight.T
    assert float(before.std()) == pytest.approx(16, rel=0.1)
    slope = 1 - torch.tanh(before).square()
    scaled = 1 - torch.tanh(before / 16).square()
    assert float(slope.mean()) < 0.06 and float(scaled.mean()) > 0.5
    drawn = torch.nn.Linear(256, 4).weight.detach()
    assert float(drawn.abs().max()) <= 1 / 16 + 1e-12


def test_to_returns_the_tensor_itself_where_nothing_is_to_be_done():
    there = torch.zeros(2)
    moved = there.to("cpu")
    assert moved is there
    moved += 1  # what the text calls a new tensor
    assert torch.equal(there, torch.ones(2))
    copied = there.to("cpu", copy=True)
    copied += 1
    assert torch.equal(there, torch.ones(2))


def test_a_number_of_the_cpu_goes_with_tensors_of_any_device():
    elsewhere = torch.ones(3, device="meta")
    assert (elsewhere * torch.tensor(2.0)).device.type == "meta"
    with pytest.raises(RuntimeError, match="device"):
        torch.add(elsewhere, torch.ones(3))


def test_matmul_is_a_batch_of_matrix_products_and_no_tensor_dot_product():
    left, right = values(2, 3, 4), values(2, 4, 5)
    product = left @ right
    assert product.shape == (2, 3, 5) and torch.tensordot(left, right, ([2], [1])).shape == (2, 3, 2, 5)
    torch.testing.assert_close(product, torch.einsum("bij,bjk->bik", left, right))


def test_both_tensors_may_grow_in_broadcasting():
    column, row = values(4, 1), values(3)
    total = column + row
    assert total.shape == (4, 3)
    np.testing.assert_array_equal(total.numpy(), np.add.outer(column[:, 0].numpy(), row.numpy()))
    assert row.expand(4, 3).stride() == (0, 1)  # nothing is copied


def test_indexing_refuses_the_negative_steps_of_numpy():
    numbers = torch.arange(4)
    assert numbers.numpy()[::-1].tolist() == numbers.flip(0).tolist() == [3, 2, 1, 0]
    with pytest.raises(ValueError, match="step must be greater than zero"):
        numbers[::-1]


def test_an_index_gives_a_view_where_numpy_gives_a_number():
    numbers, array = torch.arange(4), np.arange(4)
    first, own = numbers[0], array[0]
    numbers[0], array[0] = 9, 9
    assert int(first) == 9 and int(own) == 0


def test_one_sample_needs_no_batch_dimension():
    torch_layer, ours = torch.nn.Linear(10, 3), nn.linear(10, 3)
    x = values(10)
    assert torch_layer(x).shape == ours.apply(ours.init(random.key(0)), x).shape == (3,)
    torch.testing.assert_close(torch_layer(x), torch_layer(x.unsqueeze(0)).squeeze(0))


def test_flattening_x_says_nothing_of_x_2d():
    x = torch.arange(100)
    x_2d = x.reshape(20, 5)
    assert x.reshape(-1).shape == x.shape  # it was flat before, whatever x_2d is
    changed = x_2d.T
    assert torch.equal(x_2d.reshape(-1), x)
    assert not torch.equal(changed.reshape(-1), x.reshape(-1))
