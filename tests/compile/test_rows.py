"""One row times a matrix as a sum: the same numbers, and only where it pays."""

import pytest
import torch

from funcsci import random
from funcsci.compile import jit
from funcsci.compile.rows import LARGEST, rows_as_sums
from funcsci.compile.trace import trace

aten = torch.ops.aten
PRODUCTS = (aten.mm.default, aten.addmm.default)


def values(*shape: int) -> torch.Tensor:
    return random.normal(random.key(len(shape) + shape[-1]), shape)


def products(function, *inputs: torch.Tensor):
    """The graph after the change, and how many products are left in it."""
    module = rows_as_sums(trace(function, list(inputs), [f"x{place}" for place in range(len(inputs))]))
    return module, sum(node.target in PRODUCTS for node in module.graph.nodes)


def affine(x, weight, bias):
    return [torch.nn.functional.linear(x, weight, bias), torch.nn.functional.linear(x, weight)]


@pytest.mark.parametrize("shape", [(1, 6), (1, 1, 6), (6,)])
def test_a_row_becomes_a_sum_of_the_same_value(shape):
    x, weight, bias = values(*shape), values(5, 6), values(5)
    module, left = products(affine, x, weight, bias)
    assert left == 0
    for found, expected in zip(module(x, weight, bias), affine(x, weight, bias), strict=True):
        assert found.shape == expected.shape
        torch.testing.assert_close(found, expected, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize(("rows", "columns"), [(2, 6), (1, LARGEST // 5 + 1)])
def test_several_rows_and_large_matrices_are_left_alone(rows, columns):
    _, left = products(affine, values(rows, columns), values(5, columns), values(5))
    assert left == 2


def test_whole_numbers_keep_their_dtype():
    row, matrix = torch.arange(4, dtype=torch.int32)[None], torch.ones(4, 3, dtype=torch.int32)
    module, left = products(lambda row, matrix: [row @ matrix], row, matrix)
    assert left == 1 and module(row, matrix)[0].dtype == torch.int32


@pytest.mark.slow
def test_a_compiled_step_of_one_state_equals_the_eager_one():
    x, weight, bias = values(1, 1, 6), values(5, 6), values(5)

    def step(x, weight, bias):
        return torch.tanh(sum(affine(x, weight, bias))) @ weight

    found = jit(step, backend="compile")(x, weight, bias)
    torch.testing.assert_close(found, step(x, weight, bias), rtol=1e-13, atol=1e-13)
