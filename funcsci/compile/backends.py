"""Backends: what turns a clean graph into a program.

| name | program | ready after | for |
|---|---|---|---|
| `"compile"` | `torch.compile` of the graph | 5 to 30 s | thousands of calls |
| `"trace"` | the graph, one operation after the other | 0.5 s | a few hundred calls |
| `"eager"` | the function itself | at once | debugging |
"""

import functools
import math
import os
import shutil
import sys
import warnings
from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import Tensor, fx

from funcsci import checks
from funcsci.compile.biases import biases_apart
from funcsci.compile.clean import clean, fold_tables, specialize
from funcsci.compile.pooling import without_scatter
from funcsci.compile.rows import rows_as_sums

aten = torch.ops.aten

Program: TypeAlias = Callable[..., list[Tensor]]
"""Takes and returns flat tensors."""

COMPILE_STEPS = 2_000
"""From this many calls on, the time `torch.compile` needs is worth spending."""
REALIZED_OPERATIONS = 8
"""Inductor writes a value out once it is this many operations long, and so repeats none of Threefry's."""
TINY_ELEMENTS = 100_000
"""A graph whose results are all smaller than this runs faster on one thread than on several."""


def _traced(module: fx.GraphModule, examples: list[Tensor]) -> Program:
    return specialize(module, examples).forward


def _compiled(module: fx.GraphModule, examples: list[Tensor]) -> Program:
    options: dict[str, Any] = {}
    if all(example.device.type == "cpu" for example in examples) and _largest(module) < TINY_ELEMENTS:
        module = rows_as_sums(module)
        options["cpp.threads"] = 1
        if torch.__version__ >= "2.6":  # in 2.1 the C++ wrapper gives wrong shapes
            options |= {"cpp_wrapper": True, "realize_opcount_threshold": REALIZED_OPERATIONS}
    if hasattr(torch.compiler, "skip_all_guards_unsafe"):  # safe here: jit has checked the call itself
        options["guard_filter_fn"] = torch.compiler.skip_all_guards_unsafe
    module = biases_apart(without_scatter(_without_factors(fold_tables(module, examples))))
    program = torch.compile(module, fullgraph=True, dynamic=False, options=options)
    # The first call decides what is compiled. Arguments that are one tensor would be taken for one in every
    # later call too, so it gets tensors that share nothing.
    program(*map(_apart, examples))
    return program


def _apart(tensor: Tensor) -> Tensor:
    """The same numbers with the same strides, in memory of their own."""
    if tensor.is_meta:
        return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")
    reach = zip(tensor.shape, tensor.stride(), strict=True)
    extent = 1 + sum((size - 1) * stride for size, stride in reach) if tensor.numel() else 0
    memory = tensor.as_strided((extent,), (1,)).clone()
    return memory.as_strided(tensor.shape, tensor.stride(), 0)


def _without_factors(module: fx.GraphModule) -> fx.GraphModule:
    """Split `a + c b` in two: inductor loses the factor where one of the terms is a matrix product."""
    graph = module.graph
    for node in list(graph.nodes):
        factor = node.kwargs.get("alpha", 1)
        if node.target not in (aten.add.Tensor, aten.sub.Tensor) or factor == 1:
            continue
        with graph.inserting_before(node):
            term = graph.call_function(aten.mul.Tensor, (node.args[1], factor))
        node.args, node.kwargs = (node.args[0], term), {}
    module.recompile()
    return module


def _largest(module: fx.GraphModule) -> int:
    """The number of elements of the graph's largest tensor, as the trace saw it."""
    shapes = [getattr(node.meta.get("tensor_meta"), "shape", ()) for node in module.graph.nodes]
    return max(map(math.prod, shapes), default=0)


BACKENDS: dict[str, Callable[[fx.GraphModule, list[Tensor]], Program] | None] = {
    "compile": _compiled,
    "trace": _traced,
    "eager": None,
}
"""Each backend by its name; None leaves the function as it is."""


def build(module: fx.GraphModule, examples: list[Tensor], backend: str) -> Program:
    """Clean a traced graph and hand it to a backend."""
    make = BACKENDS[backend]
    if make is None:
        raise ValueError("backend must make a program. Got backend='eager'. Call the function itself.")
    return make(clean(module, examples), examples)


def compiler() -> str | None:
    """The path of the C++ compiler that `torch.compile` would use on a CPU, or None."""
    usual = {"win32": "cl", "darwin": "clang++"}.get(sys.platform, "g++")
    return shutil.which(os.environ.get("CXX") or usual)


def choose(backend: str | None = None, *, steps: int | None = None) -> str:
    """The backend that a call will use: a fixed rule, never a measurement.

    1. `FUNCSCI_DISABLE_JIT=1` in the environment: `"eager"`, whatever was asked for. Programs that
       were made before stay in use.
    2. A name that was asked for.
    3. `FUNCSCI_BACKEND` in the environment.
    4. Fewer than 2,000 `steps`: `"trace"`.
    5. `"compile"`.

    Where the answer is `"compile"` and there is no C++ compiler, it is `"trace"`, with one warning.

    Args:
        backend: a name, or None for the rule.
        steps: how often the program will be called, where that is known.

    Returns:
        `"compile"`, `"trace"` or `"eager"`.

    Raises:
        ValueError: if the name is unknown.

    Example:
        >>> choose("trace")
        'trace'
    """
    if os.environ.get("FUNCSCI_DISABLE_JIT", "0") not in ("", "0"):
        return "eager"
    if backend is None and os.environ.get("FUNCSCI_BACKEND"):
        checks.one_of(BACKENDS, FUNCSCI_BACKEND=os.environ["FUNCSCI_BACKEND"])
        backend = os.environ["FUNCSCI_BACKEND"]
    if backend is None:
        backend = "trace" if steps is not None and steps < COMPILE_STEPS else "compile"
    checks.one_of(BACKENDS, backend=backend)
    if backend == "compile" and compiler() is None:
        _warn_no_compiler()
        return "trace"
    return backend


@functools.cache
def _warn_no_compiler() -> None:
    """The cache makes it one warning for each process."""
    warnings.warn(
        "No C++ compiler was found, so programs run as traced graphs, a few times slower than compiled. "
        "Install g++ (on macOS clang++, on Windows cl), or set CXX to a compiler's path.",
        RuntimeWarning,
        stacklevel=2,
    )
