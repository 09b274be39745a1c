"""Windows of a series: numpy's own, as a view, and as data to train on."""

import itertools
import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from funcsci import nn, optim, random, train
from funcsci.data import batches, windows

KEY = random.key(91)


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 4), st.lists(st.integers(1, 3), max_size=2))
def test_windows_are_those_of_numpy(time, length, stride, features):
    series = random.normal(KEY, (max(time, length), *features))
    found = windows(series, length, stride=stride)
    expected = np.lib.stride_tricks.sliding_window_view(series.numpy(), length, axis=0)[::stride]
    assert found.shape == ((len(series) - length) // stride + 1, length, *features)
    np.testing.assert_array_equal(found.numpy(), np.moveaxis(expected, -1, 1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.int64, torch.bool, torch.complex128])
def test_windows_are_a_view_of_any_type_on_any_device(dtype):
    series = torch.zeros(10, 3, dtype=dtype)
    found = windows(series, 4, stride=2)
    assert found.dtype == dtype and found.shape == (4, 4, 3)
    assert found.untyped_storage().data_ptr() == series.untyped_storage().data_ptr()
    assert windows(series.to("meta"), 4).is_meta


def test_windows_go_through_transforms():
    many = random.normal(KEY, (5, 9, 2))
    mapped = torch.func.vmap(lambda series: windows(series, 4))(many)
    assert torch.equal(mapped, torch.stack([windows(series, 4) for series in many]))
    counts = torch.func.grad(lambda series: windows(series, 4).sum())(many[0])
    assert counts[:, 0].tolist() == [1, 2, 3, 4, 4, 4, 3, 2, 1]  # of the windows that each time is in


def test_windows_make_batches_and_are_trained_on():
    # Of a sine the next value is known from two: s[t + 1] = 2 cos(dt) s[t] - s[t - 1].
    series = torch.sin(0.5 * torch.arange(40.0)).unsqueeze(-1)
    w = windows(series, 3)
    x, y = w[:, :-1], w[:, -1]
    for batch in itertools.islice(batches({"x": x, "y": y}, batch_size=16, key=KEY).start(0), 3):
        found, target = batch.data["x"], batch.data["y"]
        torch.testing.assert_close(target, 2 * np.cos(0.5) * found[:, 1] - found[:, 0])

    def loss(weights, batch):
        return nn.mse(torch.einsum("t,btf->bf", weights, batch[0]), batch[1])

    result = train.fit(loss, torch.zeros(2), optim.sgd(0.5), (x, y), steps=300, progress_bar=False)
    torch.testing.assert_close(result.params, torch.tensor([-1.0, 2 * np.cos(0.5)]), rtol=0, atol=1e-5)


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: windows([1.0, 2.0], 1),
            TypeError,
            "series must be a tensor. Got a list. Try torch.as_tensor",
        ),
        (lambda: windows(torch.zeros(5), 2.0), TypeError, "length must be an integer. Got length=2.0."),
        (lambda: windows(torch.zeros(5), 0), ValueError, "length must be at least 1. Got length=0."),
        (
            lambda: windows(torch.zeros(5), 2, stride=0),
            ValueError,
            "stride must be at least 1. Got stride=0.",
        ),
        (lambda: windows(torch.zeros(5), 2, stride=True), TypeError, "stride must be an integer."),
        (
            lambda: windows(torch.zeros(5, 3), 6),
            ValueError,
            "length must be at most the 5 times of the series. Got length=6. Try length=5, or pass a longer",
        ),
        (
            lambda: windows(torch.zeros(()), 1),
            ValueError,
            "series.shape must have the shape (time, *features).",
        ),
        (
            lambda: windows(torch.zeros(0, 3), 1),
            ValueError,
            "series must hold at least one time. Got shape (0, 3). Pass a longer series.",
        ),
    ],
)
def test_errors_say_what_must_hold(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
