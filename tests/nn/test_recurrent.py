"""Cells and their sequences: torch's values and gradients with its own weights, carries, fading gradients."""

import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from funcsci import nn, random, tree

KEY = random.key(31)
CELLS = {
    "rnn": (nn.rnn_cell, torch.nn.RNNCell, nn.rnn, torch.nn.RNN),
    "gru": (nn.gru_cell, torch.nn.GRUCell, nn.gru, torch.nn.GRU),
    "lstm": (nn.lstm_cell, torch.nn.LSTMCell, nn.lstm, torch.nn.LSTM),
}
kinds = st.sampled_from(list(CELLS))
sizes = st.integers(1, 4)


def values(*shape: int, seed: int = 0) -> torch.Tensor:
    return random.normal(random.key(40 + seed), shape)


def loaded(make, params, *arguments, **options) -> torch.nn.Module:
    module = make(*arguments, dtype=torch.float64, device="meta", **options).to_empty(device="cpu")
    module.load_state_dict(params)
    return module


def assert_gradients(loss, params, x, module: torch.nn.Module, reference) -> None:
    leaf = x.clone().requires_grad_()
    reference(leaf).backward()
    by_params, by_x = torch.func.grad(loss, argnums=(0, 1))(params, x)
    torch.testing.assert_close(by_x, leaf.grad, rtol=0, atol=1e-12)
    for name, parameter in module.named_parameters():
        torch.testing.assert_close(by_params[name], parameter.grad, rtol=0, atol=1e-12)


def total(carry) -> torch.Tensor:
    return sum(torch.sin(leaf).sum() for leaf in tree.leaves(carry))


@given(kinds, sizes, sizes, st.lists(sizes, max_size=1), st.booleans())
def test_cells_equal_torch(kind, features, hidden, batch, bias):
    make, reference, _, _ = CELLS[kind]
    cell = make(features, hidden, bias=bias)
    params = cell.init(KEY)
    module = loaded(reference, params, features, hidden, bias=bias)
    x, h, c = values(*batch, features), values(*batch, hidden, seed=1), values(*batch, hidden, seed=2)
    carry = (h, c) if kind == "lstm" else h
    for before in (None, carry):
        found, expected = cell.apply(params, x, before), module(x, before)
        for one, other in zip(tree.leaves(found), tree.leaves(expected), strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-12)
    assert_gradients(
        lambda p, x: total(cell.apply(p, x, carry)), params, x, module, lambda x: total(module(x, carry))
    )


@given(kinds, st.integers(1, 2), st.booleans(), st.booleans(), st.booleans(), st.booleans())
def test_stacks_equal_torch(kind, layers, bidirectional, batch_first, bias, batched):
    _, _, make, reference = CELLS[kind]
    options = {"bidirectional": bidirectional, "batch_first": batch_first, "bias": bias}
    model = make(2, 3, layers=layers, **options)
    params = model.init(KEY)
    module = loaded(reference, params, 2, 3, num_layers=layers, **options)
    x = values(4, 5, 2) if batched else values(5, 2)
    outputs, carries = model.apply(params, x)
    expected, last = module(x)
    torch.testing.assert_close(outputs, expected, rtol=0, atol=1e-12)
    stacked = [torch.stack(parts) for parts in zip(*map(tree.leaves, carries), strict=True)]
    for one, other in zip(stacked, tree.leaves(last), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)
    again, _ = model.apply(params, x, carries)
    torch.testing.assert_close(again, module(x, last)[0], rtol=0, atol=1e-12)
    assert_gradients(lambda p, x: total(model.apply(p, x)), params, x, module, lambda x: total(module(x)))


def test_a_relu_cell_equals_torch():
    cell = nn.rnn_cell(2, 3, nonlinearity="relu")
    params = cell.init(KEY)
    module = loaded(torch.nn.RNNCell, params, 2, 3, nonlinearity="relu")
    torch.testing.assert_close(cell.apply(params, values(4, 2)), module(values(4, 2)), rtol=0, atol=1e-14)


