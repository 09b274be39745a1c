"""Tracing: a pure function of tensors becomes a flat graph of aten operations.

`make_fx` runs the function once on example tensors and records what reaches the dispatcher, so it
sees through nested transforms and any Python. The graph is functional: in-place operations of the
function on its own tensors, or of autograd's formulas, are rewritten to pure ones.
"""

import contextlib
import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, fx
from torch._C._functorch import TransformType
from torch._functorch.autograd_function import custom_function_call
from torch._guards import TracingContext, tracing
from torch._subclasses import FakeTensorMode
from torch.func import functionalize
from torch.fx.experimental.proxy_tensor import make_fx
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from funcsci import tree


class ImpureFunctionError(TypeError):
    """The function to compile writes into an argument, or into a tensor it closes over."""


def trace(
    function: Callable[..., Sequence[Tensor]], examples: Sequence[Tensor], names: Sequence[str]
) -> fx.GraphModule:
    """The graph of a function of flat tensors.

    Args:
        function: takes tensors, returns a list of tensors.
        examples: one tensor for each argument; the graph holds for their shapes, strides, dtypes
            and devices alone.
        names: what to call each argument in an error.

    Returns:
        A graph module that takes and returns what the function does.

    Raises:
        ImpureFunctionError: if the function writes into an argument or into a tensor it closes
            over; the tensor is left as it was.
        TypeError: if the function's path, or the shape of a tensor, depends on values in a tensor.
    """
    try:
        # Without a mode to share, torch makes one for the shapes of each operation.
        shapes = tracing(TracingContext(FakeTensorMode(allow_fallback_kernels=True)))
        with _RefuseWrites(examples, names), _RefuseReads(), _custom_functions(), shapes:
            module = make_fx(functionalize(function, remove="mutations"))(*examples)
    except RuntimeError as error:
        if "data-dependent" in str(error) or "tracing tensor" in str(error):
            raise _reads_values("a Python branch, int() or float() on a tensor's value") from error
        if "mutating a non-functional tensor" in str(error):
            raise _impure("a tensor that it closes over") from error
        raise
    _refuse_dynamic_shapes(module.graph)
    _fill_in_numbers(module)
    _make_new_views(module)
    return module


@contextlib.contextmanager
def _custom_functions() -> Iterator[None]:
    """Let `functionalize` pass an `autograd.Function`, for which torch has no rule.

    `grad`, `vmap` and `jvp` stand inside and have used its rules; below them it is its forward alone.
    """
    table = custom_function_call.functorch_table
    refusal = table[TransformType.Functionalize]
    table[TransformType.Functionalize] = lambda interpreter, function, *inputs: function.forward(*inputs)
    try:
        yield
    finally:
        table[TransformType.Functionalize] = refusal


def _fill_in_numbers(module: fx.GraphModule) -> None:
    """Under vmap torch 2.1 records a number as a tensor to be cast, which inductor cannot read: fill one."""
    for node in list(module.graph.nodes):
        if node.target is torch.ops.aten._to_copy.default and not isinstance(node.args[0], fx.Node):
            where = {"dtype": node.kwargs["dtype"], "device": node.kwargs.get("device", "cpu")}
            with module.graph.inserting_before(node):
                filled = module.graph.call_function(torch.ops.aten.full.default, ([], node.args[0]), where)
            node.replace_all_uses_with(filled)
            module.graph.erase_node(node)
    module.recompile()


def is_changed_view(target: Any) -> bool:
    """Whether an operation gives a tensor another shape in place, as `squeeze_`; its numbers stay."""
    return isinstance(target, torch._ops.OpOverload) and torch.Tag.inplace_view in target.tags


def _make_new_views(module: fx.GraphModule) -> None:
    """The rule of vmap for a product of vectors calls `squeeze_` on its result: make it a view of its own."""
    for node in list(module.graph.nodes):
        if not is_changed_view(node.target):
            continue
        name, overload = node.target._schema.name.removeprefix("aten::"), node.target._overloadname
        pure = getattr(getattr(torch.ops.aten, name.rstrip("_")), overload)
        changed, earlier = node.args[0], set()
        for one in module.graph.nodes:
            earlier.add(one)
            if one is node:
                break
        with module.graph.inserting_before(node):
            view = module.graph.call_function(pure, node.args, node.kwargs)
        view.meta = dict(node.meta)
        node.replace_all_uses_with(view)
        changed.replace_all_uses_with(view, delete_user_cb=lambda user, seen=earlier: user not in seen)
        view.args = (changed, *view.args[1:])
        module.graph.erase_node(node)
    module.recompile()


