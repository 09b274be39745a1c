"""Cleaning a traced graph: the same values from fewer operations.

Nested derivatives leave many operations that compute nothing: transposes of transposes, views of
views, products with ones, the same value twice. `clean` removes what is exact to remove, for any
backend. `specialize` goes further for a graph that is run operation by operation, where each call
costs a microsecond whatever it computes.
"""

from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx

from funcsci.compile.trace import is_random, is_write, viewed

aten = torch.ops.aten

FOLDED_ELEMENTS = 65_536
"""Constants up to this size are computed once and kept with the program."""

DEAR = frozenset(
    {aten.sin.default, aten.cos.default, aten.exp.default, aten.log.default, aten.tanh.default}
    | {getattr(aten.pow, name) for name in ("Scalar", "Tensor_Scalar", "Tensor_Tensor")}
)
"""Operations that cost tens of additions."""

FILLS: dict[Any, Callable[[fx.Node], Any]] = {
    aten.ones_like.default: lambda node: 1,
    aten.new_ones.default: lambda node: 1,
    aten.ones.default: lambda node: 1,
    aten.zeros_like.default: lambda node: 0,
    aten.new_zeros.default: lambda node: 0,
    aten.zeros.default: lambda node: 0,
    aten.full_like.default: lambda node: node.args[1],
    aten.new_full.default: lambda node: node.args[2],
    aten.full.default: lambda node: node.args[1],
}
"""Operations whose result is one number everywhere and depends on no tensor's values."""

FAST: dict[Any, Callable[..., Any]] = {
    getattr(getattr(aten, name), overload): getattr(torch, name)
    for name, overload in (
        ("add", "Tensor"), ("sub", "Tensor"), ("mul", "Tensor"), ("div", "Tensor"),
        ("mm", "default"), ("bmm", "default"), ("addmm", "default"), ("tanh", "default"),
        ("sqrt", "default"), ("sin", "default"), ("cos", "default"), ("exp", "default"),
        ("neg", "default"), ("t", "default"), ("transpose", "int"), ("unsqueeze", "default"),
        ("sum", "dim_IntList"), ("pow", "Tensor_Scalar"), ("as_strided", "default"),
        ("bitwise_and", "Scalar"), ("bitwise_xor", "Tensor"), ("bitwise_or", "Tensor"),
    )
}  # fmt: skip
"""Operations with a Python binding of the same signature, twice as quick to call."""


class Facts(NamedTuple):
    """What one run of the graph on its examples shows about a node's result."""

    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int
    dtype: torch.dtype
    device: torch.device
    lazy: tuple[bool, bool]
    """Whether a conjugation and a negation are still to be done."""

    @classmethod
    def of(cls, tensor: Tensor) -> "Facts":
        """The facts of one tensor."""
        lazy = (tensor.is_conj(), tensor.is_neg())
        offset = int(tensor.storage_offset())
        return cls(tuple(tensor.shape), tensor.stride(), offset, tensor.dtype, tensor.device, lazy)

    def reads_alike(self, other: "Facts") -> bool:
        """Whether both read the bits of their memory as the same numbers."""
        return (self.dtype, self.lazy) == (other.dtype, other.lazy)


