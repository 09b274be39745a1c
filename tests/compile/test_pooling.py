"""The gradient of pooling without a scatter: torch's to the bit, ties and left-over cells included."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from funcsci import random
from funcsci.compile import jit
from funcsci.compile.pooling import max_pool_backward


@given(st.integers(1, 3), st.integers(1, 3), st.integers(3, 8), st.integers(3, 8), st.booleans())
def test_equals_torch_with_ties(down, across, height, width, ties):
    x = random.normal(random.key(height), (2, 3, height, width))
    x = x.round() if ties else x
    grad_of = torch.nn.functional.max_pool2d(x, (down, across))
    grad = random.normal(random.key(width), tuple(grad_of.shape))
    leaf = x.clone().requires_grad_()
    torch.nn.functional.max_pool2d(leaf, (down, across)).backward(grad)
    assert torch.equal(max_pool_backward(grad, x, grad_of, (down, across)), leaf.grad)


@pytest.mark.slow
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_a_compiled_gradient_equals_torchs(layout):
    """Windows that do not overlap, in both layouts, and beside them windows that do."""
    x = random.normal(random.key(0), (2, 8, 7, 9)).round().to(memory_format=layout)

    def loss(x):
        pool = torch.nn.functional.max_pool2d
        apart, overlapping, padded = pool(x, 2), pool(x, 3, stride=2), pool(x, 2, padding=1)
        return (apart**2).sum() + (overlapping**3).sum() + (padded**3).sum()

    gradient = jit(torch.func.grad(loss), backend="compile")(x)
    torch.testing.assert_close(gradient, torch.func.grad(loss)(x), rtol=1e-13, atol=1e-13)
