"""The two protocols: lifting, joining, keys, devices, messages."""

import re

import pytest
import torch

from funcsci import nn, random, tree

KEY = random.key(7)


def values(*shape: int, seed: int = 0) -> torch.Tensor:
    return random.normal(random.key(100 + seed), shape)


def counter() -> nn.StatefulModel:
    """Adds the number of training calls so far, and counts them."""

    def init(key, *, dtype=None, device=None):
        return {}, {"count": torch.zeros((), dtype=dtype, device=device)}

    def apply(params, state, x, *, train, key=None):
        return x + state["count"], {"count": state["count"] + float(train)}

    return nn.StatefulModel(init, apply)


def noise() -> nn.StatefulModel:
    """In training, uniform noise from its key; the key it was given is its output in that case."""

    def init(key, *, dtype=None, device=None):
        return {}, {}

    def apply(params, state, x, *, train, key=None):
        if not train:
            return x, state
        if key is None:
            raise ValueError("noise needs a key in training")
        return x + random.uniform(key, x.shape, dtype=x.dtype), state

    return nn.StatefulModel(init, apply)


def test_stateful_applies_the_model_and_hands_the_state_on():
    model = nn.linear(3, 2)
    lifted = nn.stateful(model)
    params, state = lifted.init(KEY)
    assert tree.allclose(params, model.init(KEY), rtol=0, atol=0)
    assert state == {} and tree.leaves(state) == []
    x = values(5, 3)
    for train, key in [(True, None), (False, None), (True, KEY)]:
        y, after = lifted.apply(params, state, x, train=train, key=key)
        assert torch.equal(y, model.apply(params, x))
        assert after is state


def test_stateful_is_idempotent():
    lifted = nn.stateful(nn.linear(3, 2))
    assert nn.stateful(lifted) is lifted


def test_sequential_equals_torch_with_the_same_weights():
    model = nn.sequential(nn.linear(4, 5), torch.tanh, nn.linear(5, 6), torch.sin, nn.linear(6, 2))
    params = model.init(KEY)
    net = torch.nn.utils.skip_init(torch.nn.Linear, 4, 5), torch.nn.utils.skip_init(torch.nn.Linear, 5, 6)
    last = torch.nn.utils.skip_init(torch.nn.Linear, 6, 2)

    class Sine(torch.nn.Module):
        def forward(self, x):
            return torch.sin(x)

    reference = torch.nn.Sequential(net[0], torch.nn.Tanh(), net[1], Sine(), last)
    # The indices agree, so the state dict is the list of dicts with its path joined by dots.
    reference.load_state_dict({f"{i}.{name}": part[name] for i, part in enumerate(params) for name in part})
    x = values(7, 4)
    torch.testing.assert_close(model.apply(params, x), reference(x), rtol=1e-14, atol=1e-14)

    gradients = torch.func.grad(lambda params: model.apply(params, x).square().sum())(params)
    reference(x).square().sum().backward()
    for name, parameter in reference.named_parameters():
        index, leaf = name.split(".")
        torch.testing.assert_close(gradients[int(index)][leaf], parameter.grad, rtol=1e-12, atol=1e-12)


def test_sequential_folds_the_index_into_the_key_of_init():
    part = nn.linear(3, 3)
    params = nn.sequential(part, torch.tanh, part).init(KEY)
    for index in (0, 2):
        assert tree.allclose(params[index], part.init(random.fold_in(KEY, index)), rtol=0, atol=0)
    assert params[1] == {}
    assert not torch.equal(params[0]["weight"], params[2]["weight"])


def test_sequential_of_sequentials_is_the_composition():
    inner, outer = nn.sequential(nn.linear(2, 3), torch.tanh), nn.linear(3, 1)
    model = nn.sequential(inner, outer)
    params = model.init(KEY)
    x = values(4, 2)
    assert torch.equal(model.apply(params, x), outer.apply(params[1], inner.apply(params[0], x)))


def test_sequential_is_stateful_if_any_part_is():
    assert isinstance(nn.sequential(nn.linear(1, 1), torch.tanh), nn.Model)
    model = nn.sequential(nn.linear(1, 1), counter(), torch.tanh)
    assert isinstance(model, nn.StatefulModel)
    params, state = model.init(KEY)
    assert len(params) == len(state) == 3
    assert tree.paths(state, "state") == ["state[1]['count']"]


