"""The table: counts and shapes agree with the params and with the output, and nothing is computed."""

import re

import pytest
import torch

from funcsci import nn, random, tree

KEY = random.key(1)


def test_agrees_with_the_params_and_the_output():
    model, x = nn.mlp((2, 8, 8, 3)), torch.zeros(5, 2)
    params = model.init(KEY)
    found = nn.summary(model, KEY, x)
    assert found.total == tree.size(params)
    assert found.bytes == sum(leaf.numel() * leaf.element_size() for leaf in tree.leaves(params))
    assert [row.path for row in found.params] == tree.paths(params, "params")
    for row, leaf in zip(found.params, tree.leaves(params), strict=True):
        assert (row.shape, row.dtype, row.count) == (tuple(leaf.shape), leaf.dtype, leaf.numel())
    assert found.input_shape == (5, 2)
    assert found.output_shape == tuple(model.apply(params, x).shape)


def test_counts_are_torchs():
    reference = torch.nn.Sequential(
        torch.nn.Linear(3, 7, device="meta"), torch.nn.Tanh(), torch.nn.Linear(7, 2, device="meta")
    )
    expected = sum(parameter.numel() for parameter in reference.parameters())
    assert nn.summary(nn.mlp((3, 7, 2)), KEY, torch.zeros(3)).total == expected


def test_prints_a_table():
    text = str(nn.summary(nn.linear(1000, 3), KEY, torch.zeros(4, 1000)))
    assert repr(nn.summary(nn.linear(1000, 3), KEY, torch.zeros(4, 1000))) == text
    lines = text.splitlines()
    assert re.split(r"  +", lines[0]) == ["path", "shape", "dtype", "count", "bytes"]
    assert re.split(r"  +", lines[3]) == ["params['weight']", "(3, 1000)", "float64", "3,000", "24,000"]
    assert re.split(r"  +", lines[5]) == ["total", "3,003", "24,024"]
    assert lines[-1] == "(4, 1000) -> (4, 3)"
    assert len({len(line) for line in lines[:-1]}) == 1


def test_a_model_too_large_to_make_is_summed_up():
    side = 10**6
    found = nn.summary(nn.linear(side, side, bias=False), KEY, torch.zeros(1, side))
    assert found.total == side**2


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_params_are_made_in_the_dtype_of_x(dtype):
    found = nn.summary(nn.linear(2, 1), KEY, torch.zeros(2, dtype=dtype))
    assert {row.dtype for row in found.params} == {dtype}


def test_state_is_listed_and_not_counted_as_learned():
    def init(key, *, dtype=None, device=None):
        return {"scale": torch.ones(2, dtype=dtype, device=device)}, {"mean": torch.zeros(2, device=device)}

    def apply(params, state, x, *, train, key=None):
        return params["scale"] * (x - state["mean"]), state

    found = nn.summary(nn.sequential(nn.StatefulModel(init, apply), torch.tanh), KEY, torch.zeros(3, 2))
    assert found.total == 2 and found.bytes == 2 * 8 + 2 * 8
    assert [row.path for row in found.state] == ["state[0]['mean']"]
    assert "state[0]['mean']" in str(found)


def test_a_model_without_params():
    found = nn.summary(nn.sequential(torch.tanh), KEY, torch.zeros(3))
    assert found.total == 0 and found.params == () and found.output_shape == (3,)
    assert "total" in str(found)


def test_a_model_that_cannot_run_on_meta_is_run_as_it_is():
    def reads_a_number(x):
        return x[: int(x.sum())]

    model = nn.sequential(nn.linear(2, 2, weight_init=nn.initializers.ones()), reads_a_number)
    found = nn.summary(model, KEY, torch.ones(2))
    assert len(found.output_shape) == 1


def test_integer_input():
    def one_hot(x):
        return torch.nn.functional.one_hot(x, 4).to(torch.get_default_dtype())

    found = nn.summary(nn.sequential(one_hot, nn.linear(4, 2)), KEY, torch.tensor([0, 3]))
    assert found.output_shape == (2, 2)


def wrong_leaf() -> nn.Model:
    return nn.Model(lambda key, *, dtype=None, device=None: {"scale": 2.0}, lambda params, x: x)


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.summary(torch.tanh, KEY, torch.ones(1)), TypeError, "model must be a Model or a "),
        (lambda: nn.summary(nn.linear(1, 1), KEY, (1,)), TypeError, "x must be a tensor. Got x=(1,)."),
        (lambda: nn.summary(nn.linear(1, 1), 0, torch.ones(1)), TypeError, "Try key=random.key(0)."),
        (lambda: nn.summary(nn.linear(3, 1), KEY, torch.ones(2)), ValueError, "x must have 3 features"),
        (lambda: nn.summary(wrong_leaf(), KEY, torch.ones(2)), TypeError, "params['scale'] is a float (2.0)"),
    ],
)
def test_errors_say_what_must_hold(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
