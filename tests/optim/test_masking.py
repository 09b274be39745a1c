"""Different optimizers for different leaves."""

import re

import pytest
import torch

from funcsci import nn, optim, random, tree

KEY = random.key(41)
MODEL = nn.mlp((2, 4, 4, 1))


def start():
    return {"body": MODEL.init(KEY), "head": {"weight": torch.ones(2), "bias": torch.zeros(())}}


def run(optimizer, params, steps=5):
    state = optimizer.init(params)
    for _ in range(steps):
        updates, state = optimizer.update(tree.map(lambda u: u**3 - 1, params), state, params)
        params = optim.apply_updates(params, updates)
    return params, state


def is_bias(path, leaf):
    return "bias" in path


BIASES = {
    "predicate": is_bias,
    "tree": tree.unflatten(tree.flatten(start())[1], ["bias" in path for path in tree.paths(start())]),
}


@pytest.mark.parametrize("mask", BIASES.values(), ids=BIASES)
def test_masked_changes_the_chosen_leaves_alone(mask):
    params = start()
    updates, _ = optim.masked(optim.scale(3.0), mask).update(params, (), params)
    for path, update, leaf in zip(tree.paths(params), tree.leaves(updates), tree.leaves(params), strict=True):
        assert torch.equal(update, 3 * leaf if "bias" in path else leaf)


def test_a_bool_may_stand_for_a_branch():
    params = start()
    updates, _ = optim.masked(optim.scale(0.0), {"body": True, "head": False}).update(params, (), params)
    assert all(not leaf.any() for leaf in tree.leaves(updates["body"]))
    assert torch.equal(updates["head"]["weight"], params["head"]["weight"])


@pytest.mark.parametrize("label", ["predicate", "tree"])
def test_groups_move_as_they_would_alone(label):
    """Each group's optimizer sees its own leaves: the same as separate trees with separate optimizers."""
    params = start()
    labels = {
        "predicate": lambda path, leaf: "slow" if path.startswith("['body']") else "fast",
        "tree": {"body": "slow", "head": "fast"},
    }[label]
    groups = {"slow": optim.adam(0.01), "fast": optim.muon(0.1)}
    together, state = run(optim.multi_transform(groups, labels), params)
    alone = {"body": run(groups["slow"], params["body"])[0], "head": run(groups["fast"], params["head"])[0]}
    assert all(map(torch.equal, tree.leaves(together), tree.leaves(alone)))
    assert set(state) == {"slow", "fast"}


def test_the_paths_inside_a_group_are_those_of_the_whole_tree():
    seen = []
    watch = optim.masked(optim.scale(1.0), lambda path, leaf: seen.append(path) is None)
    params = start()
    outer = optim.multi_transform(
        {"biases": watch, "rest": optim.scale(1.0)}, lambda path, leaf: "biases" if "bias" in path else "rest"
    )
    outer.init(params)
    assert seen == [path for path in tree.paths(params) if "bias" in path]


def test_frozen_leaves_stay_to_the_bit_and_may_be_integers():
    params = {"w": torch.ones(2), "n": torch.tensor([3, 4])}
    optimizer = optim.multi_transform(
        {"train": optim.adamw(0.1), "fixed": optim.freeze()}, {"w": "train", "n": "fixed"}
    )
    moved, _ = run(optimizer, params)
    assert torch.equal(moved["n"], params["n"])
    assert moved["n"].dtype == torch.int64
    assert not torch.equal(moved["w"], params["w"])


def test_an_optimizer_without_leaves_is_not_called():
    def refuse(*args):
        raise AssertionError

    never = optim.Optimizer(refuse, refuse)
    params = start()
    moved, state = run(
        optim.multi_transform({"all": optim.sgd(0.1), "none": never}, lambda path, leaf: "all"), params
    )
    assert state["none"] == ()
    expected, _ = run(optim.sgd(0.1), params)
    assert all(map(torch.equal, tree.leaves(moved), tree.leaves(expected)))
    grads, state = optim.masked(never, lambda path, leaf: False).update(params, (), params)
    assert grads is params
    assert state == optim.masked(never, lambda path, leaf: False).init(params) == ()


def test_a_single_tensor_is_a_tree_too():
    w = torch.tensor(2.0)
    optimizer = optim.multi_transform({"a": optim.sgd(0.5)}, "a")
    assert float(optimizer.update(w, optimizer.init(w), w)[0]) == -1.0


def test_decay_by_mask_equals_groups_of_torch():
    """AdamW with two groups, the second without decay."""
    params = start()
    decay = optim.add_decayed_weights(0.1, lambda path, leaf: "bias" not in path)
    optimizer = optim.chain(optim.scale_by_adam(), decay, optim.scale_by_learning_rate(0.01))
    moved, _ = run(optimizer, params, 50)

    theirs = {path: leaf.clone() for path, leaf in zip(tree.paths(params), tree.leaves(params), strict=True)}
    biases = [leaf for path, leaf in theirs.items() if "bias" in path]
    weights = [leaf for path, leaf in theirs.items() if "bias" not in path]
    reference = torch.optim.AdamW(
        [{"params": weights}, {"params": biases, "weight_decay": 0.0}], lr=0.01, weight_decay=0.1
    )
    for _ in range(50):
        for leaf in theirs.values():
            leaf.grad = leaf**3 - 1
        reference.step()
    for one, other in zip(tree.leaves(moved), theirs.values(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-13)


PARAMS = {"w": torch.ones(2), "b": torch.ones(1)}
SGD = {"train": optim.sgd(0.1)}


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: optim.multi_transform(SGD, lambda path, leaf: "other").init(PARAMS),
            ValueError,
            "labels must be among those of optimizers, 'train'. Got 'other' at params['b']. Add an optimizer",
        ),
        (
            lambda: optim.multi_transform(SGD, {"w": "train"}).init(PARAMS),
            ValueError,
            "labels must have the structure of params, or of its first branches. Got ",
        ),
        (
            lambda: optim.multi_transform({}, "train"),
            ValueError,
            "optimizers must hold at least one optimizer. Got {}.",
        ),
        (
            lambda: optim.multi_transform(SGD, "train").init({}),
            ValueError,
            "params must hold at least one tensor. Got an empty tree.",
        ),
        (
            lambda: optim.multi_transform(SGD, "train").update(
                {"w": torch.ones(2)}, optim.multi_transform(SGD, "train").init(PARAMS), PARAMS
            ),
            ValueError,
            "grads must have the structure of params. Got missing=[\"grads['b']\"]",
        ),
        (
            lambda: optim.masked(optim.sgd(), {"w": [True], "b": True}).init(PARAMS),
            ValueError,
            "mask must have the structure of params, or of its first branches.",
        ),
        (
            lambda: optim.masked(optim.sgd(), lambda path, leaf: "yes").init(PARAMS),
            TypeError,
            "mask must be True or False. Got 'yes' at params['b']. Try True.",
        ),
        (
            lambda: optim.masked(optim.sgd(), lambda path, leaf: True).init({"w": 1.0}),
            TypeError,
            "params['w'] is a float (1.0); expected a Tensor.",
        ),
    ],
)
def test_wrong_arguments_say_what_must_hold(call, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}"):
        call()
