"""`jit`: a pure function of pytrees as one program."""

import functools
import time
import types
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, NamedTuple, ParamSpec, TypeVar, overload

import torch
from torch import Tensor, fx

from funcsci import checks, tree
from funcsci.compile import backends
from funcsci.compile.kind import KNOWN, PLAIN, Kind, check_leaves, facts_of, statics_of, surroundings
from funcsci.compile.trace import trace

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

_forward_mode: Any = torch.autograd.forward_ad
_is_compiling: Callable[[], bool] = getattr(
    torch.compiler, "is_compiling", lambda: False
)  # from torch 2.3 on


class Compilation(NamedTuple):
    """One program that was made, and why."""

    function: str
    backend: str
    reason: str
    seconds: float


class _Program(NamedTuple):
    call: backends.Program
    result: Callable[[list[Tensor]], Any]


_listeners: list[list[Compilation]] = []


@contextmanager
def compilations() -> Iterator[list[Compilation]]:
    """Collect every compilation of any jitted function that happens inside the block.

    Example:
        >>> import torch
        >>> double = jit(lambda x: 2 * x, backend="trace")
        >>> with compilations() as made:
        ...     _ = double(torch.ones(2)), double(torch.ones(2)), double(torch.ones(3))
        >>> [one.reason for one in made]
        ['first call', 'x: shape (2,) became (3,)']
    """
    made: list[Compilation] = []
    _listeners.append(made)
    try:
        yield made
    finally:
        _listeners[:] = [one for one in _listeners if one is not made]  # an equal list is another block's


