"""A bias after the product: the same numbers, and only where a view keeps it apart."""

import pytest
import torch

from funcsci import random
from funcsci.compile import jit
from funcsci.compile.biases import biases_apart
from funcsci.compile.trace import trace

aten = torch.ops.aten


def values(*shape: int) -> torch.Tensor:
    return random.normal(random.key(len(shape) + shape[-1]), shape)


def affine(x, weight, bias):
    return [torch.tanh(torch.nn.functional.linear(x, weight, bias))]


@pytest.mark.parametrize(("shape", "left"), [((2, 3, 6), 0), ((2, 1, 3, 6), 0), ((3, 6), 1)])
def test_the_bias_of_a_batch_of_sequences_is_a_sum_of_its_own(shape, left):
    inputs = values(*shape), values(5, 6), values(5)
    module = biases_apart(trace(affine, list(inputs), ["x", "weight", "bias"]))
    targets = [node.target for node in module.graph.nodes]
    assert targets.count(aten.addmm.default) == left
    for found, expected in zip(module(*inputs), affine(*inputs), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-14, atol=1e-14)


def test_a_product_that_is_read_twice_stays_whole():
    def twice(x, weight, bias):
        flat = torch.addmm(bias, x, weight)
        return [flat.view(2, 3, 5).sin(), flat.cos()]

    inputs = values(6, 4), values(4, 5), values(5)
    module = biases_apart(trace(twice, list(inputs), ["x", "weight", "bias"]))
    assert aten.addmm.default in [node.target for node in module.graph.nodes]
    assert all(torch.equal(*pair) for pair in zip(module(*inputs), twice(*inputs), strict=True))


@pytest.mark.slow
def test_a_bias_that_is_a_table_compiles_too():
    def function(x, weight):
        return torch.nn.functional.linear(x, weight, torch.arange(5.0).sin()).tanh()

    inputs = values(2, 3, 6), values(5, 6)
    torch.testing.assert_close(
        jit(function, backend="compile")(*inputs), function(*inputs), rtol=1e-13, atol=1e-13
    )


@pytest.mark.slow
def test_a_compiled_gradient_equals_the_eager_one():
    def loss(weights, x):
        for weight, bias in weights:
            x = affine(x, weight, bias)[0]
        return (x**2).mean()

    weights = [(values(6, 6), values(6)), (values(5, 6), values(5))]
    gradient = torch.func.grad(loss)
    found, expected = (
        jit(gradient, backend="compile")(weights, values(2, 3, 6)),
        gradient(weights, values(2, 3, 6)),
    )
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-13, atol=1e-13)
