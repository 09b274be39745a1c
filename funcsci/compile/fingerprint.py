"""Fingerprints of functions: whether two of them, perhaps in two processes, compute the same."""

import hashlib
import operator
import struct
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx

from funcsci import tree
from funcsci.compile.trace import trace

MOST_NUMBERS = 64
"""A fingerprint lists the numbers of a function that has no more than so many."""
SHOWN = 3
"""The most pairs of numbers that a difference names."""

_aten = torch.ops.aten
COPIES = frozenset(
    (
        _aten.detach.default,
        _aten.alias.default,
        _aten.clone.default,
        _aten.lift_fresh.default,
        _aten.lift_fresh_copy.default,
    )
)
"""Operations that give the numbers they take."""


class Fingerprint(NamedTuple):
    """What a function computes, in a form that a file can hold.

    Attributes:
        digest: of everything: operations, numbers and tensors; equal functions have equal ones.
        operations: the digest of the operations alone, with shapes and dtypes.
        numbers: the constants of shape () in the order of their use; none where there are too many.
    """

    digest: str
    operations: str
    numbers: tuple[float, ...]


def fingerprint(function: Callable[..., Any], *examples: Any) -> Fingerprint | None:
    """What a pure function computes, as its traced graph with all constants tells it.

    It depends on neither names, memory addresses, processes nor devices, and not on the numbers in the
    examples. Tensors and numbers that the function closes over are constants, with all their digits. Two
    functions that compute the same by other operations have two fingerprints; another version of torch
    may record other operations for one function.

    Args:
        function: takes and returns pytrees of tensors.
        *examples: its arguments; their structure, shapes and dtypes belong to the fingerprint.

    Returns:
        The fingerprint; None for a function that cannot be traced, such as one that branches on a value.

    Example:
        >>> import torch
        >>> x = torch.ones(2)
        >>> double, again, triple = lambda x: 2 * x, lambda y: 2.0 * y, lambda x: 3 * x
        >>> one, same, other = (fingerprint(function, x) for function in (double, again, triple))
        >>> one == same, difference(one, other)
        (True, '2.0 then, 3.0 now')
    """
    leaves, structure = tree.flatten(examples)
    labels = tree.paths(examples)
    results: list[str] = []

    def flat(*inputs: Tensor) -> list[Tensor]:
        found = function(*tree.unflatten(structure, inputs))
        outputs = tree.leaves(found)
        results[:] = [
            path if isinstance(one, Tensor) else f"{path}={one!r}"
            for path, one in zip(tree.paths(found), outputs, strict=True)
        ]
        return [one for one in outputs if isinstance(one, Tensor)]

    cuda = {leaf.device for leaf in leaves if leaf.device.type == "cuda"}
    try:
        with torch.random.fork_rng(devices=cuda):  # a trace runs the function once
            module = trace(flat, [leaf.detach() for leaf in leaves], labels)
        return _Text(module, labels).fingerprint(results)
    except Exception:  # whatever is wrong with a function is told where it is used
        return None


def difference(then: Fingerprint | None, now: Fingerprint | None) -> str | None:
    """What differs between two functions, in a few words; None if nothing does or it cannot be told."""
    if then is None or now is None or then.digest == now.digest:
        return None
    if then.operations != now.operations:
        return "another formula"
    pairs = [(a, b) for a, b in zip(then.numbers, now.numbers, strict=True) if a.hex() != b.hex()]
    if not pairs:
        return "other constants"
    shown = "; ".join(f"{a!r} then, {b!r} now" for a, b in pairs[:SHOWN])
    return shown + (f"; and {len(pairs) - SHOWN} more" if pairs[SHOWN:] else "")