@pytest.mark.parametrize("kind", CELLS)
def test_a_sequence_is_the_cell_step_by_step(kind):
    cell = CELLS[kind][0](2, 3)
    params, x = cell.init(KEY), values(4, 6, 2)
    outputs, last = nn.unroll(cell, params, x)
    carry = None
    for time in range(6):
        carry = cell.apply(params, x[:, time], carry)
        torch.testing.assert_close(outputs[:, time], tree.leaves(carry)[0], rtol=0, atol=1e-14)
    assert tree.allclose(carry, last, rtol=0, atol=1e-14)
    half, middle = nn.unroll(cell, params, x[:, :3])
    rest, end = nn.unroll(cell, params, x[:, 3:], middle)
    assert tree.allclose((torch.cat([half, rest], 1), end), (outputs, last), rtol=0, atol=1e-14)
    each = torch.func.vmap(lambda x: nn.unroll(cell, params, x)[0])(x)
    torch.testing.assert_close(each, outputs, rtol=0, atol=1e-14)
    mirrored, _ = nn.unroll(cell, params, x.flip(1), reverse=True)
    torch.testing.assert_close(mirrored.flip(1), outputs, rtol=0, atol=1e-14)


@pytest.mark.parametrize("kind", CELLS)
def test_the_future_changes_nothing_before_it(kind):
    model = CELLS[kind][2](2, 3, layers=2).model
    params, x = model.init(KEY), values(4, 6, 2)
    changed = torch.cat([x[:, :4], 100 + x[:, 4:]], 1)
    assert torch.equal(model.apply(params, x)[:, :4], model.apply(params, changed)[:, :4])


@pytest.mark.parametrize("kind", CELLS)
def test_begins_as_torchs_on_every_device(kind):
    model = CELLS[kind][2](2, 64, layers=2, bidirectional=True)
    module = CELLS[kind][3](2, 64, num_layers=2, bidirectional=True, device="meta")
    params = model.init(KEY, device="meta", dtype=torch.float32)
    assert {n: p.shape for n, p in params.items()} == {n: p.shape for n, p in module.named_parameters()}
    y, _ = model.apply(params, torch.empty(3, 5, 2, device="meta", dtype=torch.float32))
    assert y.is_meta and y.shape == (3, 5, 128)
    drawn = tree.leaves(model.init(KEY))
    assert all(0.8 / 8 < float(leaf.abs().max()) <= 1 / 8 for leaf in drawn)
    numbers = torch.cat([leaf.flatten() for leaf in drawn])
    assert numbers.unique().numel() == numbers.numel()


@pytest.mark.parametrize(("size", "grows"), [(0.5, False), (3.0, True)])
def test_a_gradient_fades_within_the_power_of_the_largest_singular_value(size, grows):
    cell = nn.rnn_cell(1, 6)
    params = cell.init(KEY)
    q, _ = torch.linalg.qr(values(6, 6))
    params = {
        **params,
        "weight_hh": size * q,
        "bias_ih": 0 * params["bias_ih"],
        "bias_hh": 0 * params["bias_hh"],
    }
    fading = nn.gradient_through_time(cell, params, torch.zeros(12, 1))  # at h = 0 the slope of tanh is one
    torch.testing.assert_close(fading.norms, fading.bound, rtol=1e-12, atol=0)
    assert (fading.norms[0] > fading.norms[-1]) == grows
    excited = nn.gradient_through_time(cell, params, values(12, 1))
    assert (excited.norms <= excited.bound * (1 + 1e-12)).all() and (
        excited.norms[:-1] < excited.bound[:-1]
    ).all()


def test_eigenvalues_bound_nothing():
    cell = nn.rnn_cell(1, 2, bias=False)
    params = {**cell.init(KEY), "weight_hh": torch.tensor([[0.5, 4.0], [0.0, 0.5]])}  # 0.5 is both of them
    fading = nn.gradient_through_time(cell, params, torch.zeros(12, 1))
    assert fading.norms[-2] > 4 and fading.norms[-3] > 4 and fading.norms[0] < 0.1
    assert (fading.norms <= fading.bound * (1 + 1e-12)).all()


