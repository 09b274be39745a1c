"""What cannot be traced is refused before anything is changed."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.func import grad, vmap

from funcsci.compile import ImpureFunctionError, jit
from funcsci.compile.trace import trace


def write_item(x: Tensor, y: Tensor) -> Tensor:
    y[0] = 1
    return x + y


def write_view(x: Tensor, y: Tensor) -> Tensor:
    y.t().add_(1)
    return x


def write_out(x: Tensor, y: Tensor) -> Tensor:
    return torch.add(x, 1, out=y)


def write_then_read(x: Tensor, y: Tensor) -> Tensor:
    return y.mul_(2) + x


@pytest.mark.parametrize("function", [write_item, write_view, write_out, write_then_read])
def test_a_write_into_an_argument_is_refused_and_not_done(function: Callable[..., Tensor]) -> None:
    x, y = torch.ones(2, 2), torch.zeros(2, 2)
    with pytest.raises(
        ImpureFunctionError, match=r"must not change its arguments .* Got a write into y\. Return"
    ):
        jit(function, backend="trace")(x, y)
    assert torch.equal(y, torch.zeros(2, 2))


def test_a_write_into_a_closed_over_tensor_is_refused_and_not_done() -> None:
    outside = torch.zeros(3)

    def count(x: Tensor) -> Tensor:
        outside.add_(1)
        return x + outside

    def accumulate(x: Tensor) -> Tensor:
        outside.add_(x)
        return x

    for function in (count, accumulate):
        with pytest.raises(ImpureFunctionError, match=r"Got a write into a tensor that it closes over"):
            jit(function, backend="trace")(torch.ones(3))
    assert torch.equal(outside, torch.zeros(3))


def test_running_statistics_of_a_module_are_a_write() -> None:
    norm = torch.nn.BatchNorm1d(2)
    with torch.no_grad(), pytest.raises(ImpureFunctionError):
        jit(norm, backend="trace")(torch.ones(3, 2))
    assert norm.num_batches_tracked == 0


def test_writes_into_fresh_tensors_are_allowed() -> None:
    def function(x: Tensor) -> Tensor:
        made = torch.zeros_like(x)
        made[0] = x[1]
        return made.add_(x).mul_(torch.tensor(2.0).add_(1))

    x = torch.arange(3.0)
    assert torch.equal(jit(function, backend="trace")(x), function(x))


BRANCHES: dict[str, Callable[[Tensor], object]] = {
    "if": lambda x: x if x.sum() > 0 else -x,
    "float": lambda x: x * float(x.sum()),
    "int": lambda x: x * int(x[0]),
    "item": lambda x: x * x[0].item(),
    "numpy": lambda x: x * float(x.numpy()[0]),
    "array": lambda x: x * float(np.asarray(x)[0]),
    "tolist": lambda x: x * x.tolist()[0],
    "in a gradient": grad(lambda x: x.sum() * float(x[0])),
    "if in a gradient": grad(lambda x: x.sum() * (2 if x[0] > 0 else 3)),
}


@pytest.mark.parametrize("name", BRANCHES)
def test_a_path_that_depends_on_values_is_refused(name: str) -> None:
    with pytest.raises(TypeError, match=r"must take the same path for every value .* Use torch\.where"):
        jit(BRANCHES[name], backend="trace")(torch.ones(3))


SHAPES: dict[str, Callable[[Tensor], object]] = {
    "mask": lambda x: x[x > 0],
    "count": lambda x: x / x[x > 0].shape[0],
    "nonzero": torch.nonzero,
    "masked_select": lambda x: x.masked_select(x > 0),
    "unique": torch.unique,
    "repeats": lambda x: torch.repeat_interleave(x.long()),
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_that_depends_on_values_is_refused(name: str) -> None:
    with pytest.raises(TypeError, match=r"shapes do not depend on values\. Got \w+, .* Keep the shape"):
        jit(SHAPES[name], backend="trace")(torch.ones(3))


def test_writing_by_a_mask_and_indexing_by_numbers_keep_the_shape() -> None:
    def function(x: Tensor) -> tuple[Tensor, Tensor]:
        made = x.clone()
        made[x > 0.5] = 0
        return made, x[x.argsort()]

    x = torch.tensor([1.0, 0.2, 0.7])
    for found, wanted in zip(jit(function, backend="trace")(x), function(x), strict=True):
        assert torch.equal(found, wanted)
    assert torch.equal(jit(function, backend="trace")(-x)[0], -x)


def test_indices_that_the_function_closes_over_keep_the_shape() -> None:
    index = torch.tensor([2, 0])
    assert jit(lambda x: x[index], backend="trace")(torch.arange(3.0)).tolist() == [2, 0]


def test_a_mask_that_the_function_closes_over_is_refused_too() -> None:
    mask = torch.tensor([True, False, True])
    with pytest.raises(TypeError, match="shapes do not depend on values"):
        jit(lambda x: x[mask], backend="trace")(torch.ones(3))


def test_python_numbers_may_be_read_from_what_is_no_argument() -> None:
    scale = torch.tensor([2.0, 3.0])
    found = jit(lambda x: x * float(scale.numpy()[1]) * scale.tolist()[0], backend="trace")(torch.ones(1))
    assert found == 6


def test_an_error_of_the_function_itself_is_left_as_it_is() -> None:
    with pytest.raises(RuntimeError, match="shape|size|must match"):
        jit(lambda x: x @ x, backend="trace")(torch.ones(2, 3))
    with pytest.raises(ZeroDivisionError):
        jit(lambda x: x * (1 // 0), backend="trace")(torch.ones(2))


def test_the_graph_is_flat_and_functional() -> None:
    module = trace(lambda x: [vmap(grad(lambda t: t.sin().square()))(x)], [torch.ones(3)], ["x"])
    targets = [node.target for node in module.graph.nodes if node.op == "call_function"]
    assert all(
        isinstance(target, torch._ops.OpOverload) and not target._schema.is_mutable for target in targets
    )
    assert torch.allclose(module(torch.ones(3))[0], torch.sin(torch.tensor(2.0)))


def test_numbers_under_vmap_are_tensors_of_the_graph():
    times = torch.linspace(0, 1, 5)
    module = trace(lambda t: [vmap(lambda s: 2 * (s - 0.5) / 3)(t)], [times], ["t"])
    cast = [node for node in module.graph.nodes if node.target is torch.ops.aten._to_copy.default]
    assert all(isinstance(node.args[0], torch.fx.Node) for node in cast)
    torch.testing.assert_close(module(times)[0], 2 * (times - 0.5) / 3)
