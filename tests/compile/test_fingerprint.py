"""A fingerprint is the same for one source in any process, and another for any other number or operation."""

import math
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.func import grad

from funcsci import random
from funcsci.compile.fingerprint import Fingerprint, difference, fingerprint

X = torch.linspace(0.1, 1, 3, dtype=torch.float64)


def of(function: Callable[..., Any], *examples: Any) -> Fingerprint:
    found = fingerprint(function, *(examples or (X,)))
    assert found is not None
    return found


def scaled(factor: Any) -> Callable[[Tensor], Tensor]:
    return lambda x: torch.sin(x) * factor


EQUAL: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "written twice": (lambda x: torch.sin(x) ** 2 + 1, lambda x: torch.sin(x) ** 2 + 1),
    "names": (lambda x: torch.exp(x), lambda whatever: torch.exp(whatever)),
    "a number, an integer": (lambda x: 2.0 * x, lambda x: 2 * x),
    "closed-over floats": (scaled(0.1), scaled(0.1)),
    "closed-over tensors": (scaled(torch.tensor([1.0, 2, 3])), scaled(torch.tensor([1.0, 2, 3]))),
    "closed-over arrays": (scaled(np.float64(0.3)), scaled(np.float64(0.3))),
    "what is computed for nothing": (lambda x: (torch.cos(x), 2 * x)[1], lambda x: 2 * x),
    "a view and a copy": (scaled(torch.arange(6.0)[::2]), scaled(torch.arange(6.0)[::2].clone())),
    "a gradient": (grad(lambda x: (x**3).sum()), grad(lambda x: (x**3).sum())),
}


@pytest.mark.parametrize("pair", EQUAL.values(), ids=EQUAL)
def test_equal_functions_have_one_fingerprint(pair: tuple[Any, Any]) -> None:
    assert of(pair[0]) == of(pair[1])
    assert difference(of(pair[0]), of(pair[1])) is None


OTHER: dict[str, tuple[Callable[..., Any], Callable[..., Any], str]] = {
    "a constant": (lambda x: x + 1.0, lambda x: x + 5.0, "1.0 then, 5.0 now"),
    "a constant's last bit": (lambda x: 0.1 * x, lambda x: math.nextafter(0.1, 1) * x, "0.1 then, 0.10000"),
    "an exponent": (lambda x: x**2, lambda x: x**3, "2.0 then, 3.0 now"),
    "an operation": (lambda x: torch.sin(x), lambda x: torch.cos(x), "another formula"),
    "a sign": (lambda x: x + 2 * x, lambda x: x - 2 * x, "another formula"),
    "the order of operands": (lambda x: x / (x + 1), lambda x: (x + 1) / x, "another formula"),
    "a dtype inside": (lambda x: x.float().double(), lambda x: x, "another formula"),
    "a dimension": (lambda x: x.sum(0, keepdim=True), lambda x: x.sum(0), "another formula"),
    "a closed-over float": (scaled(0.1), scaled(0.2), "0.1 then, 0.2 now"),
    "a closed-over number of NumPy": (scaled(np.float64(0.1)), scaled(np.float64(0.2)), "0.1 then, 0.2 now"),
    "a closed-over 0-d tensor": (
        scaled(torch.tensor(0.125)),
        scaled(torch.tensor(0.25)),
        "0.125 then, 0.25 now",
    ),
    "a closed-over tensor": (
        scaled(torch.tensor([1.0, 2.0, 3.0]).double()),
        scaled(torch.tensor([1.0, 2.0, math.nextafter(3, 4)], dtype=torch.float64)),
        "other constants",
    ),
    "the dtype of a closed-over tensor": (scaled(torch.ones(3)), scaled(torch.ones(3).double()), "another"),
    "the shape of a closed-over tensor": (scaled(torch.ones(3)), scaled(torch.ones(1)), "another formula"),
    "what is not differentiated": (
        grad(lambda x: (x * x.sin()).sum()),
        grad(lambda x: (x * x.sin().detach()).sum()),
        "another formula",
    ),
    "the results": (lambda x: (x, 2 * x), lambda x: (2 * x, x), "another formula"),
}


@pytest.mark.parametrize("case", OTHER.values(), ids=OTHER)
def test_any_other_function_has_another(case: tuple[Any, Any, str]) -> None:
    one, other, story = case
    assert of(one) != of(other)
    assert story in str(difference(of(one), of(other)))


@given(st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_two_numbers_have_two_fingerprints(one: float, other: float) -> None:
    same = one == other and math.copysign(1, one) == math.copysign(1, other)
    assert (of(lambda x: x * one, X) == of(lambda x: x * other, X)) == same


def test_examples_count_by_shape_and_dtype_and_not_by_their_numbers() -> None:
    def double(tree: dict[str, Tensor]) -> Tensor:
        return 2 * tree["x"]

    assert of(double, {"x": X}) == of(double, {"x": X + 1})
    assert of(double, {"x": X}) != of(double, {"x": X.float()})
    assert of(double, {"x": X}) != of(double, {"x": X[:2]})
    assert of(lambda a, b: a - b, X, X) != of(lambda a, b: b - a, X, X)


def test_functions_of_a_key_and_of_the_global_generator_are_traced_and_draw_nothing() -> None:
    def noisy(x: Tensor, key: Tensor) -> Tensor:
        return x + random.normal(key, x.shape)

    generator = torch.get_rng_state()
    assert of(noisy, X, random.key(0)) == of(noisy, X, random.key(1))
    assert of(lambda x: x + torch.rand(3)) == of(lambda x: x + torch.rand(3))
    assert torch.equal(torch.get_rng_state(), generator)


def test_a_function_that_cannot_be_traced_has_none() -> None:
    assert fingerprint(lambda x: x if float(x.sum()) > 0 else -x, X) is None
    assert difference(None, of(lambda x: x)) is None is difference(of(lambda x: x), None)


def test_it_is_the_same_in_another_process_whatever_its_hashes() -> None:
    script = textwrap.dedent("""
        import torch
        from funcsci.compile.fingerprint import fingerprint
        torch.set_default_dtype(torch.float64)
        table = torch.linspace(0, 1, 5)
        pad = [object() for _ in range({})]
        function = lambda p: {{"b": p["x"] @ table, "a": 0.1 * p["y"] ** 2}}
        print(fingerprint(function, {{"y": table, "x": table}}))
    """)
    found = {
        subprocess.run(
            [sys.executable, "-c", script.format(seed)], capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
        ).stdout
        for seed in (1, 2)
    }  # fmt: skip
    table = torch.linspace(0, 1, 5)
    here = of(lambda p: {"b": p["x"] @ table, "a": 0.1 * p["y"] ** 2}, {"y": table, "x": table})
    assert found == {f"{here}\n"}


@pytest.mark.cuda
def test_it_is_the_same_on_a_gpu() -> None:
    def function(x: Tensor, table: Tensor) -> Tensor:
        return torch.sin(x) @ table + x.new_tensor(0.5)

    where = [(X.to(device), torch.eye(3, device=device)) for device in ("cpu", "cuda")]
    here, there = (of(lambda x, table=table: function(x, table), x) for x, table in where)
    assert here == there
