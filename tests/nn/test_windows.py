"""Sizes and receptive fields: the course's exercises, a traced pass, gradients as the witness."""

import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from funcsci import models, nn, random
from funcsci.nn import Window, conv_output_size, receptive_field


def test_the_sizes_of_the_courses_stack_are_those_of_a_pass():
    """Exercise 5.1: 32 x 32 through 5, pool 2, 3 with padding, 3 with stride 2; flattened, 1,568 numbers."""
    windows = [Window(5), Window(2, stride=2), Window(3, padding=1), Window(3, stride=2, padding=1)]
    sizes = [conv_output_size((32, 32), *windows[: i + 1]) for i in range(4)]
    assert sizes == [(28, 28), (14, 14), (14, 14), (7, 7)]
    layers = [
        nn.conv2d(1, 16, 5),
        nn.max_pool2d(2),
        nn.conv2d(16, 32, 3, padding=1),
        nn.conv2d(32, 32, 3, stride=2, padding=1),
    ]
    shapes = [(16, 28, 28), (16, 14, 14), (32, 14, 14), (32, 7, 7)]
    x = torch.zeros(1, 1, 32, 32, device="meta")
    for end, shape in enumerate(shapes, start=1):
        model = nn.sequential(*layers[:end])
        params = model.init(random.key(0), device="meta")
        assert model.apply(params, x).shape == (1, *shape)
    flat = nn.sequential(*layers, nn.flatten())
    assert flat.apply(flat.init(random.key(0), device="meta"), x).shape == (1, 32 * 7 * 7) == (1, 1568)


def test_the_sizes_of_the_courses_vgg_are_those_of_a_pass():
    """Exercise 5.3: 28, 14, 7, 3, and 1,152 numbers for the classifier."""
    block = [Window(3, padding=1), Window(2, stride=2)]
    assert [conv_output_size((28, 28), *block * n) for n in range(4)] == [(28, 28), (14, 14), (7, 7), (3, 3)]
    model = models.vgg()
    params, state = model.init(random.key(0), device="meta")
    assert params[-1]["weight"].shape == (10, 128 * 3 * 3) == (10, 1152)
    y, _ = model.apply(params, state, torch.zeros(2, 1, 28, 28, device="meta"), train=True)
    assert y.shape == (2, 10)


@given(st.data())
def test_the_size_is_that_of_torch(data):
    draw = data.draw
    transposed = draw(st.booleans())
    kernel, stride, dilation, padding = (draw(st.integers(low, 3)) for low in (1, 1, 1, 0))
    extra = draw(st.integers(0, max(stride, dilation) - 1)) if transposed else 0
    size = draw(st.integers(7, 12))
    window = Window(kernel, stride, padding, dilation, transposed, extra)
    weight, x = torch.zeros(1, 1, kernel), torch.zeros(1, 1, size)
    if transposed:
        y = torch.nn.functional.conv_transpose1d(x, weight, None, stride, padding, extra, 1, dilation)
    else:
        y = torch.nn.functional.conv1d(x, weight, None, stride, padding, dilation)
    assert conv_output_size(size, window) == y.shape[2:]


@given(st.integers(3, 12), st.integers(1, 3), st.integers(1, 4), st.booleans(), st.booleans())
def test_the_size_of_a_pooling_is_that_of_torch(size, kernel, stride, padded, ceil):
    padding = kernel // 2 if padded else 0
    y = torch.nn.functional.max_pool1d(torch.zeros(1, 1, size), kernel, stride, padding, ceil_mode=ceil)
    assert conv_output_size(size, Window(kernel, stride, padding, ceil_mode=ceil)) == y.shape[2:]


@given(
    st.lists(
        st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(0, 1), st.integers(1, 2)), max_size=3
    )
)
def test_the_receptive_field_is_where_the_gradient_is_not_zero(drawn):
    windows = [Window(*numbers) for numbers in drawn]
    x = torch.ones(1, 1, 200)

    def seen(position: int) -> list[int]:
        def output(x):
            for kernel, stride, padding, dilation in drawn:
                x = torch.nn.functional.conv1d(x, torch.ones(1, 1, kernel), None, stride, padding, dilation)
            return x[0, 0, position]

        return torch.func.grad(output)(x)[0, 0].nonzero().flatten().tolist()

    found = receptive_field(*windows)
    inner = -(found.start[0] // found.stride[0])  # the first that sees no padding
    for position in (inner, inner + 1):
        first = found.start[0] + position * found.stride[0]
        cells = seen(position)
        assert (min(cells), max(cells)) == (first, first + found.size[0] - 1)


def test_two_small_windows_see_what_a_large_one_does():
    small = Window(3, padding=1)
    assert receptive_field(small, small) == receptive_field(Window(5, padding=2))
    assert receptive_field(Window((3, 1)), Window(2, 2)) == ((4, 2), (2, 2), (0, 0))
    assert receptive_field(dims=2) == ((1, 1), (1, 1), (0, 0))


def test_a_window_prints_what_matters():
    assert repr(Window(3, padding="same")) == "Window(kernel_size=3, stride=1, padding='same', dilation=1)"
    assert repr(Window(2, 2, ceil_mode=True)).endswith("dilation=1, ceil_mode=True)")


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: conv_output_size(0), ValueError, "size must hold positive widths. Got size=(0,)."),
        (lambda: conv_output_size(28.0), TypeError, "size must be a sequence of widths. Got size=28.0."),
        (
            lambda: conv_output_size(4, Window(3), Window(3)),
            ValueError,
            "windows[1] must fit into its padded input.",
        ),
        (
            lambda: conv_output_size((4, 4), Window((3,))),
            ValueError,
            "windows[0]: kernel_size must have 2 entries",
        ),
        (
            lambda: conv_output_size(4, Window(3, stride=0)),
            ValueError,
            "windows[0]: stride must be at least 1.",
        ),
        (
            lambda: receptive_field(Window(3, transposed=True)),
            ValueError,
            "windows[0] must not be transposed",
        ),
        (lambda: receptive_field(dims=0), ValueError, "dims must be at least 1."),
    ],
)
def test_errors_say_what_must_hold(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
