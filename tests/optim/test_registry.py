"""What every registered optimizer must satisfy; a new entry in OPTIMIZERS is tested with no further word."""

import math
import re

import pytest
import torch
from torch.func import vmap

from funcsci import compile as compiling
from funcsci import optim, random, tree
from funcsci.optim import OPTIMIZERS

KEY = random.key(5)
OPTIONS = {"sgd": [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}]}
"""Arguments that lead down other paths of an optimizer."""
ENTRIES = [(name, options) for name in OPTIMIZERS for options in OPTIONS.get(name, [{}])]
RATES = {"number": 0.05, "schedule": optim.cosine(0.05, 50)}

every = pytest.mark.parametrize(
    ("name", "options"), ENTRIES, ids=[f"{name}{options}" for name, options in ENTRIES]
)
with_rates = pytest.mark.parametrize("rate", RATES.values(), ids=RATES)


def params_of(kind: str):
    """Trees of float32, of float64 and of both, with 0-d, empty and transposed leaves."""
    first, second = {
        "float32": (torch.float32, torch.float32),
        "float64": (torch.float64, torch.float64),
        "mixed": (torch.float32, torch.float64),
    }[kind]
    keys = random.split(KEY, 3)
    return {
        "a": random.normal(keys[0], (3, 2)).to(first).T,
        "b": [random.normal(keys[1], ()).to(second), (torch.zeros(0, 2, dtype=first),)],
        "c": random.normal(keys[2], (4,)).to(second),
    }


KINDS = ("float32", "float64", "mixed")


def gradient(params):
    """Of the sum of u^4 / 4 - u, written out: the same in every transform."""
    return tree.map(lambda u: u**3 - 1, params)


def run(optimizer, params, state, steps: int):
    for _ in range(steps):
        updates, state = optimizer.update(gradient(params), state, params)
        params = optim.apply_updates(params, updates)
    return params, state


def facts(one):
    leaves, structure = tree.flatten(one)
    return [(leaf.shape, leaf.stride(), leaf.dtype, leaf.device) for leaf in leaves], structure


@every
@with_rates
@pytest.mark.parametrize("kind", KINDS)
def test_pure_and_keeps_structure_shapes_and_dtypes(name, options, rate, kind):
    optimizer = OPTIMIZERS[name](rate, **options)
    params = params_of(kind)
    state = optimizer.init(params)
    grads = gradient(params)
    before = tree.map(torch.clone, (params, state, grads))
    updates, after = optimizer.update(grads, state, params)
    moved = optim.apply_updates(params, updates)
    assert all(map(torch.equal, tree.leaves(before), tree.leaves((params, state, grads))))
    assert facts(updates) == facts(grads)
    assert facts(moved) == facts(params)
    assert facts(after) == facts(state)
    again, _ = optimizer.update(grads, state, params)
    assert all(map(torch.equal, tree.leaves(updates), tree.leaves(again)))


@pytest.mark.wrong_types
@every
@with_rates
@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"w": 0.0}, TypeError, "params['w'] is a float (0.0); expected a Tensor. Try torch.tensor(0.0)."),
        ([torch.ones(2), None], TypeError, "params[1] is a NoneType (None); expected a Tensor."),
        (
            {"w": torch.ones(2), "n": torch.ones(2, dtype=torch.int64)},
            TypeError,
            "params['n'] must have a floating-point dtype. Got torch.int64.",
        ),
        ({}, ValueError, "params must hold at least one tensor. Got an empty tree."),
    ],
)
def test_init_names_the_leaf_that_it_cannot_take(name, options, rate, params, error, message):
    with pytest.raises(error, match=re.escape(message)):
        OPTIMIZERS[name](rate, **options).init(params)


@every
@with_rates
def test_goes_down(name, options, rate):
    optimizer = OPTIMIZERS[name](rate, **options)
    start = params_of("float64")
    params, _ = run(optimizer, start, optimizer.init(start), 50)
    before, after = (sum(float((u**4 / 4 - u).sum()) for u in tree.leaves(p)) for p in (start, params))
    assert after < before


