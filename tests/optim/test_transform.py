"""Chains, values, updates and clipping."""

import math
import re

import pytest
import torch

from funcsci import optim, random, tree
from funcsci.compile import jit

KEY = random.key(31)


def params_of():
    keys = random.split(KEY, 3)
    return {
        "w": random.normal(keys[0], (3, 4)),
        "b": [random.normal(keys[1], (4,)).to(torch.float32), torch.zeros(0, 2)],
        "s": random.normal(keys[2], ()),
    }


def by_value():
    """Steps of the size of the loss: an optimizer that needs the value."""

    def update(grads, state, params, *, value):
        return tree.map(lambda grad: value.to(grad.dtype) * grad, grads), state

    return optim.Optimizer(lambda params: (), update, needs_value=True)


def plain():
    """A user's own optimizer, which takes three arguments and no more."""
    return optim.Optimizer(
        lambda params: (), lambda grads, state, params: (tree.map(lambda g: -g, grads), state)
    )


COMPOSITES = {
    "chain": lambda one: optim.chain(optim.scale(1.0), one),
    "masked": lambda one: optim.masked(one, lambda path, leaf: True),
    "multi_transform": lambda one: optim.multi_transform({"all": one}, lambda path, leaf: "all"),
    "accumulate": lambda one: optim.accumulate(one, 1),
    "with_average": lambda one: optim.with_average(one),
    "all of them": lambda one: optim.with_average(
        optim.accumulate(
            optim.multi_transform(
                {"all": optim.masked(optim.chain(one), lambda path, leaf: True)}, lambda path, leaf: "all"
            ),
            1,
        )
    ),
}
composites = pytest.mark.parametrize("wrap", COMPOSITES.values(), ids=COMPOSITES)


@composites
def test_a_value_reaches_those_that_need_it(wrap):
    optimizer = wrap(by_value())
    assert optimizer.needs_value
    params = params_of()
    updates, _ = optimizer.update(params, optimizer.init(params), params, value=torch.tensor(2.0))
    for update, leaf in zip(tree.leaves(updates), tree.leaves(params), strict=True):
        assert torch.equal(update, 2 * leaf)


@composites
def test_a_missing_value_is_named(wrap):
    optimizer = wrap(by_value())
    params = params_of()
    said = "value must be the loss at params for this optimizer. Got value=None. Try optimizer.update(grads,"
    with pytest.raises(ValueError, match=f"^{re.escape(said)}"):
        optimizer.update(params, optimizer.init(params), params)


@composites
def test_a_value_of_another_shape_is_refused(wrap):
    optimizer = wrap(by_value())
    params = params_of()
    with pytest.raises(ValueError, match=re.escape("value must have shape (). Got shape (2,).")):
        optimizer.update(params, optimizer.init(params), params, value=torch.ones(2))


@composites
@pytest.mark.parametrize("value", [{}, {"value": torch.tensor(2.0)}], ids=["without value", "with value"])
def test_an_optimizer_of_three_arguments_works_everywhere(wrap, value):
    optimizer = wrap(plain())
    assert not optimizer.needs_value
    params = params_of()
    updates, _ = optimizer.update(params, optimizer.init(params), params, **value)
    for update, leaf in zip(tree.leaves(updates), tree.leaves(params), strict=True):
        assert torch.equal(update, -leaf)


def test_a_part_without_need_of_the_value_is_not_given_it():
    both = optim.chain(plain(), by_value())
    assert both.needs_value
    w = torch.tensor(3.0)
    updates, _ = both.update(w, both.init(w), w, value=torch.tensor(2.0))
    assert float(updates) == -6.0