class _Observer(fx.Interpreter):
    """Runs the graph once and notes each result's layout, and the values of constants."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.facts: dict[fx.Node, Facts] = {}
        self.constants: dict[fx.Node, Tensor] = {}
        self.fills: dict[fx.Node, Any] = {}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if not isinstance(result, Tensor):
            return result
        self.facts[n] = Facts.of(result)
        source = viewed(n)
        if n.target in FILLS:
            self.fills[n] = FILLS[n.target](n)
        elif source in self.fills and self.facts[n].reads_alike(self.facts[source]):
            self.fills[n] = self.fills[source]
        pure = n.op == "call_function" and not is_random(n) and not is_write(n)
        constant = pure and all(node in self.constants for node in n.all_input_nodes)
        if constant or n in self.fills or n.op == "get_attr":
            self.constants[n] = result
        return result


def observe(module: fx.GraphModule, examples: list[Tensor]) -> _Observer:
    """Run the graph once on its examples and return what was seen."""
    observer = _Observer(module)
    with torch.no_grad():
        observer.run(*examples)
    return observer


def clean(module: fx.GraphModule, examples: list[Tensor]) -> fx.GraphModule:
    """Remove, exactly: dead code, repeated operations, views that undo each other, products with ones.

    Args:
        module: a functional graph from `trace`; it is changed.
        examples: the tensors it was traced on.

    Returns:
        The same module. Its outputs have the values, shapes and strides they had, and share memory
        with arguments, constants and each other only where they did before.
    """
    graph = module.graph
    seen = observe(module, examples)
    leaving = _leaving(graph)
    same: dict[Hashable, fx.Node] = {}
    for node in list(graph.nodes):
        if node.op != "call_function" or node not in seen.facts or is_random(node) or is_write(node):
            continue
        if node.target is aten.lift_fresh_copy.default and node in leaving:
            node.target = aten.clone.default  # a compiler refuses to lift what is a constant (torch 2.1)
        twin = None if node in leaving else _neutral(node, seen)
        if twin is None:
            root = _root(node)
            if root is not node:
                if _counts_from_storage(node, root):
                    continue
                same.setdefault((root, seen.facts[root]), root)
                key: Hashable = (root, seen.facts[node])
            else:
                key = (node.target, _freeze(node.args), _freeze(node.kwargs))
            twin = same.setdefault(key, node)
        if twin is not node and node not in leaving:
            node.replace_all_uses_with(twin)
            graph.erase_node(node)
    graph.eliminate_dead_code()
    module.recompile()
    return module


def specialize(module: fx.GraphModule, examples: list[Tensor]) -> fx.GraphModule:
    """Prepare a clean graph for being run one operation at a time, as Python.

    Constants are computed once, a chain of views becomes one, and operations are called by their
    quickest binding.

    Args:
        module: a graph from `clean`; it is changed.
        examples: the tensors it was traced on.

    Returns:
        The same module.
    """
    graph = module.graph
    seen = observe(module, examples)
    leaving = _leaving(graph)
    for node in list(graph.nodes):
        if node.op == "call_function" and node in seen.constants and _root(node) not in leaving:
            _fold(module, node, seen.constants[node])
    graph.eliminate_dead_code()
    for node in list(graph.nodes):
        _shorten(graph, node, seen)
    graph.eliminate_dead_code()
    for node in graph.nodes:
        if node.op == "call_function":
            node.target = FAST.get(node.target, node.target)
    module.recompile()
    module.__dict__.update(module._buffers)  # found at once, past nn.Module's slow lookup
    return module


def fold_tables(module: fx.GraphModule, examples: list[Tensor]) -> fx.GraphModule:
    """Compute once what depends on no argument and is dear, such as the sines and cosines of positions.

    A compiler fuses them into each loop that reads them, and so computes them again for every element.

    Args:
        module: a graph from `clean`; it is changed.
        examples: the tensors it was traced on.

    Returns:
        The same module.
    """
    graph = module.graph
    seen = observe(module, examples)
    leaving = _leaving(graph)
    dear: set[fx.Node] = set()
    for node in list(graph.nodes):
        if node.op != "call_function" or node not in seen.constants:
            continue
        if node.target in DEAR or any(source in dear for source in node.all_input_nodes):
            dear.add(node)
    for node in dear:
        if any(user not in dear for user in node.users) and _root(node) not in leaving:
            _fold(module, node, seen.constants[node])
    graph.eliminate_dead_code()
    module.recompile()
    return module


def _root(node: fx.Node) -> fx.Node:
    """The node whose memory a chain of views looks at."""
    while (source := viewed(node)) is not None:
        node = source
    return node


def _leaving(graph: fx.Graph) -> set[fx.Node]:
    """The operations whose memory leaves the program: each call must make it anew, and for one only."""
    output = next(node for node in reversed(graph.nodes) if node.op == "output")
    roots = {_root(node) for node in output.all_input_nodes}
    return {root for root in roots if root.op == "call_function"}


def _counts_from_storage(node: fx.Node, root: fx.Node) -> bool:
    """Whether a view names its place in the storage of a tensor that may begin elsewhere in the next call."""
    views = [node]
    while views[-1] is not root:
        views.append(viewed(views[-1]))  # type: ignore[arg-type]
    explicit = any(view.target is aten.as_strided.default and len(view.args) > 3 for view in views)
    return explicit and root.op == "placeholder"


def _freeze(value: Any) -> Hashable:
    """An argument of a node as something hashable; 1, 1.0 and True stay apart, and so do 0.0 and -0.0."""
    if isinstance(value, list | tuple):
        return tuple(_freeze(item) for item in value)
    if isinstance(value, dict):
        return tuple((name, _freeze(item)) for name, item in sorted(value.items()))
    if isinstance(value, float | complex):
        return (type(value), repr(value))
    return (type(value), value)


def _neutral(node: fx.Node, seen: _Observer) -> fx.Node | None:
    """The argument that the operation returns unchanged, or None."""
    source: Any = None
    real = not seen.facts[node].dtype.is_complex  # (inf + 0i) * (1 + 0i) has a nan
    if node.target in (
        aten.detach.default,
        aten.alias.default,
        aten._to_copy.default,
        aten.lift_fresh.default,
        aten.lift_fresh_copy.default,
    ) or (node.target in (aten.mul.Tensor, aten.div.Tensor) and real and _is_ones(node.args[1], seen)):
        source = node.args[0]
    elif node.target is aten.mul.Tensor and real and _is_ones(node.args[0], seen):
        source = node.args[1]
    if isinstance(source, fx.Node) and seen.facts.get(source) == seen.facts[node]:
        return source
    return None


def _is_ones(argument: Any, seen: _Observer) -> bool:
    return isinstance(argument, fx.Node) and argument in seen.fills and bool(seen.fills[argument] == 1)


def _fold(module: fx.GraphModule, node: fx.Node, value: Tensor) -> None:
    """Keep a value with the program, in memory of its own with the strides it had."""
    extent = 1 + sum((size - 1) * stride for size, stride in zip(value.shape, value.stride(), strict=True))
    if extent > FOLDED_ELEMENTS:
        return
    name = f"constant_{node.name}"
    memory = value.detach().as_strided((extent if value.numel() else 0,), (1,)).clone()
    module.register_buffer(name, memory.as_strided(value.shape, value.stride()), persistent=False)
    with module.graph.inserting_before(node):
        node.replace_all_uses_with(module.graph.get_attr(name))


def _shorten(graph: fx.Graph, node: fx.Node, seen: _Observer) -> None:
    """Replace a view of a view by one view of the base, where both begin at the same element."""
    base = _root(node)
    if base is node or base is viewed(node) or node not in seen.facts or base not in seen.facts:
        return
    facts, start = seen.facts[node], seen.facts[base]
    if facts.offset != start.offset or not facts.reads_alike(start) or _counts_from_storage(node, base):
        return
    with graph.inserting_before(node):
        short = graph.call_function(aten.as_strided.default, (base, list(facts.sizes), list(facts.strides)))
    seen.facts[short] = facts
    node.replace_all_uses_with(short)
