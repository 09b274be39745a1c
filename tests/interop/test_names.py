"""Names as in torch's files: exact round trips, files, modules with our weights, and what does not fit."""

import re
from typing import NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from funcsci import interop, nn, random, tree

KEY = random.key(73)
N = torch.nn


def module() -> N.Sequential:
    return N.Sequential(
        N.Conv2d(1, 2, 3), N.Sequential(N.BatchNorm2d(2), N.ReLU()), N.Flatten(), N.Linear(8, 3)
    )


def model():
    return nn.sequential(
        nn.conv2d(1, 2, 3), nn.sequential(nn.batch_norm(2), torch.relu), nn.flatten(), nn.linear(8, 3)
    )


def equal(left, right) -> bool:
    same = tree.flatten_in_order(left)[1] == tree.flatten_in_order(right)[1]
    return same and all(map(torch.equal, tree.leaves(left), tree.leaves(right)))


class Pair(NamedTuple):
    first: dict
    second: torch.Tensor


LEAVES = st.integers(0, 3).map(lambda size: torch.arange(2.0 * size).reshape(size, 2) / 3)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.sampled_from(["w", "b", "a b", "0"]), inner, max_size=3),
        st.tuples(inner, LEAVES).map(lambda pair: Pair({"x": pair[0]}, pair[1])),
    ),
    max_leaves=8,
)


@given(TREES)
def test_any_tree_comes_back_exactly(one):
    flat = interop.state_dict(one)
    assert len(flat) == len(tree.leaves(one))
    zeros = tree.map(torch.zeros_like, one)
    assert equal(interop.load_state_dict(flat, zeros)[0], one)


@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")  # torch.load of 2.1
def test_names_are_torchs_and_numbers_go_both_ways(scrambled, tmp_path):
    theirs = scrambled(module())
    params, state = model().init(KEY)
    assert interop.state_dict(params, state).keys() == theirs.state_dict().keys()
    assert list(interop.state_dict(params)) == [name for name, _ in theirs.named_parameters()]

    torch.save(theirs.state_dict(), tmp_path / "weights.pt")
    flat = torch.load(tmp_path / "weights.pt", weights_only=True)
    params, state = interop.load_state_dict(flat, params, state)
    x = random.normal(KEY, (3, 1, 4, 4))
    expected = theirs.eval()(x).detach()
    torch.testing.assert_close(
        model().apply(params, state, x, train=False)[0], expected, rtol=1e-13, atol=1e-13
    )
    fresh = module()
    fresh.load_state_dict(interop.state_dict(params, state))
    assert equal(dict(fresh.state_dict()), dict(theirs.state_dict()))


def test_loading_casts_moves_and_copies():
    params = {"weight": torch.zeros(2, dtype=torch.float32), "count": torch.zeros((), dtype=torch.int64)}
    flat = {"weight": torch.tensor([1.5, 2.5], requires_grad=True), "count": torch.tensor(3.0)}
    loaded, state = interop.load_state_dict(flat, params)
    assert state == {}
    assert loaded["weight"].dtype is torch.float32 and loaded["count"].dtype is torch.int64
    assert not loaded["weight"].requires_grad and int(loaded["count"]) == 3
    same = {"weight": torch.ones(2, dtype=torch.float32), "count": torch.tensor(1)}
    loaded, _ = interop.load_state_dict(same, params)
    assert loaded["weight"].data_ptr() != same["weight"].data_ptr()
    on_meta = tree.map(lambda leaf: leaf.to("meta"), params)
    assert interop.load_state_dict(same, on_meta)[0]["weight"].is_meta


