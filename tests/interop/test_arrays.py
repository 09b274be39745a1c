"""Trees of arrays: exact round trips, any array of any library, and what does not fit."""

import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from funcsci import interop, nn, random, tree

KEY = random.key(74)
DTYPES = (torch.float32, torch.float64, torch.float16, torch.int64, torch.int8, torch.bool, torch.complex64)


class Foreign:
    """An array of another library, that tells NumPy of itself and no more; its memory may not be written."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array
        self.array.flags.writeable = False

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return self.array


@given(st.lists(st.tuples(st.sampled_from(DTYPES), st.lists(st.integers(0, 3), max_size=3)), max_size=4))
def test_any_tree_comes_back_exactly(kinds):
    leaves = [
        (8 * random.normal(random.fold_in(KEY, index), tuple(shape))).to(dtype)
        for index, (dtype, shape) in enumerate(kinds)
    ]
    one = {"layers": leaves, "last": (torch.ones(()),)}
    arrays = interop.to_numpy(one)
    assert all(type(array) is np.ndarray for array in tree.leaves(arrays))
    back = interop.from_numpy(arrays)
    assert tree.paths(back) == tree.paths(one)
    for mine, given_ in zip(tree.leaves(back), tree.leaves(one), strict=True):
        assert mine.dtype is given_.dtype and torch.equal(mine, given_)


def test_both_ways_are_copies():
    tensor = torch.ones(2, requires_grad=True)
    array = interop.to_numpy(tensor)
    array[0] = 5.0
    assert tensor[0].detach() == 1.0
    back = interop.from_numpy(array)
    array[1] = 7.0
    assert back.tolist() == [5.0, 1.0] and not back.requires_grad


def test_a_conjugate_and_a_view_come_out_as_they_read():
    z = torch.tensor([1 + 2j, 3 - 1j]).conj()
    assert np.array_equal(interop.to_numpy(z), np.array([1 - 2j, 3 + 1j]))
    assert np.array_equal(interop.to_numpy(z.imag), np.array([-2.0, 1.0]))
    assert np.array_equal(interop.to_numpy(torch.arange(6).reshape(2, 3).T), np.arange(6).reshape(2, 3).T)


@pytest.mark.parametrize(
    "array",
    [
        Foreign(np.arange(3.0)),
        np.arange(3.0).astype(">f8"),
        np.arange(6.0)[::-2],
        np.float64(2.0),
    ],
    ids=["foreign", "other byte order", "strided", "number"],
)
def test_any_array_becomes_a_tensor(array):
    made = interop.from_numpy({"x": array})["x"]
    assert made.dtype is torch.float64
    assert np.array_equal(made.numpy(), np.asarray(array).astype(np.float64))


def test_bfloat16_comes_in_bit_by_bit():
    bfloat16 = pytest.importorskip("ml_dtypes", reason="the type comes with JAX").bfloat16
    for numbers in ([1.0, -2.5, 3e38, 1e-30], 0.1):
        made = interop.from_numpy({"x": np.array(numbers, dtype=bfloat16)})["x"]
        assert made.dtype is torch.bfloat16 and torch.equal(made, torch.tensor(numbers).to(torch.bfloat16))


def test_like_gives_dtypes_and_devices():
    like = {"w": torch.zeros(2, dtype=torch.float32), "n": torch.zeros((), dtype=torch.int64, device="meta")}
    arrays = {"n": np.array(3, dtype=np.int32), "w": np.array([0.1, 0.2])}
    made = interop.from_numpy(arrays, like=like)
    assert made["w"].dtype is torch.float32 and made["n"].dtype is torch.int64 and made["n"].is_meta
    assert interop.from_numpy(arrays, like=like, device="meta")["w"].is_meta
    assert interop.from_numpy(arrays, device="meta")["w"].dtype is torch.float64


def test_layouts_of_flax_by_the_transpositions_of_the_docstring():
    dense, kernel = random.normal(KEY, (8, 3)), random.normal(KEY, (3, 3, 2, 4))  # in, out; and HWIO
    params = interop.from_numpy({"dense": dense.numpy(), "conv": kernel.numpy()})
    x = random.normal(KEY, (5, 8))
    y = nn.linear(8, 3, bias=False).apply({"weight": params["dense"].T}, x)
    torch.testing.assert_close(y, x @ dense, rtol=1e-13, atol=1e-13)
    grid = random.normal(KEY, (1, 3, 3, 2))  # NHWC
    weight = params["conv"].permute(3, 2, 0, 1)
    y = nn.conv2d(2, 4, 3, bias=False).apply({"weight": weight}, grid.permute(0, 3, 1, 2))
    expected = torch.einsum("nhwi,hwio->no", grid, kernel)
    torch.testing.assert_close(y[:, :, 0, 0], expected, rtol=1e-13, atol=1e-13)


LIKE = {"w": torch.ones(2, 3), "b": torch.ones(2)}


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: interop.to_numpy({"a": [torch.ones(1), torch.ones(2, dtype=torch.bfloat16)]}),
            TypeError,
            "tree['a'][1] must have a dtype that NumPy has. Got torch.bfloat16. "
            "Try tree['a'][1].to(torch.float32).",
        ),
        (lambda: interop.to_numpy({"a": 1.0}), TypeError, "tree['a'] is a float (1.0); expected a Tensor."),
        (
            lambda: interop.from_numpy({"a": [np.ones(1), 2.0]}),
            TypeError,
            "tree['a'][1] must be an array. Got a float. Pass a pytree of dicts, lists and arrays.",
        ),
        (lambda: interop.from_numpy({"a": None}), TypeError, "tree['a'] is a NoneType (None); expected a"),
        (
            lambda: interop.from_numpy({"a": np.array(["x"])}),
            TypeError,
            "tree['a'] must have a dtype that torch has. Got <U1. Try tree['a'].astype('float32').",
        ),
        (
            lambda: interop.from_numpy({"w": np.ones((3, 2)), "b": np.ones(3)}, like=LIKE),
            ValueError,
            "tree must have the shapes of like. Got tree['b']: shape (3,), expected (2,); "
            "tree['w']: shape (3, 2), expected (2, 3). Transpose it first where the layouts differ",
        ),
        (
            lambda: interop.from_numpy({"w": np.ones((2, 3)), "bias": np.ones(2)}, like=LIKE),
            ValueError,
            """tree must have the structure of like. Got missing=["tree['b']"], unknown=["tree['bias']"].""",
        ),
        (
            lambda: interop.from_numpy({"w": np.ones((2, 3)) * 1j, "b": np.ones(2)}, like=LIKE),
            ValueError,
            "tree['w']: torch.complex128, expected a real dtype",
        ),
        (lambda: interop.from_numpy(np.ones(2), device="gpu"), ValueError, "device must name a device."),
    ],
)
def test_errors_say_what_must_hold(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
