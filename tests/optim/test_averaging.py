"""Averages of parameters, and gradients gathered over small batches."""

import re

import pytest
import torch

from funcsci import nn, optim, random, tree
from funcsci.compile import jit

KEY = random.key(61)
MODEL = nn.mlp((2, 4, 1))


def walk(optimizer, steps):
    """The parameters and the state after each step on noisy gradients."""
    params = {"w": torch.ones(3, 2), "b": torch.zeros(())}
    state = optimizer.init(params)
    for step in range(steps):
        grads = {name: random.normal(random.fold_in(KEY, step), leaf.shape) for name, leaf in params.items()}
        updates, state = optimizer.update(grads, state, params)
        params = optim.apply_updates(params, updates)
        yield params, state


@pytest.mark.parametrize("decay", [None, 0.9, 0.0])
@pytest.mark.parametrize("start", [0, 5])
def test_an_average_equals_that_of_torch(decay, start):
    from_torch = torch.optim.swa_utils
    average = None if decay is None else from_torch.get_ema_avg_fn(decay)
    module = torch.nn.ParameterDict({"w": torch.ones(3, 2), "b": torch.zeros(())})
    theirs = from_torch.AveragedModel(module, avg_fn=average)
    for taken, (params, state) in enumerate(
        walk(optim.with_average(optim.adam(0.1), decay, start=start), 20), 1
    ):
        with torch.no_grad():
            for name, leaf in params.items():
                module[name].copy_(leaf)
        if taken <= start:
            assert all(map(torch.equal, tree.leaves(state.average), tree.leaves(params)))
            continue
        theirs.update_parameters(module)
        for name, leaf in state.average.items():
            torch.testing.assert_close(leaf, theirs.module[name].detach(), rtol=1e-14, atol=1e-14)


def test_a_debiased_average_is_the_weighted_mean():
    seen = []
    for params, state in walk(optim.with_average(optim.sgd(0.1), 0.9, debias=True), 10):
        seen.append(params["w"])
        weights = 0.9 ** torch.arange(len(seen) - 1, -1, -1.0)
        mean = torch.einsum("i,ijk->jk", weights / weights.sum(), torch.stack(seen))
        torch.testing.assert_close(state.average["w"], mean, rtol=1e-14, atol=1e-14)


def test_the_steps_are_those_without_an_average():
    ours = [params["w"] for params, _ in walk(optim.with_average(optim.adam(0.1)), 5)]
    plain = [params["w"] for params, _ in walk(optim.adam(0.1), 5)]
    assert all(map(torch.equal, ours, plain))


def test_before_the_first_step_the_average_is_a_copy():
    w = torch.ones(2)
    average = optim.with_average(optim.sgd()).init(w).average
    assert torch.equal(average, w)
    assert average.data_ptr() != w.data_ptr()


@pytest.mark.parametrize("name", ["sgd", "adamw", "soap"])
@pytest.mark.parametrize("every", [1, 4])
def test_accumulated_steps_equal_those_of_large_batches(name, every):
    x = random.normal(random.fold_in(KEY, 1), (5, every * 8, 2))
    y = torch.sin(x.sum(-1, keepdim=True))
    grad = torch.func.grad(lambda params, x, y: (MODEL.apply(params, x) - y).square().mean())
    inner = optim.OPTIMIZERS[name](0.05)
    small = large = MODEL.init(KEY)
    optimizer = optim.accumulate(inner, every)
    update = jit(optimizer.update, backend="trace")
    state, expected = optimizer.init(small), inner.init(large)
    for batch in range(5):
        for part in range(every):
            rows = slice(8 * part, 8 * (part + 1))
            before = small, state.state
            updates, state = update(grad(small, x[batch, rows], y[batch, rows]), state, small)
            small = optim.apply_updates(small, updates)
            if part < every - 1:  # nothing moved, and the optimizer has not seen it
                assert all(map(torch.equal, tree.leaves(before), tree.leaves((small, state.state))))
        updates, expected = inner.update(grad(large, x[batch], y[batch]), expected, large)
        large = optim.apply_updates(large, updates)
    for one, other in zip(tree.leaves((small, state.state)), tree.leaves((large, expected)), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)
    assert len(update.compilations) == 1


def test_accumulation_hands_on_the_mean_of_the_values():
    seen = optim.reduce_on_plateau()
    optimizer = optim.accumulate(seen, 2)
    w = torch.ones(())
    state = optimizer.init(w)
    for value in (1.0, 4.0):
        _, state = optimizer.update(w, state, w, value=torch.tensor(value))
    assert float(state.state.best) == 2.5
    assert float(state.value) == 0.0


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: optim.accumulate(optim.sgd(), 0), ValueError, "every must be at least 1. Got every=0."),
        (lambda: optim.with_average(optim.sgd(), 1.0), ValueError, "decay must be below 1."),
        (lambda: optim.with_average(optim.sgd(), start=-1), ValueError, "start must be at least 0."),
        (
            lambda: optim.with_average(optim.sgd(), debias=True),
            ValueError,
            "decay must be given with debias=True. Got decay=None. Try decay=0.999.",
        ),
        (
            lambda: optim.with_average(optim.sgd()).init({}),
            ValueError,
            "params must hold at least one tensor. Got an empty tree.",
        ),
    ],
)
def test_wrong_arguments_say_what_must_hold(call, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}"):
        call()
