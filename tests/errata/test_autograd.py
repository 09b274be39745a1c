"""Errata of module 2: what is differentiated, by what, and what is left afterwards."""

import pytest
import torch

from funcsci import data, nn, optim, random


def values(*shape: int) -> torch.Tensor:
    return random.normal(random.key(71), shape)


def test_gradients_are_for_leaves_of_floating_point():
    """Neither integers nor what was computed on the way gets one."""
    with pytest.raises(RuntimeError, match="floating point"):
        torch.tensor([1, 2], requires_grad=True)
    x = values(3).requires_grad_()
    between = 2 * x
    between.square().sum().backward()
    assert x.grad is not None
    with pytest.warns(UserWarning, match="not a leaf"):
        assert between.grad is None


def test_rounding_has_a_derivative_of_zero_and_comparison_has_none():
    x = values(3).requires_grad_()
    torch.round(10 * x).sum().backward()
    assert torch.equal(x.grad, torch.zeros(3))
    assert not (x > 0).requires_grad


def test_a_tensor_you_create_is_no_leaf_once_it_was_scaled():
    scaled = 0.1 * values(3).requires_grad_()
    leaf = (0.1 * values(3)).requires_grad_()
    (scaled.sum() + leaf.sum()).backward()
    assert not scaled.is_leaf and leaf.is_leaf
    assert torch.equal(leaf.grad, torch.ones(3))
    with pytest.warns(UserWarning, match="not a leaf"):
        assert scaled.grad is None


def test_backward_of_a_tensor_takes_a_vector():
    """v ↦ vᵀ J; for a scalar v is 1."""
    matrix, vector = values(4, 3), values(7)[:4]
    x = values(3).requires_grad_()
    y = torch.sin(matrix @ x)
    with pytest.raises(RuntimeError, match="scalar"):
        y.backward(retain_graph=True)
    y.backward(vector)
    expected = vector @ (torch.cos(matrix @ x.detach())[:, None] * matrix)
    torch.testing.assert_close(x.grad, expected)


def test_zero_grad_leaves_none_and_zero_is_not_none():
    """With momentum a gradient of zero still moves a parameter; None leaves it alone."""
    ends = {}
    for to_none in (True, False):
        weight = torch.ones(1, requires_grad=True)
        optimizer = torch.optim.SGD([weight], lr=0.1, momentum=0.9)
        (3 * weight).sum().backward()
        optimizer.step()
        optimizer.zero_grad(**({} if to_none else {"set_to_none": False}))
        assert (weight.grad is None) == to_none
        if to_none:
            with pytest.raises(AttributeError):
                weight.grad.zero_()
        optimizer.step()
        ends[to_none] = float(weight.detach())
    assert ends[True] == pytest.approx(0.7)
    assert ends[False] == pytest.approx(0.7 - 0.9 * 0.3)


def test_gradients_may_be_cleared_anywhere_before_backward():
    """First, as exercise 2.4 has it, or third, as the loop has it: the same bits."""
    ends = []
    for first in (True, False):
        x, y = values(20, 1), values(20, 1).sin()
        layer = torch.nn.utils.skip_init(torch.nn.Linear, 1, 1)
        layer.load_state_dict({"weight": torch.ones(1, 1), "bias": torch.zeros(1)})
        optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
        for _ in range(5):
            if first:
                optimizer.zero_grad()
            loss = torch.nn.functional.mse_loss(layer(x), y)
            if not first:
                optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        ends.append(torch.cat([layer.weight.detach().flatten(), layer.bias.detach()]))
    assert torch.equal(*ends)


def test_no_grad_stops_the_recording_and_not_the_engine():
    x = values(3).requires_grad_()
    loss = x.square().sum()
    with torch.no_grad():
        loss.backward()  # what was recorded before can be differentiated
        assert not (2 * x).requires_grad
        assert torch.ones(1, requires_grad=True).requires_grad
    torch.testing.assert_close(x.grad, 2 * x.detach())


def test_a_detached_tensor_can_have_a_gradient_and_shares_memory():
    x = values(3).requires_grad_()
    detached = x.detach()
    detached.requires_grad_()
    detached.square().sum().backward()
    torch.testing.assert_close(detached.grad, 2 * x.detach())
    assert x.grad is None and detached.data_ptr() == x.data_ptr()


def test_the_mean_of_a_matrix_divides_by_its_entries_and_not_by_its_rows():
    x, target = values(10, 3), torch.ones(10, 2)
    model = nn.linear(3, 2)
    params = model.init(random.key(0))

    def by_rows(params):
        return (model.apply(params, x) - target).square().sum() / 10

    def by_entries(params):
        return nn.mse(model.apply(params, x), target)

    rows, entries = torch.func.grad(by_rows)(params), torch.func.grad(by_entries)(params)
    for name in params:
        torch.testing.assert_close(rows[name], 2 * entries[name])
    y = model.apply(params, x)
    torch.testing.assert_close(torch.nn.MSELoss()(y, target), by_entries(params))
    torch.testing.assert_close((y - target).square().mean(), by_entries(params))


def test_a_second_backward_of_one_graph_fails():
    """Exercise 2.4, steps 6 to 10."""
    w = torch.tensor([5.0], requires_grad=True)
    (w * 2).square().backward()
    second = (w * 3).square()
    second.backward()
    assert float(w.grad) == 40 + 90
    w.grad.zero_()
    with pytest.raises(RuntimeError, match="second time"):
        second.backward()
    (w * 3).square().backward()  # computed again
    assert float(w.grad) == 90
    gradient = torch.func.grad(lambda w: (w * 3).square().sum())
    assert float(gradient(w.detach())) == float(gradient(w.detach())) == 90


def test_sgd_subtracts_the_gradient_and_not_its_product_with_the_weight():
    w, gradient, rate = values(4), random.normal(random.key(1), (4,)), 0.1
    weight = w.clone().requires_grad_()
    weight.grad = gradient.clone()
    torch.optim.SGD([weight], lr=rate).step()
    torch.testing.assert_close(weight.detach(), w - rate * gradient)
    assert float((weight.detach() - (w - rate * w * gradient)).abs().max()) > 0.01
    optimizer = optim.sgd(rate)
    updates, _ = optimizer.update({"w": gradient}, optimizer.init({"w": w}), {"w": w})
    torch.testing.assert_close(w + updates["w"], weight.detach())


def test_the_printed_update_can_not_leave_zero():
    """w (1 - η g) stays 0 and keeps its sign for small rates: it never finds (5, -2) from (0, 0)."""
    line = data.noisy_line(random.key(0), noise=0.0)
    loss = torch.func.grad(lambda w: nn.mse(w[0] * line["x"] + w[1], line["y"]))
    printed, right = torch.zeros(2), torch.zeros(2)
    for _ in range(200):
        printed = printed - 0.1 * printed * loss(printed)
        right = right - 0.1 * loss(right)
    assert torch.equal(printed, torch.zeros(2))
    torch.testing.assert_close(right, torch.tensor([5.0, -2.0]), rtol=1e-6, atol=1e-6)
