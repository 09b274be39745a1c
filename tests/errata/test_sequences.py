"""Errata of module 6: what needs a memory, and how gradients go through time."""

import pytest
import torch

from funcsci import nn, optim, random


def values(*shape: int) -> torch.Tensor:
    return random.normal(random.key(74), shape)


def unexplained(inputs: torch.Tensor, after: torch.Tensor) -> float:
    """What the best linear map of the inputs leaves of what comes after."""
    left = after - inputs @ torch.linalg.lstsq(inputs, after).solution
    return float(left.norm() / after.norm())


def test_what_is_determined_by_the_last_state_needs_no_memory():
    """An oscillator: of a whole state the next one is a function, of a coordinate alone it is not."""
    t = 0.3 * torch.arange(200.0)
    state = torch.stack([torch.cos(t), -torch.sin(t)], 1)
    place = state[:, :1]
    assert unexplained(state[:-1], state[1:]) < 1e-13
    assert unexplained(place[:-1], place[1:]) > 0.2
    assert unexplained(torch.cat([place[:-2], place[1:-1]], 1), place[2:]) < 1e-13  # two times are enough


def test_a_feed_forward_layer_uses_the_dependence_inside_its_window():
    """Two waves obey a linear recurrence of four terms: a layer of four weights forecasts them exactly."""
    t = 0.1 * torch.arange(1000.0)
    signal = torch.sin(t) + torch.sin(t / 2)
    windows = signal.unfold(0, 5, 1)
    assert unexplained(windows[:, :4], windows[:, 4:]) < 1e-9
    assert unexplained(windows[:, 3:4], windows[:, 4:]) > 0.02


def rnn_params(weight: torch.Tensor, bias: torch.Tensor) -> dict[str, torch.Tensor]:
    hidden = len(bias)
    zeros = torch.zeros(hidden)
    return {"weight_ih": torch.zeros(hidden, 1), "weight_hh": weight, "bias_ih": bias, "bias_hh": zeros}


def test_gradients_explode_though_every_eigenvalue_is_zero():
    """W² = 0. One unit saturates, and what its slope takes out of D W leaves an eigenvalue of 4."""
    weight = torch.tensor([[4.0, 4.0], [-4.0, -4.0]])
    assert float(torch.linalg.eigvals(weight).abs().max()) < 1e-6
    second = torch.tensor(-1.0)
    for _ in range(50):
        second = torch.tanh(-4 * second - 10)
    start = torch.stack([torch.zeros(()), second])  # of the map h -> tanh(W h + b) a fixed point
    params = rnn_params(weight, torch.stack([-4 * second, torch.tensor(-10.0)]))
    fading = nn.gradient_through_time(nn.rnn_cell(1, 2), params, torch.zeros(10, 1), start)
    assert float(fading.norms[0]) > 4.0**9
    assert bool((fading.norms <= fading.bound * (1 + 1e-12)).all())


def test_gradients_vanish_though_every_eigenvalue_is_three():
    """The slope of a saturated tanh is all but zero."""
    params = rnn_params(3 * torch.eye(2), torch.full((2,), 5.0))
    fading = nn.gradient_through_time(nn.rnn_cell(1, 2), params, torch.zeros(10, 1))
    assert float(fading.norms[0]) < 1e-20


def test_gradients_vanish_where_the_largest_singular_value_is_below_one():
    weight = values(6, 6)
    weight = 0.9 * weight / torch.linalg.matrix_norm(weight, 2)
    params = {**rnn_params(weight, values(6)), "weight_ih": values(6, 1)}
    fading = nn.gradient_through_time(nn.rnn_cell(1, 6), params, values(40, 1))
    power = 0.9 ** torch.arange(40.0, -1, -1)
    assert bool((fading.norms <= power * (1 + 1e-12)).all())


@pytest.mark.parametrize(("forget_bias", "kept"), [(0.0, 0.5**10), (7.0, 0.99)])
def test_the_derivative_of_the_cell_state_is_the_forget_gate(forget_bias, kept):
    """∂c'/∂c = diag(f), with h held; after ten steps the product of ten gates, and not one."""
    cell = nn.lstm_cell(1, 4)
    params = cell.init(random.key(0))
    params = {name: leaf if leaf.dim() == 2 else torch.zeros(16) for name, leaf in params.items()}
    gates = torch.cat([torch.zeros(4), torch.full((4,), forget_bias), torch.zeros(8)])
    params = {**params, "bias_ih": gates}
    x, h, c = torch.zeros(1), torch.zeros(4), values(4)
    step = torch.func.jacrev(lambda c: cell.apply(params, x, (h, c))[1])
    forget = torch.sigmoid(gates[4:8])
    torch.testing.assert_close(step(c), torch.diag(forget))
    path = torch.eye(4)
    for _ in range(10):
        path = step(c) @ path
        _, c = cell.apply(params, x, (h, c))
    torch.testing.assert_close(path, torch.diag(forget**10))
    assert float(path[0, 0]) == pytest.approx(kept, abs=1e-2) and float(path[0, 0]) < 1


def one_map(cell: torch.nn.LSTMCell, h_first: bool) -> torch.nn.Linear:
    """The exercise's single layer, with the weights of torch's cell."""
    parts = (cell.weight_hh, cell.weight_ih) if h_first else (cell.weight_ih, cell.weight_hh)
    layer = torch.nn.utils.skip_init(torch.nn.Linear, 5 + 3, 4 * 3)
    layer.load_state_dict({"weight": torch.cat(parts, 1), "bias": cell.bias_ih + cell.bias_hh})
    return layer


def lstm_step(layer: torch.nn.Linear, x, h, c) -> torch.Tensor:
    i, f, g, o = layer(torch.cat([h, x], -1)).chunk(4, -1)  # [h, x], as in the exercise's formula
    return o.sigmoid() * torch.tanh(f.sigmoid() * c + i.sigmoid() * g.tanh())


def test_the_columns_of_one_lstm_map_stand_in_the_order_of_its_input():
    cell = torch.nn.LSTMCell(5, 3)
    x, h, c = values(2, 5), values(2, 6)[:, :3], values(2, 6)[:, 3:]
    expected = cell(x, (h, c))[0]
    torch.testing.assert_close(lstm_step(one_map(cell, True), x, h, c), expected)
    assert not torch.allclose(lstm_step(one_map(cell, False), x, h, c), expected, rtol=1e-2)


def test_two_biases_learn_twice_as_fast_as_one():
    """The same function; descent moves the sum of two biases by twice the gradient."""
    cell = nn.rnn_cell(5, 3)
    params = cell.init(random.key(0))
    x, target = values(7, 5), values(7, 3)
    gradient = torch.func.grad(lambda params: nn.mse(cell.apply(params, x), target))(params)
    torch.testing.assert_close(gradient["bias_ih"], gradient["bias_hh"])
    optimizer = optim.sgd(0.1)
    updates, _ = optimizer.update(gradient, optimizer.init(params), params)
    torch.testing.assert_close(updates["bias_ih"] + updates["bias_hh"], -0.2 * gradient["bias_ih"])