def _impure(what: str) -> ImpureFunctionError:
    return ImpureFunctionError(
        "A jitted function must not change its arguments or what it closes over. "
        f"Got a write into {what}. Return the new value instead of writing in place."
    )


def _reads_values(what: str) -> TypeError:
    return TypeError(
        "A jitted function must take the same path for every value of its tensors. "
        f"Got {what}. Use torch.where, or pass the number as a static int or bool."
    )


class _RefuseWrites(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Below the trace only writes into tensors that come from outside are left; stops before the first."""

    def __init__(self, examples: Sequence[Tensor], names: Sequence[str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names = {_memory(example): name for example, name in zip(examples, names, strict=True)}
        self.fresh: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        inner = is_changed_view(func) and _memory(args[0]) in self.fresh
        if func._schema.is_mutable and not inner:
            raise _impure(self.names.get(_memory(args[0]), "a tensor that it closes over"))
        result = func(*args, **(kwargs or {}))
        there = set(map(_memory, tree.leaves((args, kwargs or {}))))
        self.fresh.update(set(map(_memory, tree.leaves(result))) - there)
        return result


def _memory(tensor: Any) -> int:
    return int(tensor.untyped_storage()._cdata) if isinstance(tensor, Tensor) else 0


class _RefuseReads(TorchFunctionMode):
    """Reading a traced tensor's memory from Python gives rubbish; stops before it."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        if name in ("numpy", "tolist", "__array__") and torch._C._functorch.is_functorch_wrapped_tensor(
            args[0]
        ):
            raise _reads_values(f"Tensor.{name}() on a tensor that depends on its arguments")
        return func(*args, **(kwargs or {}))


def _refuse_dynamic_shapes(graph: fx.Graph) -> None:
    """The graph would keep the sizes that the examples' values gave."""
    for node in graph.nodes:
        target: Any = node.target
        if not isinstance(target, torch._ops.OpOverload) or torch.Tag.dynamic_output_shape not in target.tags:
            continue
        if target is torch.ops.aten.index.Tensor and not any(map(_is_mask, node.args[1])):
            continue
        raise TypeError(
            "A jitted function must give tensors whose shapes do not depend on values. "
            f"Got {target._schema.name.removeprefix('aten::')}, as in x[x > 0]. "
            "Keep the shape and choose by torch.where, or multiply by a mask."
        )


def _is_mask(index: Any) -> bool:
    if not isinstance(index, fx.Node):
        return False
    if index.op == "get_attr":  # a tensor that the function closes over
        constant: Any = getattr(index.graph.owning_module, str(index.target))
        return constant.dtype in (torch.bool, torch.uint8)
    return index.meta["tensor_meta"].dtype in (torch.bool, torch.uint8)


def is_write(node: fx.Node) -> bool:
    """Whether an operation writes into one of its arguments."""
    return isinstance(node.target, torch._ops.OpOverload) and node.target._schema.is_mutable


def is_random(node: fx.Node) -> bool:
    """Whether an operation reads torch's global generator, so that two calls differ."""
    target: Any = node.target
    if not isinstance(target, torch._ops.OpOverload):
        return False
    return torch.Tag.nondeterministic_seeded in target.tags


def viewed(node: fx.Node) -> fx.Node | None:
    """The node whose memory an operation's result is another look at, or None."""
    target: Any = node.target
    if node.op != "call_function" or not node.args or not isinstance(node.args[0], fx.Node):
        return None
    if target is operator.getitem:  # one of several views, as from split
        return node.args[0].args[0] if _makes_views(node.args[0].target) else None  # type: ignore[return-value]
    return node.args[0] if _makes_views(target) else None


def _makes_views(target: Any) -> bool:
    if not isinstance(target, torch._ops.OpOverload) or len(target._schema.returns) != 1:
        return False
    alias = target._schema.returns[0].alias_info
    return target is torch.ops.aten._unsafe_view.default or (alias is not None and not alias.is_write)
