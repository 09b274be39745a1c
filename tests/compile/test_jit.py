"""Which program runs: the kind of a call, what is compiled anew and why, and what is inlined."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.func import grad, jacrev, jvp, vmap
from torch.fx.experimental.proxy_tensor import make_fx

from funcsci.compile import compilations, inside_transform, jit

trace = functools.partial(jit, backend="trace")


def reasons(jitted: Any) -> list[str]:
    return [made.reason for made in jitted.compilations]


def test_other_values_run_the_same_program() -> None:
    runs = []
    jitted = trace(lambda x, y: runs.append(1) or (x * y).sum())
    for scale in (1.0, 2.0, 3.0):
        x = torch.arange(3.0) * scale
        assert jitted(x, torch.ones(3)) == 3 * scale
    assert runs == [1]
    assert reasons(jitted) == ["first call"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda x: x[:1], "x: shape (2, 3) became (1, 3)"),
        (lambda x: x.t().contiguous().t(), "x: strides (3, 1) became (1, 2)"),
        (lambda x: x.float(), "x: dtype torch.float64 became torch.float32"),
        (lambda x: x.to("meta"), "x: device cpu became meta"),
        (lambda x: torch.nn.Parameter(x, requires_grad=False), "x: type Tensor became Parameter"),
    ],
)
def test_another_kind_of_tensor_is_another_program(change: Callable[[Tensor], Tensor], reason: str) -> None:
    jitted = trace(lambda x: x + 1)
    x = torch.ones(2, 3)
    jitted(x)
    found = jitted(change(x))
    assert reasons(jitted) == ["first call", reason]
    assert (found.shape, found.dtype, found.device) == (change(x).shape, change(x).dtype, change(x).device)
    jitted(x), jitted(change(x))
    assert len(jitted.compilations) == 2


def test_an_offset_into_the_storage_is_the_same_program() -> None:
    memory = torch.arange(12.0)
    jitted = trace(lambda x: x.reshape(2, 2).t() * 2)
    for start in (0, 3, 8):
        assert torch.equal(jitted(memory[start : start + 4]), memory[start : start + 4].reshape(2, 2).t() * 2)
    assert len(jitted.compilations) == 1


def test_statics_are_told_apart_by_type_and_value() -> None:
    jitted = trace(lambda x, n: x * 2 if n is True else x * n)
    x = torch.ones(2)
    assert jitted(x, 1)[0] == 1
    assert jitted(x, True)[0] == 2
    assert jitted(x, 3)[0] == 3
    assert jitted(x, 1)[0] == 1
    assert reasons(jitted) == ["first call", "n: value 1 became True", "n: value True became 3"]


def test_a_reason_names_the_leaf_that_changed_since_the_most_similar_call() -> None:
    jitted = trace(lambda params, *batch, scale: params["layers"][0] * batch[0] * scale["a"])
    args = ({"layers": [torch.ones(2)]}, torch.ones(2), torch.ones(2))
    jitted(*args, scale={"a": torch.tensor(1.0)})
    jitted(args[0], torch.ones(1), torch.ones(2), scale={"a": torch.tensor(1)})
    jitted(*args, scale={"a": torch.tensor(1)})
    jitted(*args[:2], scale={"a": torch.tensor(1)})
    assert reasons(jitted)[1] == "args[1]: shape (2,) became (1,)"
    assert reasons(jitted)[2] == "args[1]: shape (1,) became (2,)"
    assert reasons(jitted)[3].startswith("structure ")


def test_the_order_of_a_dict_is_part_of_the_kind() -> None:
    jitted = trace(lambda tree, **more: torch.cat([*tree.values(), *more.values()]))
    one, two = torch.ones(1), torch.full((1,), 2.0)
    assert jitted({"a": one, "b": two}, d=one, c=two).tolist() == [1, 2, 1, 2]
    assert jitted({"b": two, "a": one}, d=one, c=two).tolist() == [2, 1, 1, 2]
    assert jitted({"a": one, "b": two}, c=two, d=one).tolist() == [1, 2, 2, 1]


def test_torch_s_modes_are_part_of_the_kind() -> None:
    jitted = trace(lambda x: torch.zeros(2, device=x.device) + x)
    x = torch.eye(2, dtype=torch.float32)
    assert jitted(x).dtype == torch.float64
    torch.set_default_dtype(torch.float32)
    assert jitted(x).dtype == torch.float32
    with torch.no_grad():
        jitted(x)
    with torch.inference_mode():
        assert jitted(x).is_inference()
    assert not jitted(x).is_inference()
    with torch.device("meta"):
        assert jitted(x.to("meta")).device.type == "meta"
    assert reasons(jitted)[1:4] == [
        "torch: default dtype torch.float64 became torch.float32",
        "torch: grad mode True became False",
        "torch: inference mode False became True",
    ]


def test_default_device_and_autocast_are_part_of_the_kind() -> None:
    made = trace(lambda n: torch.zeros(n))
    assert made(2).device.type == "cpu"
    with torch.device("meta"):
        assert made(2).device.type == "meta"
    assert reasons(made)[1] == "torch: default device None became meta"

    product = trace(lambda x: x @ x)
    x = torch.eye(2, dtype=torch.float32)
    assert product(x).dtype == torch.float32
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert product(x).dtype == torch.bfloat16
    assert product(x).dtype == torch.float32


def test_closures_over_different_tensors_stay_apart() -> None:
    def make(scale: Tensor) -> Any:
        return trace(lambda x: x * scale)

    double, triple = make(torch.tensor(2.0)), make(torch.tensor(3.0))
    for _ in range(2):
        assert (double(torch.ones(1)), triple(torch.ones(1))) == (2, 3)


TRANSFORMS: dict[str, Callable[[Callable[[Tensor], Tensor], Tensor], Any]] = {
    "grad": lambda f, x: grad(lambda x: f(x).sum())(x),
    "grad of grad": lambda f, x: vmap(grad(grad(lambda t: f(t[None])[0])))(x),
    "vmap": lambda f, x: vmap(f)(x[:, None]),
    "jacrev": lambda f, x: jacrev(f)(x),
    "jvp": lambda f, x: jvp(f, (x,), (x * 2,))[1],
    "jit": lambda f, x: trace(f)(x),
    "make_fx": lambda f, x: make_fx(f)(x)(x + 1),
    "functionalize": lambda f, x: torch.func.functionalize(f)(x),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_inside_a_transform_the_function_is_inlined(name: str) -> None:
    def function(x: Tensor) -> Tensor:
        return x.sin() * x.detach()

    jitted, x = trace(function), torch.linspace(0, 1, 3)
    jitted(x)
    found, wanted = TRANSFORMS[name](jitted, x), TRANSFORMS[name](function, x)
    assert torch.equal(found, wanted)
    assert len(jitted.compilations) == 1


@pytest.mark.parametrize("name", TRANSFORMS)
def test_a_function_can_ask_whether_it_runs_inside_a_transform(name: str) -> None:
    seen = []
    TRANSFORMS[name](lambda x: (seen.append(inside_transform()), x.sin())[1], torch.linspace(0, 1, 3))
    assert seen and all(seen)
    assert not inside_transform()


def test_forward_mode_and_gradients_by_the_tape() -> None:
    with forward_ad.dual_level():
        assert inside_transform()
    x = torch.ones(2, requires_grad=True)
    with torch.no_grad(), torch.device("cpu"):
        assert not inside_transform()
    assert x.requires_grad and not inside_transform()  # the tape alone changes no tensor


@pytest.mark.wrong_types
@pytest.mark.parametrize("wrong", ["a", None, 3, torch.ones(1)])
def test_what_cannot_be_called_is_refused(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"function must be a function\. Got function=.*\. Try jit\("):
        jit(wrong)


def test_dual_numbers_pass_through() -> None:
    jitted = trace(lambda x: x**2)
    jitted(torch.tensor(3.0))
    with forward_ad.dual_level():
        found = jitted(forward_ad.make_dual(torch.tensor(3.0), torch.tensor(1.0)))
        assert forward_ad.unpack_dual(found).tangent == 6


def test_a_tensor_subclass_is_inlined() -> None:
    class Tagged(Tensor):
        pass

    jitted = trace(lambda x: x + 1)
    assert type(jitted(torch.ones(2).as_subclass(Tagged))) is Tagged
    assert not jitted.compilations


def test_gradients_are_recorded_only_where_they_are_asked_for() -> None:
    def function(x: Tensor) -> Tensor:
        with torch.no_grad():
            frozen = x * 2
        return (x * frozen).sum()

    jitted, x = trace(function), torch.ones(3, requires_grad=True)
    assert torch.equal(torch.autograd.grad(jitted(x), x)[0], torch.full((3,), 2.0))
    with torch.no_grad():
        assert not jitted(x).requires_grad
    assert reasons(jitted) == ["first call"]


def test_a_closed_over_tensor_that_requires_a_gradient_is_refused() -> None:
    weight = torch.nn.Parameter(torch.ones(3))
    jitted = trace(lambda x: (x * weight).sum())
    with pytest.raises(
        TypeError, match=r"Got one of shape \(3,\) that it closes over\. Pass it, or close over"
    ):
        jitted(torch.ones(3))
    with torch.no_grad():
        assert jitted(torch.ones(3)) == 3


REFUSED: dict[str, tuple[Any, str]] = {
    "float": (0.5, r"params\['rate'\] is a float \(0\.5\); .* Try torch\.tensor\(0\.5\)\."),
    "numpy float": (np.float64(0.5), r"params\['rate'\] is a float64 .* Try torch\.tensor\(0\.5\)\."),
    "array": (np.ones(2), r"params\['rate'\] is a ndarray .* Convert it to a tensor"),
    "numpy int": (np.int64(2), r"params\['rate'\] is a int64 .* Convert it to a tensor"),
    "complex": (1j, r"params\['rate'\] is a complex \(1j\)"),
    "function": (
        torch.sin,
        r"params\['rate'\] is a builtin_function_or_method .* let the function close over it",
    ),
    "dtype": (torch.float32, r"params\['rate'\] is a dtype"),
    "set": ({1}, r"params\['rate'\] is a set \(\{1\}\)"),
    "sparse": (
        torch.eye(2).to_sparse(),
        r"params\['rate'\] must be a strided tensor .* Try params\['rate'\]\.to_dense",
    ),
}


@pytest.mark.parametrize("backend", ["trace", "eager"])
@pytest.mark.parametrize("name", REFUSED)
def test_a_leaf_that_no_program_can_take_is_named(name: str, backend: str) -> None:
    leaf, message = REFUSED[name]
    jitted = jit(lambda params: params["w"], backend=backend)
    jitted({"w": torch.ones(1), "rate": torch.ones(1)})
    with pytest.raises(TypeError, match=message):
        jitted({"w": torch.ones(1), "rate": leaf})


class Shift:
    def __call__(self, x: Tensor) -> Tensor:
        return x + 1

    def by(self, x: Tensor, *, amount: Tensor) -> Tensor:
        return x + amount


def test_any_callable_will_do() -> None:
    x = torch.ones(2)
    partial = trace(functools.partial(torch.add, torch.ones(2)))
    assert torch.equal(partial(x), x + 1)
    assert torch.equal(trace(Shift())(x), x + 1)
    assert torch.equal(trace(Shift().by)(x, amount=x), x + 1)
    assert torch.equal(trace(torch.relu)(x), x)
    assert torch.equal(trace(lambda x, /, **more: x + more["x"])(x, x=x), 2 * x)
    assert [trace(one).__name__ for one in (functools.partial(torch.add, x), Shift(), Shift().by)] == [
        "add",
        "Shift",
        "by",
    ]


class Line(NamedTuple):
    slope: Tensor
    start: Tensor

    @trace
    def at(self, x: Tensor) -> Tensor:
        return self.slope * x + self.start


class Counter:
    def __init__(self) -> None:
        self.count = 2

    @trace
    def times(self, x: Tensor) -> Tensor:
        return self.count * x

    @classmethod
    @trace
    def twice(cls, x: Tensor) -> Tensor:
        return 2 * x

    @staticmethod
    @trace
    def thrice(x: Tensor) -> Tensor:
        return 3 * x


def test_a_jitted_method_takes_its_object_as_an_argument_and_shares_its_programs() -> None:
    x = torch.arange(3.0)
    first, second = Line(torch.tensor(2.0), torch.tensor(1.0)), Line(torch.tensor(-1.0), torch.tensor(0.0))
    assert torch.equal(first.at(x), 2 * x + 1)
    assert torch.equal(second.at(x), -x)
    assert torch.equal(Line.at(first, x), 2 * x + 1)
    assert reasons(Line.at) == ["first call"]
    assert torch.equal(grad(lambda line: line.at(x).sum())(first).slope, x.sum())
    assert torch.equal(Counter().thrice(x), 3 * x)


@pytest.mark.parametrize("method", ["times", "twice"])
def test_an_object_that_no_program_can_take_is_refused(method: str) -> None:
    said = r"^(self|cls) is a .*; a jitted function takes tensors .* jit a function that .*closes over"
    with pytest.raises(TypeError, match=said):
        getattr(Counter(), method)(torch.ones(2))


def test_a_jitted_function_keeps_its_name_and_tells_its_programs() -> None:
    @trace
    def halve(x: Tensor) -> Tensor:
        """Half of it."""
        return x / 2

    halve(torch.ones(2))
    assert (halve.__name__, halve.__doc__) == ("halve", "Half of it.")
    assert repr(halve) == "jit(halve, backend='trace', programs=1)"
    (made,) = halve.compilations
    assert (made.function, made.backend, made.seconds > 0) == ("halve", "trace", True)


def test_all_compilations_inside_a_block_are_collected() -> None:
    first, second = trace(lambda x: x + 1), trace(lambda x: x - 1)
    x = torch.ones(2)
    first(x)
    with compilations() as outer:
        first(x)
        with compilations() as inner:
            second(x)
        first(x[:1])
    second(x[:1])
    assert [made.reason for made in outer] == ["first call", "x: shape (2,) became (1,)"]
    assert len(inner) == 1


def test_a_failed_trace_leaves_no_program() -> None:
    jitted = trace(lambda x, n: x * n if n > 0 else x @ x)
    with pytest.raises(RuntimeError):
        jitted(torch.ones(2, 3), 0)
    assert not jitted.compilations
    assert torch.equal(jitted(torch.ones(2, 3), 2), torch.full((2, 3), 2.0))


@pytest.mark.slow
def test_compiled_closures_and_kinds_stay_apart() -> None:
    def make(scale: Tensor) -> Any:
        return jit(lambda x: x * scale, backend="compile")

    double, triple = make(torch.full((2,), 2.0)), make(torch.full((2,), 3.0))
    for _ in range(2):
        assert double(torch.ones(2))[0] == 2
        assert triple(torch.ones(2))[0] == 3
    for length in (3, 4):
        assert torch.equal(double(torch.ones(length, 2)), torch.full((length, 2), 2.0))
    assert torch.equal(double(torch.ones(2, 3).t()), torch.full((3, 2), 2.0))
    assert len(double.compilations) == 4