def test_apply_updates_keeps_dtypes_and_refuses_another_structure():
    params = {"w": torch.ones(2, dtype=torch.float32)}
    moved = optim.apply_updates(params, {"w": torch.ones(2, dtype=torch.float64)})
    assert moved["w"].dtype == torch.float32
    said = (
        "updates must have the structure of params. Got missing=[\"updates['w']\"], "
        "unknown=[\"updates['v']\"]. Make updates from params, as tree.map and grad do."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        optim.apply_updates(params, {"v": torch.ones(2)})


def test_a_state_of_other_parameters_is_refused():
    optimizer, w = optim.adam(), torch.ones(2)
    state = optimizer.init({"w": w})
    with pytest.raises(ValueError, match=r"^state must be that of these params. Got .* by optimizer.init"):
        optimizer.update([w], state, [w])


def test_chain_and_scale_refuse_nonsense():
    with pytest.raises(ValueError, match=r"^chain needs at least one transformation. Got none."):
        optim.chain()
    with pytest.raises(ValueError, match=r"^factor must be finite."):
        optim.scale(math.inf)


ORDERS = [1.0, 2.0, 3.5, math.inf]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("share", [0.3, 0.999999, 1.0, 2.0])
def test_clipping_by_global_norm_equals_torch(order, share):
    grads = params_of()
    theirs = [leaf.clone().requires_grad_() for leaf in tree.leaves(grads) if leaf.numel()]
    for leaf in theirs:
        leaf.grad = leaf.detach().clone()
    norms = torch.stack([torch.linalg.vector_norm(leaf.detach(), order).double() for leaf in theirs])
    most = share * float(torch.linalg.vector_norm(norms, order))
    torch.nn.utils.clip_grad_norm_(theirs, most, norm_type=order)
    ours, _ = optim.clip_by_global_norm(most, order).update(grads, (), grads)
    kept = [leaf for leaf in tree.leaves(ours) if leaf.numel()]
    for one, other in zip(kept, theirs, strict=True):
        eps = torch.finfo(one.dtype).eps
        torch.testing.assert_close(one, other.grad, rtol=4 * eps, atol=0)


@pytest.mark.parametrize("order", ORDERS)
def test_clipping_by_norm_equals_torch_leaf_by_leaf(order):
    grads = params_of()
    ours, _ = optim.clip_by_norm(0.7, order).update(grads, (), grads)
    for one, grad in zip(tree.leaves(ours), tree.leaves(grads), strict=True):
        if grad.numel():
            theirs = grad.clone().requires_grad_()
            theirs.grad = grad.clone()
            torch.nn.utils.clip_grad_norm_([theirs], 0.7, norm_type=order)
            torch.testing.assert_close(one, theirs.grad, rtol=4 * torch.finfo(one.dtype).eps, atol=0)


def test_clipping_by_value_equals_torch():
    grads = params_of()
    ours, _ = optim.clip_by_value(0.4).update(grads, (), grads)
    for one, grad in zip(tree.leaves(ours), tree.leaves(grads), strict=True):
        theirs = grad.clone().requires_grad_()
        theirs.grad = grad.clone()
        torch.nn.utils.clip_grad_value_([theirs], 0.4)
        assert torch.equal(one, theirs.grad)


def test_a_tree_of_empty_leaves_is_clipped_to_itself():
    grads = [torch.zeros(0, 3)]
    ours, _ = optim.clip_by_global_norm(1.0, math.inf).update(grads, (), grads)
    assert ours[0].shape == (0, 3)


LINKS = {
    "value": optim.clip_by_value(0.1),
    "norm": optim.clip_by_norm(0.1),
    "global norm": optim.clip_by_global_norm(0.1),
    "decay": optim.add_decayed_weights(0.1, lambda path, leaf: leaf.dim() > 1),
    "averaged": optim.with_average(optim.adam(), 0.9),
    "accumulated": optim.accumulate(optim.adam(), 2),
    "grouped": optim.multi_transform(
        {"a": optim.adam(), "b": optim.freeze()}, lambda path, leaf: "a" if leaf.dim() else "b"
    ),
}


@pytest.mark.parametrize("link", LINKS.values(), ids=LINKS)
def test_every_link_keeps_its_contract(link):
    """One program for every step, equal to eager and to each member of an ensemble, on meta too."""
    params = params_of()

    def step(params, state):
        updates, state = link.update(tree.map(lambda u: u**3 - 1, params), state, params)
        return optim.apply_updates(params, updates), state

    def run(step, params, state):
        for _ in range(4):
            params, state = step(params, state)
        return params, state

    def close(left, right):
        for one, other in zip(tree.leaves(left), tree.leaves(right), strict=True):
            assert one.dtype == other.dtype
            eps = torch.finfo(one.dtype).eps if one.is_floating_point() else 0
            torch.testing.assert_close(one, other, rtol=100 * eps, atol=100 * eps)

    compiled = jit(step, backend="trace")
    before = tree.map(torch.clone, params)
    ended = run(compiled, params, link.init(params))
    assert len(compiled.compilations) == 1
    close(before, params)
    close(ended, run(step, params, link.init(params)))
    members = [tree.map(lambda u, i=i: u + i / 8, params) for i in range(8)]
    together = torch.func.vmap(lambda one: run(step, one, link.init(one)))(tree.stack(members))
    close(together, tree.stack([run(compiled, one, link.init(one)) for one in members]))
    meta = tree.map(lambda leaf: leaf.to("meta"), params)
    for leaf in tree.leaves(run(step, meta, link.init(meta))):
        assert leaf.device.type == "meta"


@pytest.mark.slow
def test_the_compiler_keeps_every_factor_beside_a_matrix_product():
    """Inductor drops alpha and beta of an addition that it fuses with a product, as gradients often are."""
    optimizers = {
        "sgd": optim.sgd(0.1, momentum=0.9, weight_decay=0.3, nesterov=True),
        "dampened": optim.sgd(0.1, momentum=0.9, dampening=0.3),
        "rmsprop": optim.rmsprop(0.1, weight_decay=0.3, momentum=0.9, centered=True),
        "adafactor": optim.adafactor(0.1, weight_decay=0.3),
        "muon": optim.muon(0.1, weight_decay=0.3),
        "soap": optim.soap(0.1, weight_decay=0.3),
        "accumulated": optim.with_average(optim.accumulate(optim.sgd(0.1), 3), 0.9),
    }
    x = random.normal(KEY, (5, 4))
    keys = random.split(KEY, len(optimizers))
    start = {name: random.normal(key, (4, 3)) for name, key in zip(optimizers, keys, strict=True)}

    def step(params, states):
        moved, new = {}, {}
        for name, one in optimizers.items():
            grads = x.T @ torch.tanh(x @ params[name])
            updates, new[name] = one.update(grads, states[name], params[name])
            moved[name] = optim.apply_updates(params[name], updates)
        return moved, new

    compiled = jit(step, backend="compile")
    ours = eager = start, {name: one.init(start[name]) for name, one in optimizers.items()}
    for _ in range(4):
        ours, eager = compiled(*ours), step(*eager)
    for path, one, other in zip(tree.paths(ours), tree.leaves(ours), tree.leaves(eager), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-11, msg=path)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: optim.clip_by_value(0.0), "clip_value must be positive. Got clip_value=0.0."),
        (lambda: optim.clip_by_norm(-1.0), "max_norm must be positive."),
        (lambda: optim.clip_by_norm(1.0, 0.0), "norm_type must be positive."),
        (lambda: optim.clip_by_global_norm(math.inf), "max_norm must be finite."),
        (lambda: optim.clip_by_global_norm(1.0, -2.0), "norm_type must be positive."),
        (lambda: optim.add_decayed_weights(-0.1), "weight_decay must not be negative."),
    ],
)
def test_wrong_values_say_what_must_hold(call, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        call()