class Jitted(Generic[Arguments, Result]):
    """A function that runs as one program for each kind of arguments; made by `jit`."""

    def __init__(self, function: Callable[Arguments, Result], backend: str | None, steps: int | None) -> None:
        functools.update_wrapper(self, function)
        self.__name__ = _name(function)
        self.function = function
        self.compilations: tuple[Compilation, ...] = ()
        self._asked = backend
        self._steps = steps
        self._programs: dict[Hashable, _Program] = {}
        self._latest: tuple[Hashable, _Program | None] = (None, None)
        self._kinds: list[Kind] = []

    @property
    def backend(self) -> str:
        """The backend that a program made now would have."""
        return backends.choose(self._asked, steps=self._steps)

    def __repr__(self) -> str:
        return f"jit({self.__name__}, backend={self.backend!r}, programs={len(self._programs)})"

    @overload
    def __get__(self, instance: None, owner: type) -> "Jitted[Arguments, Result]": ...
    @overload
    def __get__(self, instance: object, owner: type | None = None) -> Callable[..., Result]: ...
    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """As a method: the object is the first argument, and all objects share the programs."""
        return self if instance is None else types.MethodType(self, instance)

    def __call__(self, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        """The function's result, from the program for arguments of this kind."""
        program, tensors = self._prepared(args, kwargs)
        if program is None:
            return self.function(*args, **kwargs)
        result: Result = program.result(program.call(*tensors))
        return result

    def program(self, *args: Arguments.args, **kwargs: Arguments.kwargs) -> backends.Program | None:
        """What a call with these arguments would run on the tensors among them; None: the function itself."""
        found, _ = self._prepared(args, kwargs)
        return None if found is None else found.call

    def _prepared(self, args: Any, kwargs: Any) -> tuple[_Program | None, list[Tensor]]:
        """The program for the arguments, which is made where there is none yet, and their tensors."""
        leaves, structure = tree.flatten_in_order((args, kwargs))
        kinds = tuple(map(type, leaves))
        known = KNOWN.issuperset(kinds)
        tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        if not known and any(type(leaf) not in PLAIN for leaf in tensors):
            return None, tensors
        facts = [facts_of(tensor) for tensor in tensors]
        if inside_transform() or (torch.is_grad_enabled() and any([fact[3] for fact in facts])):
            return None, tensors
        if not known:
            check_leaves(self.function, args, kwargs)
        strides = [tensor.stride() for tensor in tensors]
        statics = () if len(tensors) == len(leaves) else statics_of(leaves)
        key = (structure, kinds, tuple(facts), tuple(strides), statics, surroundings())
        latest, program = self._latest  # comparing with one key is quicker than hashing
        if key != latest:
            program = self._programs.get(key)
        if program is None:
            backend = self.backend
            check_leaves(self.function, args, kwargs)
            if backend == "eager":
                return None, tensors
            program = self._compile(backend, key, args, kwargs)
        self._latest = (key, program)
        return program, tensors

    def _compile(self, backend: str, key: Hashable, args: Any, kwargs: Any) -> _Program:
        kind = Kind.of(self.function, args, kwargs)
        reason = kind.reason(self._kinds)
        start = time.perf_counter()
        program = _program(self.function, backend, kind, args, kwargs)
        made = Compilation(self.__name__, backend, reason, time.perf_counter() - start)
        self._programs[key] = program
        self._kinds.append(kind)
        self.compilations = (*self.compilations, made)
        for listener in _listeners:
            listener.append(made)
        return program


def jit(
    function: Callable[Arguments, Result], *, backend: str | None = None, steps: int | None = None
) -> Jitted[Arguments, Result]:
    """Turn a pure function of pytrees into one compiled program, as `jax.jit` does.

    The first call with arguments of a kind traces the function on them, cleans the graph and
    hands it to the backend; later calls of that kind run the program. A kind is the structure of the
    trees with the order of their dicts, the values of static leaves (bool, int, str), each tensor's
    shape, strides, dtype and device, and torch's default dtype, default device and modes; all are
    compared on every call. As in JAX,

    - called inside a transform (`grad`, `vmap`, `jvp`, another `jit`), or on tensors that
      `requires_grad` while gradients are recorded, the function itself runs: the compiler stands
      outermost, and nothing differentiates a program;
    - as a method's decorator, it takes the object as the first argument, which must then be a pytree
      of tensors, such as a NamedTuple;
    - tensors that the function closes over become constants of the program. One that is changed
      in place later may or may not be seen: pass what changes as an argument;
    - what the function does besides computing tensors, such as printing, it does once.

    Args:
        function: takes and returns pytrees of tensors; it must not write into its arguments.
        backend: `"compile"`, `"trace"` or `"eager"`; None for the rule of `compile.choose`.
        steps: how often it will be called, where known; part of that rule.

    Returns:
        A callable of the same arguments. Its `compilations` tell what was compiled and why.

    Raises:
        TypeError: if `function` cannot be called; (when called) for a leaf that is a float or another
            object, or a function that branches on a tensor's value, or closes over a tensor that
            requires a gradient.
        ImpureFunctionError: (when called) for a function that writes into an argument or into a
            tensor it closes over.
        ValueError: if the backend is unknown.

    Example:
        >>> import torch
        >>> step = jit(lambda params, rate: {"w": params["w"] * (1 - rate)}, backend="trace")
        >>> step({"w": torch.ones(2)}, torch.tensor(0.5))
        {'w': tensor([0.5000, 0.5000])}
        >>> [(made.backend, made.reason) for made in step.compilations]
        [('trace', 'first call')]

    Differs from `torch.compile`, which watches Python bytecode: this traces operations, so nested
    transforms compile on every version of torch; a float is refused instead of compiled anew for
    each value.
    """
    if not callable(function):
        remedy = "Try jit(lambda x: 2 * x), or functools.partial(jit, backend=...) as a decorator."
        raise TypeError(checks.message("be a function", "function", function, remedy))
    if backend is not None:
        checks.one_of(backends.BACKENDS, backend=backend)
    return Jitted(function, backend, steps)


def _name(function: Any) -> str:
    """The function's name; a partial has that of its function, an object that of its class."""
    if isinstance(function, functools.partial):
        return _name(function.func)
    return str(getattr(function, "__name__", type(function).__name__))


def inside_transform() -> bool:
    """Whether this line runs inside a transform, a trace or a compiler, where tensors may hold no numbers.

    That is inside `grad`, `vmap`, `jvp` and the other transforms of `torch.func`, a forward-mode level, a
    mode that watches operations (`make_fx`, and so the trace of `jit`), or `torch.compile`. A jitted
    function is inlined there.

    Example:
        >>> import torch
        >>> seen = []
        >>> _ = torch.func.vmap(lambda x: seen.append(inside_transform()) or x)(torch.ones(2))
        >>> inside_transform(), seen
        (False, [True])
    """
    return bool(
        torch._C._functorch.peek_interpreter_stack() is not None
        or torch._C._len_torch_dispatch_stack() > 0
        or _forward_mode._current_level >= 0
        or _is_compiling()
    )


def _program(function: Callable[..., Any], backend: str, kind: Kind, args: Any, kwargs: Any) -> _Program:
    leaves, structure = tree.flatten_in_order((args, kwargs))
    places = [place for place, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]
    tensors = [leaves[place] for place in places]
    result_structure: list[Any] = []

    def flat(*inputs: Tensor) -> list[Tensor]:
        full = list(leaves)
        for place, tensor in zip(places, inputs, strict=True):
            full[place] = tensor
        new_args, new_kwargs = tree.unflatten(structure, full)
        outputs, output_structure = tree.flatten(function(*new_args, **new_kwargs))
        statics = [None if isinstance(output, Tensor) else output for output in outputs]
        result_structure[:] = [output_structure, statics]
        return [output for output in outputs if isinstance(output, Tensor)]

    examples = [tensor.detach() for tensor in tensors]
    module = trace(flat, examples, [kind.names[place] for place in places])
    _refuse_closed_gradients(module)
    call = backends.build(module, examples, backend)
    output_structure, statics = result_structure
    if all(static is None for static in statics):
        return _Program(call, functools.partial(tree.unflatten, output_structure))

    def with_statics(outputs: list[Tensor]) -> Any:
        tensors = iter(outputs)
        return tree.unflatten(output_structure, [next(tensors) if one is None else one for one in statics])

    return _Program(call, with_statics)


def _refuse_closed_gradients(module: fx.GraphModule) -> None:
    """A program would cut the gradient of a tensor that is not an argument, silently."""
    if not torch.is_grad_enabled():
        return
    for node in module.graph.nodes:
        constant = getattr(module, node.target) if node.op == "get_attr" else None
        if isinstance(constant, Tensor) and constant.requires_grad:
            raise TypeError(
                "A jitted function must take the tensors that require a gradient as arguments. "
                f"Got one of shape {tuple(constant.shape)} that it closes over. "
                "Pass it, or close over its detach()."
            )
