"""Pooling, flattening and upsampling: torch's values and gradients, messages."""

import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from funcsci import nn, random

MAX = (nn.max_pool1d, nn.max_pool2d, nn.max_pool3d)
AVERAGE = (nn.avg_pool1d, nn.avg_pool2d, nn.avg_pool3d)
TORCH_MAX = (torch.nn.MaxPool1d, torch.nn.MaxPool2d, torch.nn.MaxPool3d)
TORCH_AVERAGE = (torch.nn.AvgPool1d, torch.nn.AvgPool2d, torch.nn.AvgPool3d)


def values(*shape: int) -> torch.Tensor:
    return random.normal(random.key(90), shape)


def assert_same(function, module, x: torch.Tensor) -> None:
    y = module(x.requires_grad_())
    torch.testing.assert_close(function(x.detach()), y, rtol=0, atol=1e-12)
    y.sin().sum().backward()
    gradient = torch.func.grad(lambda x: function(x).sin().sum())(x.detach())
    torch.testing.assert_close(gradient, x.grad, rtol=0, atol=1e-12)
    torch.testing.assert_close(torch.func.vmap(function)(x.detach()), y.detach(), rtol=0, atol=1e-12)


@st.composite
def poolings(draw):
    dims = draw(st.integers(1, 3))
    kernel = draw(st.integers(1, 3))
    options = {
        "stride": draw(st.none() | st.integers(1, 3)),
        "padding": draw(st.integers(0, kernel // 2)),
        "ceil_mode": draw(st.booleans()),
    }
    return dims, kernel, options, tuple(draw(st.integers(5, 7)) for _ in range(dims))


@given(poolings(), st.integers(1, 2))
def test_max_pooling_equals_torch(drawn, dilation):
    dims, kernel, options, size = drawn
    function = MAX[dims - 1](kernel, dilation=dilation, **options)
    assert_same(function, TORCH_MAX[dims - 1](kernel, dilation=dilation, **options), values(2, 3, *size))


@given(poolings(), st.booleans())
def test_average_pooling_equals_torch(drawn, include):
    dims, kernel, options, size = drawn
    function = AVERAGE[dims - 1](kernel, count_include_pad=include, **options)
    assert_same(
        function, TORCH_AVERAGE[dims - 1](kernel, count_include_pad=include, **options), values(2, 3, *size)
    )


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_global_pooling_equals_torchs_adaptive_one(dims):
    x = values(2, 3, *(5, 4, 6)[:dims])
    average = (torch.nn.AdaptiveAvgPool1d, torch.nn.AdaptiveAvgPool2d, torch.nn.AdaptiveAvgPool3d)[dims - 1](
        1
    )
    largest = (torch.nn.AdaptiveMaxPool1d, torch.nn.AdaptiveMaxPool2d, torch.nn.AdaptiveMaxPool3d)[dims - 1](
        1
    )
    assert_same(nn.global_avg_pool(dims), lambda x: average(x).flatten(-dims - 1), x.clone())
    assert_same(nn.global_max_pool(dims), lambda x: largest(x).flatten(-dims - 1), x.clone())


def test_flatten_and_upsample_equal_torch():
    x = values(2, 3, 4, 5)
    assert torch.equal(nn.flatten()(x), torch.nn.Flatten()(x))
    assert torch.equal(nn.flatten(2)(x), torch.nn.Flatten(2)(x))
    for options in (
        {"scale_factor": 2},
        {"size": (7, 3), "mode": "bilinear"},
        {"scale_factor": (1.5, 2.0), "mode": "bicubic", "align_corners": True},
    ):
        assert torch.equal(nn.upsample(**options)(x), torch.nn.Upsample(**options)(x))


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.max_pool2d(0), ValueError, "kernel_size must be at least 1. Got kernel_size=0."),
        (lambda: nn.max_pool2d(2, stride=0), ValueError, "stride must be at least 1. Got stride=0."),
        (lambda: nn.max_pool2d("2"), TypeError, "kernel_size must be an integer or one per dimension."),
        (
            lambda: nn.avg_pool2d(3, padding=2),
            ValueError,
            "padding must be at most half of the window, which reaches over 3 cells. Got padding=2. Try",
        ),
        (lambda: nn.max_pool2d(5)(torch.zeros(1, 1, 4, 4)), ValueError, "must fit into its padded input."),
        (
            lambda: nn.max_pool2d(2)(torch.zeros(4, 4)),
            ValueError,
            "x must have the shape (batch, channels, height",
        ),
        (
            lambda: nn.global_avg_pool()(torch.zeros(4, 4)),
            ValueError,
            "x must have the shape (batch, channels",
        ),
        (lambda: nn.global_max_pool(0), ValueError, "dims must be at least 1."),
        (lambda: nn.flatten("all"), TypeError, "start_dim must be an integer."),
        (lambda: nn.upsample(), ValueError, "Either size or scale_factor must be given."),
        (
            lambda: nn.upsample(size=3, scale_factor=2),
            ValueError,
            "Either size or scale_factor must be given.",
        ),
        (lambda: nn.upsample(size=3, mode="cubic"), ValueError, "Did you mean 'bicubic'?"),
    ],
)
def test_errors_say_what_must_hold(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
