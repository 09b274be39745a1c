"""Cleaning changes no value, no layout and no sharing of memory; random operations stay apart."""

import itertools
from collections.abc import Callable

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given
from torch import Tensor
from torch.fx import GraphModule

from funcsci.compile.clean import FOLDED_ELEMENTS, clean, fold_tables, observe, specialize
from funcsci.compile.trace import trace

Function = Callable[..., list[Tensor]]


def traced(function: Function, *examples: Tensor) -> GraphModule:
    return trace(function, list(examples), [f"x{i}" for i in range(len(examples))])


def operations(module: GraphModule) -> list[str]:
    return [node.name for node in module.graph.nodes if node.op == "call_function"]


UNARY: dict[str, Callable[[Tensor], Tensor]] = {
    "transpose": lambda x: x.t(),
    "twice": lambda x: x.t().t(),
    "negative": lambda x: -x,
    "tanh": torch.tanh,
    "plus one": lambda x: x + 1,
    "times one": lambda x: x * torch.ones_like(x),
    "over one": lambda x: x / torch.ones(()),
    "one": lambda x: torch.ones_like(x),
    "zero": lambda x: torch.zeros(3, 3).expand(3, 3),
    "row": lambda x: x[1].expand(3, 3),
    "column": lambda x: x[:, :1].expand(3, 3),
    "reshape": lambda x: x.reshape(9).reshape(3, 3),
    "squeeze": lambda x: x.unsqueeze(0).transpose(0, 1).squeeze(1),
    "bits": lambda x: x.view(torch.int64).view(torch.float64),
    "copy": lambda x: x.clone(),
    "same type": lambda x: x.to(torch.float64, copy=True),
    "detach": lambda x: x.detach(),
    "sums": lambda x: x.sum(0, keepdim=True).expand(3, 3),
    "part": lambda x: x.split([1, 2])[1].repeat(2, 1)[:3],
    "unbound": lambda x: torch.stack(x.unbind(1)),
    "strided": lambda x: x.contiguous().as_strided((3, 3), (1, 3)),
    "written": lambda x: torch.zeros_like(x).add_(x),
    "constant": lambda x: torch.arange(9.0).reshape(3, 3).t() * 2,
}
BINARY: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "add": torch.add,
    "times": torch.mul,
    "matrix product": torch.matmul,
    "minus": lambda x, y: x - y.t(),
}
steps = st.one_of(
    st.tuples(st.sampled_from(sorted(UNARY)), st.integers(0, 30)),
    st.tuples(st.sampled_from(sorted(BINARY)), st.integers(0, 30), st.integers(0, 30)),
)
recipes = st.tuples(
    st.lists(steps, min_size=1, max_size=12), st.lists(st.integers(0, 30), min_size=1, max_size=4)
)


def interpret(recipe: tuple[list[tuple[object, ...]], list[int]]) -> Function:
    """A function of two matrices: each step makes a value from earlier ones, some of which are returned."""
    made, returned = recipe

    def function(x: Tensor, y: Tensor) -> list[Tensor]:
        values = [x, y]
        for name, *places in made:
            operation = (UNARY if len(places) == 1 else BINARY)[name]  # type: ignore[index]
            values.append(operation(*[values[place % len(values)] for place in places]))  # type: ignore[operator]
        return [values[-1 - place % len(values)] for place in returned]

    return function


def sharing(inputs: list[Tensor], outputs: list[Tensor]) -> list[bool]:
    places = [x.untyped_storage().data_ptr() for x in (*inputs, *outputs)]
    return [a == b for a, b in itertools.combinations(places, 2)]


@given(recipes)
def test_random_graphs_keep_values_layouts_and_memory(
    recipe: tuple[list[tuple[object, ...]], list[int]],
) -> None:
    function = interpret(recipe)
    inputs = [torch.linspace(0.1, 1, 9).reshape(3, 3), torch.linspace(-1, 0.5, 9).reshape(3, 3).t()]
    wanted = function(*inputs)
    module = clean(traced(function, *inputs), inputs)
    cleaned = module(*inputs)
    special = specialize(module, inputs)
    for outputs in (cleaned, special(*inputs), special(*inputs)):
        assert [x.stride() for x in outputs] == [x.stride() for x in wanted]
        assert all(torch.equal(a, b) for a, b in zip(outputs, wanted, strict=True))
        assert sharing(inputs, outputs) == sharing(inputs, wanted)
    again = special(*inputs)
    for a in special(*inputs):  # memory of one call is not that of another, unless it is an argument's
        owners = [x.untyped_storage().data_ptr() for x in inputs]
        place = a.untyped_storage().data_ptr()
        assert place in owners or all(place != b.untyped_storage().data_ptr() for b in again)


@given(recipes)
def test_cleaning_twice_is_cleaning_once(recipe: tuple[list[tuple[object, ...]], list[int]]) -> None:
    inputs = [torch.ones(3, 3), torch.ones(3, 3).t()]
    once = clean(traced(interpret(recipe), *inputs), inputs)
    count = len(operations(once))
    assert len(operations(clean(once, inputs))) == count


