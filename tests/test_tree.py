"""The laws of trees: what is taken apart goes together again."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given
from torch import Tensor
from torch.func import grad, vmap

from funcsci import tree


class Moments(NamedTuple):
    first: Any
    second: Any


shapes = st.lists(st.integers(0, 3), max_size=3).map(tuple)
tensors = st.builds(
    lambda shape, start: torch.arange(start, start + torch.Size(shape).numel(), dtype=torch.float64).reshape(
        shape
    ),
    shapes,
    st.integers(-5, 5),
)


def nested(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.tuples(inner, inner),
            st.builds(Moments, inner, inner),
            st.dictionaries(st.text("abc", min_size=1, max_size=2), inner, max_size=3),
        ),
        max_leaves=6,
    )


trees = nested(tensors)
filled = trees.filter(lambda t: bool(tree.leaves(t)))


def same(left: Any, right: Any) -> bool:
    return tree.allclose(left, right, rtol=0, atol=0)


@given(trees)
def test_unflatten_undoes_flatten(t: Any) -> None:
    for flatten in (tree.flatten, tree.flatten_in_order):
        leaves, structure = flatten(t)
        back = tree.unflatten(structure, leaves)
        assert repr(back) == repr(t)  # the types of the containers and the order of the keys, too
        assert all(a is b for a, b in zip(tree.leaves(back), tree.leaves(t), strict=True))


@given(st.dictionaries(st.text("abcd", min_size=1, max_size=2), tensors, min_size=2, max_size=4))
def test_equal_dicts_are_equal_trees_unless_the_order_is_asked_for(d: dict[str, Tensor]) -> None:
    turned = dict(reversed(d.items()))
    (leaves, structure), (others, other) = tree.flatten(d), tree.flatten(turned)
    assert structure == other
    assert all(a is b for a, b in zip(leaves, others, strict=True))
    assert tree.flatten_in_order(d)[1] != tree.flatten_in_order(turned)[1]
    assert all(leaf is x for leaf, x in zip(tree.flatten_in_order(turned)[0], turned.values(), strict=True))
    assert tree.paths(turned, "d", in_order=True) == [f"d[{key!r}]" for key in turned]


@given(trees)
def test_map_keeps_the_structure_and_composes(t: Any) -> None:
    doubled = tree.map(lambda x: 2 * x, t)
    assert tree.flatten(doubled)[1] == tree.flatten(t)[1]
    assert same(tree.map(torch.add, t, t), doubled)
    assert same(tree.map(lambda x: x, t), t)


ONE = torch.ones(1)


@pytest.mark.parametrize(
    ("left", "right", "came"),
    [
        ({"a": ONE}, {"b": ONE}, """missing=["rest[1]['a']"], unknown=["rest[1]['b']"]"""),
        ({"a": ONE}, {}, """missing=["rest[1]['a']"], unknown=[]"""),
        ({"a": ONE}, {"a": [ONE]}, """missing=["rest[1]['a']"], unknown=["rest[1]['a'][0]"]"""),
        ([[ONE], ONE], [ONE, ONE], "missing=['rest[1][0][0]'], unknown=['rest[1][0]']"),
        ([ONE], [None], "missing=['rest[1][0]'], unknown=[]"),
        ([ONE] * 5, [], "missing=['rest[1][0]', 'rest[1][1]', 'rest[1][2]'], unknown=[]"),
        ([ONE], (ONE,), "rest[1] of PyTreeSpec((*,)), where tree is of PyTreeSpec([*])"),
        ([ONE, []], [ONE, ()], "rest[1] of PyTreeSpec([*, ()]), where tree is of PyTreeSpec([*, []])"),
    ],
)
def test_map_tells_how_structures_differ(left: Any, right: Any, came: str) -> None:
    with pytest.raises(ValueError) as caught:
        tree.map(lambda *_: None, left, left, right)
    assert str(caught.value) == (
        f"rest[1] must have the structure of tree. Got {came}. "
        "Make rest[1] from tree, as tree.map and grad do."
    )


def test_an_error_of_the_mapped_function_is_its_own() -> None:
    def fail(*_: Tensor) -> None:
        raise ValueError("mine")

    with pytest.raises(ValueError, match="^mine$"):
        tree.map(fail, [ONE], [ONE])


def test_an_ordered_dict_is_mapped_with_a_dict() -> None:
    found = tree.map(torch.sub, {"a": 3 * ONE, "b": ONE}, OrderedDict(b=ONE, a=ONE))
    assert found == {"a": 2, "b": 0}


@pytest.mark.parametrize(("count", "trees"), [(1, {"a": [ONE]}), (2, {"a": [ONE], "b": [ONE]})])
def test_equal_structures_pass(count: int, trees: dict[str, Any]) -> None:
    assert len(trees) == count
    tree.check_structure(**trees)


@given(trees)
def test_a_path_evaluates_to_its_leaf(t: Any) -> None:
    paths = tree.paths(t, "t")
    assert len(set(paths)) == len(paths)
    for path, leaf in zip(paths, tree.leaves(t), strict=True):
        assert eval(path, {"t": t}) is leaf


def test_paths_are_written_as_in_python() -> None:
    t = {"layers": [{"bias": torch.ones(1)}], "state": Moments(torch.ones(1), (torch.ones(1),))}
    assert tree.paths(t, "t") == ["t['layers'][0]['bias']", "t['state'].first", "t['state'].second[0]"]
    assert tree.paths(torch.ones(1), "x") == ["x"]


@given(filled)
def test_ravel_and_back(t: Any) -> None:
    flat, unravel = tree.ravel(t)
    assert flat.shape == (tree.size(t),)
    assert torch.equal(flat, torch.cat([leaf.reshape(-1) for leaf in tree.leaves(t)]))
    assert same(unravel(flat), t)
    assert all(leaf.dtype == torch.float32 for leaf in tree.leaves(unravel(flat.float())))


def test_unravel_works_under_transforms() -> None:
    params = {"w": torch.arange(4.0).reshape(2, 2), "b": torch.ones(2)}
    flat, unravel = tree.ravel(params)

    def energy(vector: Tensor) -> Tensor:
        t = unravel(vector)
        return (t["w"] @ t["b"]).square().sum()

    assert grad(energy)(flat).shape == flat.shape
    batch = torch.stack([flat, 2 * flat])
    assert torch.equal(vmap(energy)(batch), torch.stack([energy(flat), energy(2 * flat)]))


def test_what_cannot_be_raveled() -> None:
    with pytest.raises(
        ValueError, match="tree must have at least one leaf to ravel. Got an empty tree. Add a tensor."
    ):
        tree.ravel({"a": []})
    with pytest.raises(
        TypeError, match=r"must have one dtype .* \['torch.float32', 'torch.int64'\]\. Cast its leaves"
    ):
        tree.ravel([torch.ones(1, dtype=torch.float32), torch.ones(1, dtype=torch.int64)])
    with pytest.raises(TypeError, match=r"tree\[0\] is a float \(1\.0\); expected a Tensor"):
        tree.ravel([1.0])


@given(trees, st.integers(0, 3))
def test_combine_undoes_partition(t: Any, smallest: int) -> None:
    chosen, others = tree.partition(lambda path, leaf: leaf.numel() > smallest, t)
    assert all(leaf.numel() > smallest for leaf in chosen.values())
    assert all(leaf.numel() <= smallest for leaf in others.values())
    for parts in ((chosen, others), (others, chosen)):
        assert same(tree.combine(t, *parts), t)


def test_what_cannot_be_combined() -> None:
    t = {"a": torch.ones(1), "b": torch.ones(2)}
    chosen, others = tree.partition(lambda path, leaf: "a" in path, t)
    with pytest.raises(
        ValueError, match=r"must name each path once\. Got \[\"\['a'\]\"\] twice\. Remove one"
    ):
        tree.combine(t, chosen, others, chosen)
    with pytest.raises(
        ValueError, match=r"every path .* Got missing=\[\"\['b'\]\"\], unknown=\[\]\. Use the two"
    ):
        tree.combine(t, chosen)
    with pytest.raises(ValueError, match=r"missing=\[\], unknown=\['c'\]"):
        tree.combine(t, chosen, others, {"c": torch.ones(1)})


@given(trees, st.integers(1, 3))
def test_unstack_undoes_stack(t: Any, count: int) -> None:
    members = [tree.map(lambda x, i=i: x + i, t) for i in range(count)]
    stacked = tree.stack(members)
    assert [leaf.shape for leaf in tree.leaves(stacked)] == [(count, *leaf.shape) for leaf in tree.leaves(t)]
    if tree.leaves(t):
        back = tree.unstack(stacked)
        assert len(back) == count
        assert all(same(a, b) for a, b in zip(back, members, strict=True))


def test_an_ensemble_is_ready_for_vmap() -> None:
    members = [{"w": torch.full((2,), float(i))} for i in range(3)]
    assert torch.equal(vmap(lambda p: p["w"].sum())(tree.stack(members)), torch.tensor([0.0, 2.0, 4.0]))


def test_what_cannot_be_stacked_or_unstacked() -> None:
    with pytest.raises(ValueError, match="trees must hold at least one tree. Got an empty list. Pass a list"):
        tree.stack([])
    with pytest.raises(ValueError, match=r"^trees\[1\] must have the structure of trees\[0\]\. Got missing"):
        tree.stack([{"a": torch.ones(1)}, {"b": torch.ones(1)}])
    for t in ([torch.ones(2), torch.ones(3)], [torch.ones(())], {}):
        with pytest.raises(
            ValueError, match=r"one first dimension in all its leaves\. Got shapes .* made by stack"
        ):
            tree.unstack(t)


@given(trees)
def test_size_is_the_number_of_scalars(t: Any) -> None:
    assert tree.size(t) == sum(len(leaf.reshape(-1).tolist()) for leaf in tree.leaves(t))


@pytest.mark.parametrize(
    ("change", "close"),
    [
        (lambda x: x + 1e-12, True),
        (lambda x: x + 1e-2, False),
        (lambda x: x.float(), False),
        (lambda x: x[None], False),
        (lambda x: [x], False),
        (lambda x: x * torch.nan, False),
    ],
)
def test_allclose(change: Callable[[Tensor], Any], close: bool) -> None:
    t = {"a": torch.ones(2), "b": (torch.ones(1),)}
    assert tree.allclose(t, {"a": change(t["a"]), "b": t["b"]}) is close


@given(trees)
def test_tensors_everywhere_pass(t: Any) -> None:
    tree.check_tensors(params=t, state=t)


@pytest.mark.parametrize(
    ("leaf", "said"),
    [
        (0.5, r"p\['a'\]\.first\[0\] is a float \(0\.5\); expected a Tensor\. Try torch\.tensor\(0\.5\)\."),
        (3, r"p\['a'\]\.first\[0\] is a int \(3\); expected a Tensor\. Try torch\.tensor\(3\)\."),
        (
            None,
            r"p\['a'\]\.first\[0\] is a NoneType \(None\); expected a Tensor\. Leave it out of the tree\.",
        ),
    ],
)
def test_a_wrong_leaf_is_named_by_its_path(leaf: Any, said: str) -> None:
    with pytest.raises(TypeError, match=f"^{said}$"):
        tree.check_tensors(good=[torch.ones(1)], p={"a": Moments([leaf], torch.ones(1))})