@every
@with_rates
@pytest.mark.parametrize("kind", KINDS)
def test_one_program_for_a_hundred_steps_equal_to_eager(name, options, rate, kind):
    optimizer = OPTIMIZERS[name](rate, **options)
    start = params_of(kind)

    def step(params, state):
        updates, state = optimizer.update(gradient(params), state, params)
        return optim.apply_updates(params, updates), state

    compiled = compiling.jit(step, backend="trace")
    now = start, optimizer.init(start)
    with compiling.compilations() as made:
        for _ in range(100):
            now = compiled(*now)
    assert len(made) == 1
    expected = run(optimizer, start, optimizer.init(start), 100)
    for ours, eager in zip(tree.leaves(now), tree.leaves(expected), strict=True):
        eps = torch.finfo(ours.dtype).eps if ours.is_floating_point() else 0
        torch.testing.assert_close(ours, eager, rtol=100 * eps, atol=100 * eps)


@every
def test_replacing_the_learning_rate_compiles_nothing(name, options):
    optimizer = OPTIMIZERS[name](0.1, **options)
    params = params_of("float64")
    compiled = compiling.jit(optimizer.update, backend="trace")
    state = optimizer.init(params)
    updates, _ = compiled(gradient(params), state, params)

    def replace(state, rate):
        if isinstance(state, optim.transform.ScaleState):
            return state._replace(learning_rate=torch.full_like(state.learning_rate, rate))
        if type(state) is tuple:
            return tuple(replace(one, rate) for one in state)
        return state

    with compiling.compilations() as made:
        halved, _ = compiled(gradient(params), replace(state, 0.05), params)
    assert not made
    for full, half in zip(tree.leaves(updates), tree.leaves(halved), strict=True):
        torch.testing.assert_close(half, full / 2, rtol=1e-14, atol=0)


@every
@with_rates
@pytest.mark.parametrize("kind", KINDS)
def test_an_ensemble_equals_a_loop(name, options, rate, kind):
    """Under vmap a 0-d float64 tensor would widen a float32 leaf."""
    optimizer = OPTIMIZERS[name](rate, **options)
    members = [tree.map(lambda u, i=i: u + i / 8, params_of(kind)) for i in range(8)]
    together = tree.stack(members)
    params, state = vmap(lambda one: run(optimizer, one, optimizer.init(one), 5))(together)
    expected = tree.stack([run(optimizer, one, optimizer.init(one), 5) for one in members])
    for ours, looped in zip(tree.leaves((params, state)), tree.leaves(expected), strict=True):
        assert ours.dtype == looped.dtype
        eps = torch.finfo(ours.dtype).eps if ours.is_floating_point() else 0
        torch.testing.assert_close(ours, looped, rtol=100 * eps, atol=100 * eps)


@every
@with_rates
def test_every_tensor_stays_on_the_device(name, options, rate):
    optimizer = OPTIMIZERS[name](rate, **options)
    params = tree.map(lambda u: u.to("meta"), params_of("mixed"))
    for leaf in tree.leaves(run(optimizer, params, optimizer.init(params), 3)):
        assert leaf.device.type == "meta"


@every
def test_chain_is_associative_and_alone_changes_nothing(name, options):
    one = OPTIMIZERS[name](0.01, **options)
    halve, double = optim.scale_by_learning_rate(0.5), optim.scale_by_momentum(0.5)
    chains = [
        optim.chain(halve, optim.chain(double, one)),
        optim.chain(optim.chain(halve, double), one),
        optim.chain(optim.chain(halve, double, one)),
    ]
    start = params_of("float64")
    first, *others = [run(chain, start, chain.init(start), 10)[0] for chain in chains]
    for other in others:
        assert all(map(torch.equal, tree.leaves(first), tree.leaves(other)))
    assert all(math.isfinite(float(u.sum())) for u in tree.leaves(first))
