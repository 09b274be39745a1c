"""Pytrees: nested dicts, lists, tuples and NamedTuples whose leaves are tensors.

Parameters, optimizer states and batches are pytrees. This is the only file that knows optree. A
dict's leaves come in the order of its sorted keys, so two dicts with equal items are equal trees.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import optree
import torch
from torch import Tensor

PyTree: TypeAlias = Any
"""Any nesting of dict, list, tuple and NamedTuple with tensors as leaves."""
Params: TypeAlias = Any
"""A pytree of tensors: what a model learns."""
Scalar: TypeAlias = Tensor
"""A tensor of shape ()."""
Structure: TypeAlias = optree.PyTreeSpec
"""The shape of a tree without its leaves; hashable, so it can be a key."""

_IN_ORDER = "funcsci.in_order"
_order = optree.dict_insertion_ordered(True, namespace=_IN_ORDER)
_order.__enter__()  # for good: leaving it would change what the namespace means


def map(function: Callable[..., Any], tree: PyTree, *rest: PyTree) -> PyTree:
    """The tree of `function(leaf, *leaves)` over the corresponding leaves of equal trees.

    Args:
        function: takes one leaf of each tree.
        tree: the tree whose structure the result has.
        *rest: further trees of the same structure; a dict may stand for an OrderedDict.

    Returns:
        A tree of the structure of `tree`.

    Raises:
        ValueError: if the structures differ; the message names the paths.

    Example:
        >>> import torch
        >>> map(lambda a, b: a + b, {"x": torch.tensor(1)}, {"x": torch.tensor(2)})
        {'x': tensor(3)}
    """
    if rest:
        check_structure(tree=tree, **{f"rest[{place}]": other for place, other in enumerate(rest)})
    return optree.tree_map(function, tree, *rest)


def flatten(tree: PyTree) -> tuple[list[Any], Structure]:
    """The leaves in order, and the structure that `unflatten` needs to put them back."""
    leaves, structure = optree.tree_flatten(tree)
    return leaves, structure


def flatten_in_order(tree: PyTree) -> tuple[list[Any], Structure]:
    """As `flatten`, with the leaves of a dict in its own order, which is then part of the structure.

    For work that must tell `{"a": x, "b": y}` from `{"b": y, "a": x}`: a function may iterate over them.
    """
    leaves, structure = optree.tree_flatten(tree, namespace=_IN_ORDER)
    return leaves, structure


def unflatten(structure: Structure, leaves: Any) -> PyTree:
    """The tree of the given structure with the given leaves; the inverse of `flatten`."""
    return optree.tree_unflatten(structure, leaves)


def leaves(tree: PyTree) -> list[Any]:
    """The leaves of the tree, in order."""
    return optree.tree_leaves(tree)


def paths(tree: PyTree, name: str = "", *, in_order: bool = False) -> list[str]:
    """The place of each leaf as one would write it in Python, in the order of `leaves`.

    Args:
        tree: whose leaves to name.
        name: what to call the tree itself.
        in_order: whether to take the order of `flatten_in_order` instead.

    Example:
        >>> import torch
        >>> paths({"layers": [torch.ones(2), torch.ones(3)]}, "params")
        ["params['layers'][0]", "params['layers'][1]"]
    """
    return [
        accessor.codify(name)
        for accessor in optree.tree_accessors(tree, namespace=_IN_ORDER if in_order else "")
    ]


def check_tensors(**trees: PyTree) -> None:
    """Each tree has tensors at all its leaves, and holds no None.

    Raises:
        TypeError: if a leaf is something else; the message gives its path in the tree.

    Example:
        >>> check_tensors(params={"layers": [{"bias": 0.0}]})
        Traceback (most recent call last):
        TypeError: params['layers'][0]['bias'] is a float (0.0); expected a Tensor. Try torch.tensor(0.0).
    """
    for name, tree in trees.items():
        accessors, found, _ = optree.tree_flatten_with_accessor(tree, none_is_leaf=True)
        for accessor, leaf in zip(accessors, found, strict=True):
            if isinstance(leaf, Tensor):
                continue
            remedy = "Leave it out of the tree." if leaf is None else f"Try torch.tensor({leaf!r})."
            kind = type(leaf).__name__
            raise TypeError(f"{accessor.codify(name)} is a {kind} ({leaf!r}); expected a Tensor. {remedy}")


def check_structure(**trees: PyTree) -> None:
    """Each tree has the structure of the first.

    Raises:
        ValueError: if one has another; the message gives up to three of the paths that differ.

    Example:
        >>> import torch
        >>> one = torch.ones(2)
        >>> check_structure(params={"w": one}, updates={"w": one, "b": one})
        Traceback (most recent call last):
        ...
        ValueError: updates must have the structure of params. Got missing=[], unknown=["updates['b']"]. ...
    """
    (first, tree), *others = trees.items()
    structure = flatten(tree)[1]
    for name, other in others:
        if _fits(structure, other):
            continue
        # As dicts, for they keep the order and find a path at once.
        expected, found = dict.fromkeys(paths(tree)), dict.fromkeys(paths(other))
        missing = [name + path for path in expected if path not in found][:3]
        unknown = [name + path for path in found if path not in expected][:3]
        came = f"missing={missing}, unknown={unknown}"
        if not missing and not unknown:
            came = f"{name} of {flatten(other)[1]}, where {first} is of {structure}"
        raise ValueError(
            f"{name} must have the structure of {first}. Got {came}. "
            f"Make {name} from {first}, as tree.map and grad do."
        )


def _fits(structure: Structure, tree: PyTree) -> bool:
    """Whether the tree has the structure, and leaves where it ends."""
    if flatten(tree)[1] == structure:
        return True
    try:  # a dict is then as good as an OrderedDict
        ends = structure.flatten_up_to(tree)
    except ValueError:
        return False
    return all(leaves(end) and leaves(end)[0] is end for end in ends)


def size(tree: PyTree) -> int:
    """The number of scalars in the tree: the sum of its leaves' sizes.

    Example:
        >>> import torch
        >>> size({"weight": torch.ones(3, 2), "bias": torch.ones(3)})
        9
    """
    return sum(leaf.numel() for leaf in leaves(tree))


def ravel(tree: PyTree) -> tuple[Tensor, Callable[[Tensor], PyTree]]:
    """All leaves as one flat vector, and the function that makes the tree from such a vector.

    Args:
        tree: a tree of floating-point tensors of one dtype and device, with at least one leaf.

    Returns:
        The vector, shape `(size(tree),)`, and its inverse, which works on tensors of any dtype,
        under `torch.func` transforms too.

    Raises:
        TypeError: if a leaf is not a tensor, or the leaves have several dtypes.
        ValueError: if the tree has no leaves.
    """
    check_tensors(tree=tree)
    found, structure = flatten(tree)
    if not found:
        raise ValueError("tree must have at least one leaf to ravel. Got an empty tree. Add a tensor.")
    dtypes = {str(leaf.dtype) for leaf in found}
    if len(dtypes) > 1:
        raise TypeError(f"tree must have one dtype to ravel. Got {sorted(dtypes)}. Cast its leaves.")
    shapes = [leaf.shape for leaf in found]
    sizes = [leaf.numel() for leaf in found]

    def unravel(vector: Tensor) -> PyTree:
        parts = torch.split(vector, sizes)
        return unflatten(structure, [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)])

    return torch.cat([leaf.reshape(-1) for leaf in found]), unravel


def partition(
    predicate: Callable[[str, Tensor], bool], tree: PyTree
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Split the leaves in two by `predicate(path, leaf)`: those where it holds, and the others.

    The halves are flat dicts from path to leaf, so each is itself a tree of tensors that can be
    differentiated or frozen as it is; `combine` puts them together again.

    Example:
        >>> import torch
        >>> params = {"weight": torch.ones(2), "bias": torch.zeros(1)}
        >>> trainable, frozen = partition(lambda path, leaf: "bias" in path, params)
        >>> trainable
        {"['bias']": tensor([0.])}
    """
    chosen: dict[str, Tensor] = {}
    others: dict[str, Tensor] = {}
    for path, leaf in zip(paths(tree), leaves(tree), strict=True):
        (chosen if predicate(path, leaf) else others)[path] = leaf
    return chosen, others


