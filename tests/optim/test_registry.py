"""What every registered optimizer must satisfy; a new entry in OPTIMIZERS is tested with no further word."""

import functools
import inspect
import math
import re

import pytest
import torch
from torch.func import vmap

from funcsci import compile as compiling
from funcsci import optim, random, tree
from funcsci.optim import OPTIMIZERS

KEY = random.key(5)
OPTIONS = {
    "adam": [{}, {"amsgrad": True, "weight_decay": 0.1}],
    "adamw": [{}, {"amsgrad": True}],
    "adagrad": [{}, {"lr_decay": 0.1}],
    "muon": [{}, {"nesterov": False, "adjust_lr_fn": "match_rms_adamw"}],
    "nadam": [{}, {"decoupled_weight_decay": True, "weight_decay": 0.1}],
    "rmsprop": [{}, {"centered": True, "momentum": 0.5}],
    "sgd": [{}, {"momentum": 0.9, "dampening": 0.5}, {"momentum": 0.9, "nesterov": True}],
    "soap": [{}, {"precondition_frequency": 3}],
}
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
def test_its_first_argument_is_the_rate_and_the_rest_are_named(name, options):
    first, *others = inspect.signature(OPTIMIZERS[name]).parameters.values()
    assert first.name == "lr"
    assert first.default > 0
    assert all(one.kind is one.KEYWORD_ONLY for one in others)


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
    assert tree.flatten(updates)[1] == tree.flatten(grads)[1]
    for update, grad in zip(tree.leaves(updates), tree.leaves(grads), strict=True):
        assert (update.shape, update.dtype, update.device) == (grad.shape, grad.dtype, grad.device)
    assert facts(moved) == facts(params)
    assert facts(after) == facts(state)
    again, _ = optimizer.update(grads, state, params)
    assert all(map(torch.equal, tree.leaves(updates), tree.leaves(again)))


@pytest.mark.wrong_types
@every
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
def test_init_names_the_leaf_that_it_cannot_take(name, options, params, error, message):
    for rate in RATES.values():
        with pytest.raises(error, match=re.escape(message)):
            OPTIMIZERS[name](rate, **options).init(params)


@every
def test_a_negative_rate_is_refused(name, options):
    with pytest.raises(ValueError, match="^lr must not be negative. Got lr=-0.1."):
        OPTIMIZERS[name](-0.1, **options)


@every
def test_gradients_of_another_structure_are_refused(name, options):
    optimizer, params = OPTIMIZERS[name](0.1, **options), {"w": torch.ones(2), "v": torch.ones(2)}
    with pytest.raises(
        ValueError, match=r"must have the structure of params. Got missing=\[\"\w+\['v'\]\"\]"
    ):
        updates, _ = optimizer.update({"w": torch.ones(2)}, optimizer.init(params), params)
        optim.apply_updates(params, updates)


@functools.cache
def program(place):
    """The optimizer of an entry with a schedule, and its step on mixed dtypes as a program."""
    name, options = ENTRIES[place]
    optimizer = OPTIMIZERS[name](RATES["schedule"], **options)
    return optimizer, compiling.jit(lambda params, state: run(optimizer, params, state, 1), backend="trace")


def compiled_run(place, params, steps):
    optimizer, step = program(place)
    now = params, optimizer.init(params)
    for _ in range(steps):
        now = step(*now)
    return now


def height(params):
    """What `gradient` belongs to."""
    return sum(float((u**4 / 4 - u).sum()) for u in tree.leaves(params))


by_place = pytest.mark.parametrize(
    "place", range(len(ENTRIES)), ids=[f"{name}{options}" for name, options in ENTRIES]
)


@by_place
def test_a_hundred_steps_go_down_in_one_program(place):
    start = params_of("mixed")
    params, state = compiled_run(place, start, 100)
    assert height(params) < height(start)
    assert all(math.isfinite(float(leaf.sum())) for leaf in tree.leaves(state))
    assert len(program(place)[1].compilations) == 1


@by_place
def test_the_program_equals_eager(place):
    optimizer, start = program(place)[0], params_of("mixed")
    expected = run(optimizer, start, optimizer.init(start), 5)
    for ours, eager in zip(tree.leaves(compiled_run(place, start, 5)), tree.leaves(expected), strict=True):
        eps = torch.finfo(ours.dtype).eps if ours.is_floating_point() else 0
        torch.testing.assert_close(ours, eager, rtol=100 * eps, atol=100 * eps)


@by_place
def test_an_ensemble_of_eight_equals_a_loop(place):
    """Under vmap a 0-d float64 tensor would widen a float32 leaf."""
    optimizer, _ = program(place)
    members = [tree.map(lambda u, i=i: u + i / 8, params_of("mixed")) for i in range(8)]
    together = vmap(lambda one: run(optimizer, one, optimizer.init(one), 3))(tree.stack(members))
    apart = tree.stack([compiled_run(place, one, 3) for one in members])
    for ours, looped in zip(tree.leaves(together), tree.leaves(apart), strict=True):
        assert ours.dtype == looped.dtype
        eps = torch.finfo(ours.dtype).eps if ours.is_floating_point() else 0
        torch.testing.assert_close(ours, looped, rtol=100 * eps, atol=100 * eps)


@every
def test_goes_up_to_maximize(name, options):
    optimizer, start = OPTIMIZERS[name](0.01, maximize=True, **options), params_of("float64")
    params, _ = run(optimizer, start, optimizer.init(start), 5)
    assert height(params) > height(start)


def replaced(state, rate):
    """The state with every learning rate in it set anew."""
    if isinstance(state, dict):
        return {name: replaced(one, rate) for name, one in state.items()}
    if isinstance(state, optim.learning_rate.ScaleState):
        return state._replace(learning_rate=torch.full_like(state.learning_rate, rate))
    if isinstance(state, tuple):
        parts = [replaced(one, rate) for one in state]
        return type(state)(*parts) if hasattr(state, "_fields") else tuple(parts)
    return state


@every
def test_replacing_the_learning_rate_compiles_nothing(name, options):
    optimizer = OPTIMIZERS[name](0.1, **options)
    params = params_of("float64")
    compiled = compiling.jit(optimizer.update, backend="trace")
    state = optimizer.init(params)
    updates, _ = compiled(gradient(params), state, params)
    with compiling.compilations() as made:
        halved, _ = compiled(gradient(params), replaced(state, 0.05), params)
    assert not made
    for full, half in zip(tree.leaves(updates), tree.leaves(halved), strict=True):
        torch.testing.assert_close(half, full / 2, rtol=1e-14, atol=0)


@every
@with_rates
def test_every_tensor_stays_on_the_device(name, options, rate):
    optimizer = OPTIMIZERS[name](rate, **options)
    params = tree.map(lambda u: u.to("meta"), params_of("mixed"))
    for leaf in tree.leaves(run(optimizer, params, optimizer.init(params), 2)):
        assert leaf.device.type == "meta"


@every
def test_chain_is_associative_and_alone_changes_nothing(name, options):
    one = OPTIMIZERS[name](0.01, **options)
    halve, double = optim.scale(0.5), optim.scale_by_momentum(0.5)
    chains = [
        optim.chain(halve, optim.chain(double, one)),
        optim.chain(optim.chain(halve, double), one),
        optim.chain(optim.chain(halve, double, one)),
    ]
    start = params_of("float64")
    first, *others = [run(chain, start, chain.init(start), 3)[0] for chain in chains]
    for other in others:
        assert all(map(torch.equal, tree.leaves(first), tree.leaves(other)))