class _Text:
    """A graph as text without names: the operations, and apart from them numbers and tensors."""

    def __init__(self, module: fx.GraphModule, labels: list[str]) -> None:
        self.module = module
        self.numbers: list[float] = []
        self.tensors: list[bytes] = []
        self.lines: list[str] = []
        self._places: dict[fx.Node, int] = {}
        self._labels = iter(labels)

    def fingerprint(self, results: list[str]) -> Fingerprint:
        """The digests of the text."""
        nodes = list(self.module.graph.nodes)
        inputs = {node: next(self._labels) for node in nodes if node.op == "placeholder"}
        needed = self._needed(nodes[-1])
        for node in nodes:
            if node in needed and self._source(node) is node:
                line = f"{inputs[node]} {_kind(node)}" if node in inputs else self._line(node)
                self._places[node] = len(self.lines)
                self.lines.append(line)
        operations = hashlib.sha256("\n".join([*self.lines, *results]).encode())
        whole = operations.copy()
        for number in self.numbers:
            whole.update(struct.pack("<d", number))
        for content in self.tensors:
            whole.update(content)
        few = len(self.numbers) <= MOST_NUMBERS
        return Fingerprint(whole.hexdigest(), operations.hexdigest(), tuple(self.numbers) if few else ())

    def _needed(self, output: fx.Node) -> set[fx.Node]:
        found, left = {output}, [output]
        while left:
            for one in left.pop().all_input_nodes:
                source = self._source(one)
                if source not in found:
                    found.add(source)
                    left.append(source)
        return found

    def _source(self, node: fx.Node) -> fx.Node:
        """The node whose numbers a node has."""
        while node.op == "call_function" and (node.target in COPIES or self._only_moved(node)):
            node = node.args[0]  # type: ignore[assignment]
        return node

    def _only_moved(self, node: fx.Node) -> bool:
        """Whether a tensor is brought to another device, and to no other dtype."""
        given = node.args[0] if node.args else None
        return (
            node.target is _aten._to_copy.default
            and isinstance(given, fx.Node)
            and node.kwargs.get("dtype") in (None, self._dtype(given))
        )

    def _dtype(self, node: fx.Node) -> torch.dtype | None:
        if node.op == "get_attr":
            return self._constant(node).dtype
        return getattr(node.meta.get("tensor_meta"), "dtype", None)

    def _constant(self, node: fx.Node) -> Tensor:
        found: Any = operator.attrgetter(str(node.target))(self.module)
        if not isinstance(found, Tensor):
            raise TypeError(f"A graph must hold tensors. Got a {type(found).__name__}.")
        return found

    def _line(self, node: fx.Node) -> str:
        if node.op == "get_attr":
            constant = self._constant(node).detach()
            shape = f"constant {constant.dtype}{list(constant.shape)}"
            if constant.numel() == 1 and not constant.is_complex():
                self.numbers.append(float(constant))
            else:
                self.tensors.append(content(constant))
            return shape
        schema = getattr(node.target, "_schema", None)
        types = {} if schema is None else {one.name: str(one.type) for one in schema.arguments}
        names = [*types, *[""] * len(node.args)]
        written = [
            f"{name}={self._value(value, types.get(name, ''))}"
            for name, value in [*zip(names, node.args, strict=False), *sorted(node.kwargs.items())]
            if name not in ("device", "pin_memory", "layout")
        ]
        return f"{_name(node.target)}({', '.join(written)}) {_kind(node)}"

    def _value(self, value: Any, kind: str) -> str:
        if isinstance(value, fx.Node):
            return f"%{self._places[self._source(value)]}"
        if isinstance(value, list | tuple):
            return f"[{', '.join(self._value(one, kind) for one in value)}]"
        integral = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53
        if isinstance(value, float) or (integral and ("number" in kind or "Tensor" in kind)):
            self.numbers.append(float(value))
            return "number"
        return repr(value)


def content(tensor: Tensor) -> bytes:
    """The digest of a tensor's dtype, shape and numbers, wherever it is."""
    whole = tensor.detach().cpu().contiguous()
    digest = hashlib.sha256(f"{whole.dtype} {list(whole.shape)} ".encode())
    digest.update(whole.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.digest()


def _kind(node: fx.Node) -> str:
    """Dtype and shape of a node's result, where it is one tensor."""
    meta = node.meta.get("tensor_meta")
    dtype = getattr(meta, "dtype", None)
    return "" if dtype is None or meta is None else f"{dtype}{list(meta.shape)}"


def _name(target: Any) -> str:
    plain = isinstance(target, str | torch._ops.OpOverload)
    return str(target) if plain else str(getattr(target, "__name__", target))