def test_equal_operations_become_one_and_views_that_undo_each_other_none() -> None:
    x = torch.ones(2, 3)
    module = clean(traced(lambda x: [x.sin() * x.sin() + x.t().t().unsqueeze(0).squeeze(0)], x), [x])
    assert operations(module) == ["sin", "mul", "add"]


def test_constants_are_computed_once() -> None:
    x = torch.ones(3)
    module = specialize(clean(traced(lambda x: [x * (torch.arange(3.0).sin() + 2).cos()], x), [x]), [x])
    assert operations(module) == ["mul"]


def test_large_constants_are_not_kept() -> None:
    size = FOLDED_ELEMENTS + 1
    x = torch.ones(())
    module = specialize(clean(traced(lambda x: [(torch.arange(size) * x).sum()], x), [x]), [x])
    assert "arange" in operations(module)


@pytest.mark.parametrize(
    "other",
    [
        lambda: torch.ones(3).view(torch.int64),
        lambda: torch.ones(3, dtype=torch.float32).view(torch.int32),
        lambda: torch.view_as_real(torch.ones(3, dtype=torch.complex128))[:, 1],
        lambda: torch.full((3,), 1.5),
        lambda: torch.full((3,), -1),
        lambda: torch.zeros(3),
        lambda: torch.ones(2, 3),
        lambda: torch.ones(3, dtype=torch.complex128),
    ],
)
def test_only_ones_are_neutral(other: Callable[[], Tensor]) -> None:
    x = torch.tensor([1.0, torch.inf, -0.0])
    module = specialize(clean(traced(lambda x: [x * other() + 0, other() * x + 0], x), [x]), [x])
    for found in module(x):
        assert torch.equal(found.nan_to_num(7.0), (x * other() + 0).nan_to_num(7.0))
        assert found.dtype == (x * other()).dtype


def test_complex_times_one_keeps_its_nan() -> None:
    x = torch.tensor([complex(torch.inf, 0)])
    found = clean(traced(lambda x: [x * torch.ones_like(x) + 0], x), [x])(x)[0]
    assert found.imag.isnan() == (x * torch.ones_like(x)).imag.isnan()


def test_zeros_of_either_sign_stay_apart() -> None:
    x = torch.ones(1)
    found = clean(
        traced(lambda x: [torch.full_like(x, 0.0) * x + x * 0, torch.full_like(x, -0.0) * x], x), [x]
    )(x)
    assert not found[0].signbit() and found[1].signbit()


def test_a_place_in_the_storage_is_not_a_place_in_the_view() -> None:
    memory = torch.arange(20.0)

    def function(x: Tensor) -> list[Tensor]:
        return [x.as_strided((2,), (1,), 3) + x[3:5], x.as_strided((4,), (1,), 0).reshape(2, 2).t() * 1]

    module = specialize(clean(traced(function, memory[:10]), [memory[:10]]), [memory[:10]])
    for a, b in zip(module(memory[5:15]), function(memory[5:15]), strict=True):
        assert torch.equal(a, b)


RANDOM: dict[str, Callable[[Tensor], Tensor]] = {
    "rand": lambda x: torch.rand(4),
    "rand_like": torch.rand_like,
    "randn": lambda x: torch.randn(4),
    "normal": lambda x: torch.normal(x, 1.0),
    "randperm": lambda x: torch.randperm(40)[:4],
    "dropout": lambda x: torch.nn.functional.dropout(x + torch.arange(4), 0.5) + torch.rand(4),
    "in place": lambda x: torch.zeros_like(x).uniform_(),
}


@pytest.mark.parametrize("name", RANDOM)
def test_random_operations_are_neither_merged_nor_kept(name: str) -> None:
    x = torch.ones(4)
    module = specialize(clean(traced(lambda x: [RANDOM[name](x), RANDOM[name](x)], x), [x]), [x])
    first, second = module(x)
    third, _ = module(x)
    assert not torch.equal(first, second)
    assert not torch.equal(first, third)


def test_the_observer_sees_what_the_graph_computes() -> None:
    x = torch.ones(2, 3)
    module = traced(lambda x: [x.t() + torch.zeros(3, 2)], x)
    seen = observe(module, [x])
    by_name = {node.name: facts for node, facts in seen.facts.items()}
    assert (by_name["t"].sizes, by_name["t"].strides, by_name["t"].offset) == ((3, 2), (1, 3), 0)
    assert [node.name for node in seen.fills] == ["zeros"]


def test_dear_tables_are_computed_once_and_cheap_ones_are_left_to_the_compiler():
    """Sines of positions become a constant, a mask of positions does not; what leaves is made anew."""

    def function(x):
        place = torch.arange(3.0)
        wave = torch.sin(2.0 * place) + place
        return [x * wave, torch.where(place > 1, x, 0.0), torch.cos(place)]

    x = torch.tensor([1.0, 2.0, 3.0])
    module = fold_tables(clean(traced(function, x), [x]), [x])
    targets = [node.target for node in module.graph.nodes]
    aten = torch.ops.aten
    assert aten.sin.default not in targets
    assert {aten.gt.Scalar, aten.cos.default} <= set(targets)
    for _ in range(2):
        for found, expected in zip(module(x), function(x), strict=True):
            assert torch.equal(found, expected)
        module(x)[2].zero_()