def test_sequential_carries_each_state_and_changes_none_in_place():
    model = nn.sequential(counter(), nn.linear(2, 2), counter())
    params, first = model.init(KEY)
    x = values(3, 2)
    state = first
    for calls in range(3):
        y, state = model.apply(params, state, x, train=True)
        expected = nn.linear(2, 2).apply(params[1], x + calls) + calls
        torch.testing.assert_close(y, expected, rtol=1e-14, atol=1e-14)
    _, same = model.apply(params, state, x, train=False)
    assert [float(part["count"]) for part in (state[0], state[2])] == [3.0, 3.0]
    assert tree.allclose(same, state)
    assert float(first[0]["count"]) == 0.0


def test_sequential_folds_the_index_into_the_key_of_apply():
    model = nn.sequential(noise(), noise())
    params, state = model.init(KEY)
    zero = torch.zeros(4)
    y, _ = model.apply(params, state, zero, train=True, key=KEY)
    first, second = (random.uniform(random.fold_in(KEY, index), (4,)) for index in (0, 1))
    assert not torch.equal(first, second)
    torch.testing.assert_close(y, first + second, rtol=0, atol=1e-15)
    assert torch.equal(model.apply(params, state, zero, train=False)[0], zero)
    with pytest.raises(ValueError, match="noise needs a key"):
        model.apply(params, state, zero, train=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_init_makes_everything_in_the_dtype(dtype):
    params = nn.sequential(nn.linear(2, 3), torch.tanh, nn.linear(3, 1)).init(KEY, dtype=dtype)
    assert {leaf.dtype for leaf in tree.leaves(params)} == {dtype}


def test_init_makes_everything_on_the_device():
    model = nn.sequential(nn.linear(2, 3), counter(), nn.linear(3, 1))
    params, state = model.init(KEY, device="meta")
    assert {leaf.device.type for leaf in tree.leaves((params, state))} == {"meta"}
    y, state = model.apply(params, state, torch.empty(5, 2, device="meta"), train=True)
    assert y.device.type == "meta" and y.shape == (5, 1)


def test_init_under_vmap_equals_a_loop():
    model = nn.sequential(nn.linear(2, 3), torch.tanh, nn.linear(3, 1))
    keys = random.split(KEY, 4)
    ensemble = torch.func.vmap(model.init)(keys)
    assert tree.allclose(ensemble, tree.stack([model.init(key) for key in keys]), rtol=0, atol=0)
    x = values(5, 2)
    batched = torch.func.vmap(model.apply, (0, None))(ensemble, x)
    looped = torch.stack([model.apply(params, x) for params in tree.unstack(ensemble)])
    torch.testing.assert_close(batched, looped, rtol=1e-13, atol=1e-13)


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.stateful(torch.tanh), TypeError, "model must be a Model or a StatefulModel. Got"),
        (lambda: nn.sequential(), ValueError, "models must hold at least one model. Got models=()."),
        (lambda: nn.sequential(nn.linear(1, 1), "tanh"), TypeError, "models[1] must be a model or a"),
        (lambda: nn.sequential(torch.nn.Tanh), TypeError, "models[0] must be a model or a function"),
        (
            lambda: nn.sequential(torch.nn.PReLU()),
            TypeError,
            "models[0] must keep its parameters outside. Got the Module PReLU, whose",
        ),
        (
            lambda: nn.sequential(nn.linear(1, 1)).init(3),
            TypeError,
            "key must be a key, not a seed. Got key=3. Try key=random.key(3).",
        ),
        (
            lambda: nn.linear(1, 1).init(KEY, device="gpu"),
            ValueError,
            "device must name a device. Got device='gpu'. Try device='cpu'.",
        ),
        (lambda: nn.linear(1, 1).init("a"), TypeError, "Got key='a'. Try key=random.key(0)."),
        (
            lambda: nn.sequential(nn.linear(1, 1)).apply({"weight": torch.ones(1, 1)}, torch.ones(1)),
            TypeError,
            "params must be a list of 1 entries, one per layer. Got a dict. Use what init returns.",
        ),
        (
            lambda: nn.sequential(nn.linear(1, 1)).apply([{}, {}], torch.ones(1)),
            ValueError,
            "params must have 1 entries, one per layer. Got 2.",
        ),
        (
            lambda: nn.sequential(counter()).apply([{}], [], torch.ones(1), train=True),
            ValueError,
            "state must have 1 entries, one per layer. Got 0.",
        ),
    ],
)
def test_errors_say_what_must_hold(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()


def test_a_module_without_parameters_is_a_function():
    model = nn.sequential(nn.linear(2, 2), torch.nn.Tanh())
    params = model.init(KEY)
    x = values(3, 2)
    assert torch.equal(model.apply(params, x), torch.tanh(nn.linear(2, 2).apply(params[0], x)))