def combine(tree: PyTree, *parts: dict[str, Tensor]) -> PyTree:
    """The tree of the structure of `tree` with the leaves that `partition` took from it.

    Args:
        tree: gives the structure; its own leaves are not used.
        *parts: dicts from path to leaf that together name every leaf once.

    Raises:
        ValueError: if a path is missing, unknown or named twice.
    """
    expected = paths(tree)
    merged: dict[str, Tensor] = {}
    for part in parts:
        twice = merged.keys() & part.keys()
        if twice:
            raise ValueError(
                f"parts must name each path once. Got {sorted(twice)} twice. Remove one of them."
            )
        merged.update(part)
    if merged.keys() != set(expected):
        missing, unknown = set(expected) - merged.keys(), merged.keys() - set(expected)
        raise ValueError(
            "parts must name every path of the tree and no other. "
            f"Got missing={sorted(missing)}, unknown={sorted(unknown)}. Use the two results of partition."
        )
    return unflatten(flatten(tree)[1], [merged[path] for path in expected])


def allclose(left: PyTree, right: PyTree, *, rtol: float = 1e-5, atol: float = 1e-8) -> bool:
    """Whether two trees have one structure, equal shapes and dtypes, and leaves close in value."""
    left_leaves, left_structure = flatten(left)
    right_leaves, right_structure = flatten(right)
    if left_structure != right_structure:
        return False
    return all(
        a.shape == b.shape and a.dtype == b.dtype and torch.allclose(a, b, rtol=rtol, atol=atol)
        for a, b in zip(left_leaves, right_leaves, strict=True)
    )


def stack(trees: list[PyTree]) -> PyTree:
    """One tree of equal trees, with a new first dimension: an ensemble, ready for `vmap`.

    Raises:
        ValueError: if there are no trees or their structures differ.
    """
    if not trees:
        raise ValueError("trees must hold at least one tree. Got an empty list. Pass a list of equal trees.")
    check_structure(**{f"trees[{place}]": tree for place, tree in enumerate(trees)})
    return map(lambda *leaf: torch.stack(leaf), *trees)


def unstack(tree: PyTree) -> list[PyTree]:
    """The trees along the first dimension; the inverse of `stack`.

    Raises:
        ValueError: if the leaves differ in their first dimension, or one has none.
    """
    found, structure = flatten(tree)
    lengths = {leaf.shape[0] if leaf.dim() else None for leaf in found}
    if len(lengths) != 1 or None in lengths:
        raise ValueError(
            "tree must have one first dimension in all its leaves. "
            f"Got shapes {[tuple(leaf.shape) for leaf in found]}. Use a tree made by stack."
        )
    (length,) = lengths
    return [unflatten(structure, [leaf[i] for leaf in found]) for i in range(length or 0)]
