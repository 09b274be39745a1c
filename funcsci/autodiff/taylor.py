r"""Taylor mode: derivatives of any function, carried forward through its graph.

A function is traced once into a graph of aten operations, and each of them is applied to jets. So all
derivatives that are asked for come out of one pass, whose matrix products they share, where nested
reverse mode passes over the function again for every order.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from funcsci.autodiff import rules
from funcsci.autodiff.closures import closed
from funcsci.autodiff.directions import Answer, Operator, Plan, plan
from funcsci.autodiff.jet import Jet, plain

HIGHEST = 4
"""The highest order there are rules for."""


def partials(
    function: Callable[..., Tensor], operators: Sequence[Operator]
) -> Callable[..., tuple[Tensor, ...]]:
    """Derivatives of a function by its first argument, all in one pass; as in `autodiff.partials`."""

    def at_point(x: Tensor, *rest: Any) -> tuple[Tensor, ...]:
        planned = plan(operators, x.shape[0])
        graph = closed(lambda x: function(x, *rest), x)
        result = _run(graph.module, _start(planned, x), graph.operands)
        return tuple(_read(answer, result) for answer in planned.answers)

    return at_point


def _start(planned: Plan, x: Tensor) -> Jet:
    """The point itself: its first derivatives are the directions, and the others zero."""
    parts: list[Tensor | None] = []
    for bundle, lines in zip(planned.layout.bundles, planned.directions, strict=True):
        parts += [torch.tensor(lines, dtype=x.dtype, device="cpu").to(x.device), *[None] * (bundle.order - 1)]
    return Jet(planned.layout, x, (*parts, *[None] * len(planned.layout.sums)), affine=True)


def _run(module: torch.fx.GraphModule, start: Jet, operands: Sequence[Tensor]) -> Any:
    """The graph on a jet and constants."""
    values: dict[torch.fx.Node, Any] = {}
    inputs = iter((start, *operands))

    def of(item: Any) -> Any:
        return torch.fx.node.map_arg(item, values.__getitem__)

    for node in module.graph.nodes:
        if node.op == "placeholder":
            values[node] = next(inputs)
        elif node.op == "get_attr":
            values[node] = getattr(module, node.target)
        elif node.op == "output":
            return of(node.args[0])
        elif _changes_view(node.target):  # in place, by the rules of vmap, on a tensor that is new
            pure = getattr(torch.ops.aten, node.target.overloadpacket.__name__.rstrip("_"))
            args = _listed(of(node.args))
            result = rules.RULES[pure](pure, *args) if _holds_jet(args[0]) else pure(*args)
            values[node] = values[node.args[0]] = result
        elif not any(_holds_jet(values[one]) for one in node.all_input_nodes):
            values[node] = node.target(*of(node.args), **of(node.kwargs))
        elif isinstance(node.target, torch._ops.OpOverload):
            values[node] = rules.apply(node.target, _listed(of(node.args)), of(node.kwargs))
        else:  # getitem, of one of several results
            values[node] = node.target(*of(node.args))
    raise AssertionError("a graph has an output")


def _changes_view(target: Any) -> bool:
    return isinstance(target, torch._ops.OpOverload) and torch.Tag.inplace_view in target.tags


def _listed(args: Any) -> tuple[Any, ...]:
    """Lists as Python's own, which fx replaces by immutable ones."""
    return tuple(list(arg) if isinstance(arg, list) else arg for arg in args)


def _holds_jet(value: Any) -> bool:
    return isinstance(value, Jet) or (isinstance(value, list) and any(map(_holds_jet, value)))


def _read(answer: Answer, result: Any) -> Tensor:
    """An operator's value."""
    primal: Tensor = plain(result)
    terms = [(answer.value, primal)] if answer.value else []
    for place, row, factor in answer.terms:
        part = result.parts[place] if isinstance(result, Jet) else None
        if part is not None:
            terms.append((factor, part.squeeze(0) if len(part) == 1 else part.unbind(0)[row]))
    if not terms:
        return torch.zeros_like(primal)
    total, *others = [term if factor == 1 else factor * term for factor, term in terms]
    return sum(others, start=total)