@pytest.mark.parametrize("mode", [True, False])
def test_to_module_gives_a_copy_with_our_numbers(mode, scrambled):
    theirs = scrambled(module()).train(mode)
    before = tree.map(torch.clone, dict(theirs.state_dict()))
    params, state = model().init(KEY)
    made = interop.to_module(params, theirs, state)
    assert type(made) is N.Sequential and made.training == mode
    assert equal(dict(made.state_dict()), {name: interop.state_dict(params, state)[name] for name in before})
    assert all(one.requires_grad for one in made.parameters())
    assert equal(dict(theirs.state_dict()), before)
    made[0].weight.detach().zero_()
    assert params[0]["weight"].any()
    # Without a state the module's own statistics stay.
    kept = interop.to_module(params, theirs).state_dict()
    assert torch.equal(kept["1.0.running_var"], before["1.0.running_var"])
    assert torch.equal(kept["3.bias"], params[3]["bias"])


def test_to_module_of_a_users_module_undoes_from_module():
    class Users(N.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = module()
            self.register_buffer("cache", torch.ones(2), persistent=False)

        def forward(self, x):
            return self.layers(x)

    users = Users().to(torch.float32)
    converted, params, state = interop.from_module(users)
    x = random.normal(KEY, (3, 1, 4, 4)).to(torch.float32)
    _, state = converted.apply(params, state, x, train=True)
    params = tree.map(lambda leaf: leaf + 1, params)
    made = interop.to_module(params, users, state)
    assert equal(interop.from_module(made)[1:], (params, state))
    y = converted.apply(params, state, x, train=False)[0]
    assert torch.equal(made.eval()(x), y)
    again = interop.to_module(tree.map(lambda leaf: leaf.to(torch.float64), params), users, state)
    assert again.layers[0].weight.dtype is torch.float32


PARAMS = {"a": {"w": torch.ones(2, 3), "b": torch.ones(2)}, "c": torch.ones(2)}


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: interop.load_state_dict(
                {"a.w": torch.ones(3, 2), "c": [1.0, 2.0], "d": torch.ones(1), "a.x": torch.ones(1)}, PARAMS
            ),
            ValueError,
            "flat must have a value that fits for each name, and no other. "
            "Got missing=['a.b'], unexpected=['d', 'a.x'], "
            "mismatched=['a.w: shape (3, 2), expected (2, 3)', 'c: a list, expected a Tensor']. "
            "Pass the state_dict of this model, and state= too.",
        ),
        (
            lambda: interop.load_state_dict({"a": torch.ones(2) * 1j}, {"a": torch.ones(2)}),
            ValueError,
            "mismatched=['a: torch.complex128, expected a real dtype']",
        ),
        (
            lambda: interop.load_state_dict(module().state_dict(), model().init(KEY)[0]),
            ValueError,
            "unexpected=['1.0.running_mean', '1.0.running_var', '1.0.num_batches_tracked'], mismatched=[].",
        ),
        (
            lambda: interop.load_state_dict([torch.ones(2)], PARAMS),
            TypeError,
            "flat must be a dict of tensors by name. Got a list. Try module.state_dict().",
        ),
        (
            lambda: interop.state_dict({"a": [0.5]}),
            TypeError,
            "params['a'][0] is a float (0.5); expected a Tensor.",
        ),
        (
            lambda: interop.state_dict(PARAMS, {"c": torch.ones(2)}),
            ValueError,
            "params and state must give each leaf a name of its own. Got 'c' twice. Rename a key",
        ),
        (
            lambda: interop.state_dict({"a": {"b": torch.ones(1)}, "a.b": torch.ones(1)}),
            ValueError,
            "Got 'a.b' twice.",
        ),
        (
            lambda: interop.to_module({"weight": torch.ones(2, 2)}, N.Linear(3, 2)),
            ValueError,
            "params and state must have a value that fits for each name, and no other. Got missing=['bias'], "
            "unexpected=[], mismatched=['weight: shape (2, 2), expected (2, 3)']. Pass the module that has",
        ),
        (
            lambda: interop.to_module(*interop.from_module(module())[1:2], module(), [{}, {}]),
            ValueError,
            "missing=['1.0.running_mean', '1.0.running_var', '1.0.num_batches_tracked'], unexpected=[],",
        ),
        (
            lambda: interop.to_module({}, "Linear"),
            TypeError,
            "module must be a torch.nn.Module. Got a str.",
        ),
    ],
)
def test_errors_say_what_must_hold(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
