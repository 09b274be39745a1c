"""Closure conversion: a function's graph, with the tensors that it closes over as further inputs.

A function that is differentiated usually closes over parameters. Inside `grad`, `vmap` or a program's
trace these are tensors of a transform; a graph that kept them as constants would cut their gradients. So they
are found by running the function once on examples, and become inputs of the graph.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx
from torch._functorch.pyfunctorch import temporarily_pop_interpreter_stack
from torch._guards import TracingContext, tracing
from torch._subclasses import FakeTensorMode
from torch.func import functionalize
from torch.fx.experimental.proxy_tensor import make_fx
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from funcsci import tree

_functorch: Any = torch._C._functorch


class Closed(NamedTuple):
    """A function as a graph.

    Attributes:
        module: takes the function's arguments, then the operands, and returns what the function does.
        operands: the tensors that the function closes over, as they are at the call.
    """

    module: fx.GraphModule
    operands: list[Tensor]


class _Around(NamedTuple):
    """What stands around the trace.

    Attributes:
        level: of the innermost transform of `torch.func`; a tensor of one from 1 up to it is not from inside.
        watched: whether a mode watches operations, such as another trace. It knows tensors that no
            transform has wrapped.
    """

    level: int
    watched: bool


class _Outside(TorchFunctionMode):
    """Puts examples in the place of tensors that are more than numbers to what stands around the trace."""

    def __init__(self, around: _Around, made: "_Made | None", examples: dict[int, Tensor] | None) -> None:
        super().__init__()
        self.around = around
        self.made = made
        self.found: dict[int, Tensor] = {}
        self.examples = {} if examples is None else examples
        self.complete = examples is not None

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _READ_ONLY:
            return func(*args, **(kwargs or {}))
        args, kwargs = tree.map(self._inside, (args, kwargs or {}))
        return func(*args, **kwargs)

    def _inside(self, item: Any) -> Any:
        if not isinstance(item, Tensor):
            return item
        known = self.examples.get(id(item))
        if known is not None:
            return known
        base = item
        while (level := _functorch.maybe_get_level(base)) > self.around.level or level == _ENDED:
            base = _functorch.get_unwrapped(base)  # it was wrapped by a transform inside
        if not self._matters(base):
            return item
        if base is not item:
            raise ValueError(  # of a TypeError, operators such as * would make one of their own
                "A transform inside a function to be differentiated must not take a closed-over tensor "
                f"for its argument. Got one of shape {tuple(item.shape)}. Pass it to the function as an "
                "argument, or use derivatives='nested'."
            )
        if self.complete:
            raise ValueError(
                "A function to be differentiated must close over the same tensors each time it is called. "
                f"Got a new one of shape {tuple(item.shape)}. Make it before, or from the arguments."
            )
        self.found[id(item)] = item
        self.examples[id(item)] = example_of(item)
        return self.examples[id(item)]

    def _matters(self, tensor: Tensor) -> bool:
        """Whether what stands around would miss the tensor if it became a constant."""
        if _functorch.maybe_get_level(tensor) >= 1 or tensor.requires_grad:
            return True
        return self.made is not None and not self.made.holds(tensor)


class _Made(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes the memory of all tensors that are made, below all transforms."""

    def __init__(self, examples: list[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.storages: dict[int, Any] = {}
        self._note(examples)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        before = {_memory(one)._cdata for one in tree.leaves((args, kwargs or {})) if isinstance(one, Tensor)}
        fresh = func in _LIFTS
        self._note(one for one in tree.leaves(result) if fresh or _memory_key(one) not in before)
        return result

    def _note(self, tensors: Any) -> None:
        for one in tensors:
            if isinstance(one, Tensor):  # the reference keeps its number from being given again
                self.storages[_memory(one)._cdata] = _memory(one)

    def holds(self, tensor: Tensor) -> bool:
        """Whether the tensor was made since, or is an example."""
        while _functorch.maybe_get_level(tensor) >= 1:
            tensor = _functorch.get_unwrapped(tensor)
        return _memory(tensor)._cdata in self.storages


def _memory(tensor: Tensor) -> Any:
    return tensor.untyped_storage()


def _memory_key(item: Any) -> int:
    return int(_memory(item)._cdata) if isinstance(item, Tensor) else 0


_READ_ONLY = {
    Tensor.shape.__get__,  # type: ignore[attr-defined]
    Tensor.dtype.__get__,  # type: ignore[attr-defined]
    Tensor.device.__get__,
    Tensor.requires_grad.__get__,  # type: ignore[attr-defined]
    Tensor.dim,
    Tensor.size,
}
"""What tells of a tensor without computing, and is asked often."""
_ENDED = -2
"""In place of the level of a tensor whose transform has returned, as those that `vjp` keeps."""
_LIFTS = {torch.ops.aten.lift_fresh.default, torch.ops.aten.lift_fresh_copy.default}
"""What a tensor made from numbers goes through."""


def example_of(tensor: Tensor) -> Tensor:
    """A plain tensor of the same shape, dtype and device, with numbers of no meaning."""
    return torch.full(tuple(tensor.shape), 0.5, device=tensor.device).to(tensor.dtype)


@contextmanager
def _aside() -> Iterator[_Around]:
    """Outside all transforms and modes, with levels that begin above those of the transforms around."""
    top = _functorch.peek_interpreter_stack()
    level = 0 if top is None else top.level()
    watched = torch._C._len_torch_dispatch_stack() > 0
    with ExitStack() as stack:
        stack.enter_context(_disable_current_modes())
        while _functorch.peek_interpreter_stack() is not None:
            stack.enter_context(temporarily_pop_interpreter_stack())
        for _ in range(level):  # maps over nothing, whose levels leave plain tensors plain
            _functorch._vmap_increment_nesting(1, "error")
            stack.callback(_functorch._vmap_decrement_nesting)
        yield _Around(level, watched)


def closed(function: Callable[..., Any], *arguments: Tensor) -> Closed:
    """The graph of a function of tensors, at the shapes of its arguments.

    Args:
        function: takes tensors; it may close over others, at any level of transforms.
        *arguments: give the shapes; they may be wrapped themselves.

    Raises:
        ValueError: if what the function closes over changes from call to call, or is hidden from view.
    """
    with _aside() as around:
        points = [example_of(one) for one in arguments]
        made = _Made(points) if around.watched else None
        with made or nullcontext(), _Outside(around, made, None) as first:
            function(*points)
        names, examples = list(first.found), [first.examples[name] for name in first.found]

        def of_all(*inputs: Tensor) -> Any:
            own, others = inputs[: len(points)], inputs[len(points) :]
            with _Outside(around, None, dict(zip(names, others, strict=True))):
                return function(*own)

        # Without a mode to share, torch makes one for the shapes of each operation.
        with tracing(TracingContext(FakeTensorMode(allow_fallback_kernels=True))):
            module = make_fx(functionalize(of_all, remove="mutations"))(*points, *examples)
    module.graph.eliminate_dead_code()
    module.recompile()
    return Closed(module, [first.found[name] for name in names])