@pytest.mark.parametrize(("kind", "gate", "last"), [("lstm", 1, 0.5), ("gru", 1, 1.0)])
def test_a_gate_keeps_what_no_recurrent_weight_would(kind, gate, last):
    cell = CELLS[kind][0](1, 3)
    params = tree.map(torch.zeros_like, cell.init(KEY))
    rows = torch.arange(len(params["bias_ih"])) // 3 == gate
    fading = nn.gradient_through_time(cell, {**params, "bias_ih": 5.0 * rows}, torch.zeros(12, 1))
    kept = torch.sigmoid(torch.tensor(5.0)) ** torch.arange(12, 0, -1)
    torch.testing.assert_close(fading.norms[:-1], last * kept, rtol=1e-12, atol=0)
    assert (fading.bound[:-1] == 0).all()  # which holds for the plain cell alone


@pytest.mark.parametrize("kind", CELLS)
def test_the_norms_are_those_of_the_whole_derivative(kind):
    cell = CELLS[kind][0](2, 3)
    params, x = cell.init(KEY), values(5, 2)
    carry = cell.start(params, ())
    norms = nn.gradient_through_time(cell, params, x, carry).norms
    for time in range(6):
        flat, restored = tree.ravel(carry)

        def last(flat, time=time, restored=restored):
            return tree.leaves(nn.unroll(cell, params, x[time:], restored(flat))[1])[0]

        if time < 5:
            whole = torch.func.jacfwd(last)(flat)
            torch.testing.assert_close(norms[time], torch.linalg.matrix_norm(whole, 2), rtol=1e-12, atol=0)
            carry = cell.apply(params, x[time], carry)
    assert norms[-1] == 1


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.lstm_cell(0, 3), ValueError, "features must be at least 1. Got features=0."),
        (lambda: nn.rnn_cell(1, 3, nonlinearity="tan"), ValueError, "Did you mean 'tanh'?"),
        (lambda: nn.gru(1, 3, layers=0), ValueError, "layers must be at least 1."),
        (
            lambda: nn.gru(2, 3).model.apply(nn.gru(2, 3).init(KEY), torch.zeros(4, 5, 1)),
            ValueError,
            "x must have 2 features in its last dimension. Got x of shape (4, 5, 1).",
        ),
        (
            lambda: nn.lstm(2, 3).apply(nn.lstm(2, 3).init(KEY), torch.zeros(2)),
            ValueError,
            "x must have the shape (batch, time, features) or (time, features). Got x of shape (2,).",
        ),
        (
            lambda: nn.lstm(2, 3).apply(nn.lstm(2, 3).init(KEY), torch.zeros(4, 0, 2)),
            ValueError,
            "x must hold at least one time. Got x of shape (4, 0, 2).",
        ),
        (
            lambda: nn.rnn(2, 3).apply(nn.rnn(2, 3).init(KEY), torch.zeros(4, 5, 2), [torch.zeros(3)]),
            ValueError,
            "carry must have the shape (4, 3). Got (3,). Leave it out to begin with zeros.",
        ),
        (
            lambda: nn.rnn(2, 3).apply(nn.rnn(2, 3).init(KEY), torch.zeros(4, 5, 2), []),
            ValueError,
            "len(carries) must hold 1 carries, one for each layer and direction. Got len(carries)=0.",
        ),
        (
            lambda: nn.gradient_through_time(
                nn.rnn_cell(1, 3), nn.rnn_cell(1, 3).init(KEY), torch.zeros(2, 5, 1)
            ),
            ValueError,
            "x.shape must have the shape (time, features). Got x.shape=(2, 5, 1).",
        ),
    ],
)
def test_errors_say_what_must_hold(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
