"""A step called again and again: a loop's values, whatever the carry is made of, messages."""

import re

import pytest
import torch

from funcsci.compile import compilations, jit, repeat

BACKENDS = ["eager", "trace", pytest.param("compile", marks=pytest.mark.slow)]


def step(carry, rate, operands):
    """Leaves in an order of their own, one that is a view, and one that passes through."""
    moved = {"z": carry["a"] * rate, "kept": carry["kept"], "a": (carry["z"] + operands["shift"]).T}
    return moved, {"sum": moved["a"].sum(), "first": moved["z"][0]}


def start():
    return {"z": torch.ones(3, 3), "kept": torch.arange(2), "a": torch.arange(9.0).reshape(3, 3)}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("n", [0, 1, 2, 3, 12])
def test_equals_a_loop(n, backend):
    rate, operands = torch.tensor(0.5), {"shift": torch.tensor([1.0, 2.0, 3.0])}
    carry, expected = start(), []
    for _ in range(n):
        carry, output = step(carry, rate, operands)
        expected.append(output)
    calls = []
    jitted = jit(step, backend=backend)
    found, outputs = repeat(jitted, n, start(), rate, operands, after=lambda: calls.append(1))
    assert len(outputs) == len(calls) == n
    assert list(found) == list(carry)
    for one, other in zip([found, *outputs], [carry, *expected], strict=True):
        assert all(torch.equal(one[name], other[name]) for name in other)


def test_the_arguments_are_compared_until_they_stay_as_they_are():
    """Whoever counts the calls of the function sees it traced, once for each kind, and never again."""
    calls = []

    def grow(carry):
        calls.append(1)
        return carry.T, carry.sum()  # the strides change in each step, and come back after two

    jitted = jit(grow, backend="trace")
    with compilations() as made:
        repeat(jitted, 10, torch.ones(2, 3))
    assert len(made) == len(calls) == 2


def test_inside_a_transform_and_with_gradients_it_is_a_loop():
    jitted = jit(lambda x, w: (w * x, x), backend="trace")

    def last(w):
        return repeat(jitted, 5, torch.ones(()), w)[0]

    assert float(torch.func.grad(last)(torch.tensor(2.0))) == 5 * 2.0**4
    w = torch.tensor(2.0, requires_grad=True)
    repeat(jitted, 5, torch.ones(()), torch.tensor(2.0))  # a program of this kind is there now
    last(w).backward()
    assert float(w.grad) == 5 * 2.0**4


def test_statics_in_the_carry_stay_what_they_are():
    jitted = jit(lambda carry: ((carry[0] + carry[1], carry[1]), carry[0]), backend="trace")
    (total, two), outputs = repeat(jitted, 3, (torch.zeros(()), 2))
    assert (float(total), two, [float(one) for one in outputs]) == (6.0, 2, [0.0, 2.0, 4.0])


def test_statics_in_the_output_stay_what_they_are():
    jitted = jit(lambda x: (2 * x, {"count": 3, "x": x}), backend="trace")
    carry, outputs = repeat(jitted, 4, torch.ones(()))
    assert float(carry) == 16
    assert [(one["count"], float(one["x"])) for one in outputs] == [(3, 1.0), (3, 2.0), (3, 4.0), (3, 8.0)]


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: repeat(lambda x: (x, x), 3, torch.ones(2)), TypeError, "step must be jitted."),
        (
            lambda: repeat(jit(lambda x: (x, x), backend="trace"), -1, torch.ones(2)),
            ValueError,
            "n must be at least 0. Got n=-1.",
        ),
        (
            lambda: repeat(jit(lambda x: ((x, x), x), backend="trace"), 3, torch.ones(2)),
            ValueError,
            "step must return a carry of the structure it took.",
        ),
    ],
)
def test_errors_say_what_must_hold(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
