"""The numbers are those of jax.random, which make_jax_reference.py wrote down."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from funcsci import random

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "jax_random.json").read_text())["cases"]
NORMAL = {torch.float32: 1e-6, torch.float64: 1e-12}


def of(function: str) -> list[Any]:
    return [
        pytest.param(case, id=f"{function}-{number}")
        for number, case in enumerate(c for c in REFERENCE if c["function"] == function)
    ]


def values(case: dict[str, Any], dtype: torch.dtype) -> Tensor:
    numbers = [float.fromhex(v) if isinstance(v, str) else v for v in case["values"]]
    return torch.tensor(numbers, dtype=dtype).reshape(case["shape"])


def call(case: dict[str, Any]) -> Tensor:
    arguments = dict(case["arguments"])
    if "dtype" in arguments:
        arguments["dtype"] = getattr(torch, arguments["dtype"])
    return getattr(random, case["function"])(torch.tensor(case["key"]), **arguments)


def identical(got: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(got, expected, rtol=0, atol=0)


@pytest.mark.parametrize("case", of("key"))
def test_key_is_jaxs(case: dict[str, Any]) -> None:
    identical(random.key(case["arguments"]["seed"]), values(case, torch.int64))


@pytest.mark.parametrize("case", of("split") + of("bits"))
def test_words_are_jaxs(case: dict[str, Any]) -> None:
    identical(call(case), values(case, torch.int64))


@pytest.mark.parametrize("case", of("fold_in"))
@pytest.mark.parametrize("as_tensor", [False, True])
def test_fold_in_is_jaxs(case: dict[str, Any], as_tensor: bool) -> None:
    data = case["arguments"]["data"]
    folded = random.fold_in(torch.tensor(case["key"]), torch.tensor(data) if as_tensor else data)
    identical(folded, values(case, torch.int64))


@pytest.mark.parametrize("case", of("uniform"))
def test_uniform_is_jaxs(case: dict[str, Any]) -> None:
    identical(call(case), values(case, getattr(torch, case["arguments"]["dtype"])))


@pytest.mark.parametrize("case", of("normal") + of("truncated_normal"))
def test_normal_is_jaxs(case: dict[str, Any]) -> None:
    dtype = getattr(torch, case["arguments"]["dtype"])
    torch.testing.assert_close(call(case), values(case, dtype), rtol=0, atol=NORMAL[dtype])


@pytest.mark.parametrize("case", of("normal_tails"))
def test_normal_is_jaxs_far_out(case: dict[str, Any]) -> None:
    dtype = getattr(torch, case["arguments"]["dtype"])
    arguments = dict(case["arguments"])
    least = arguments.pop("least")
    drawn = call(case | {"function": "normal", "arguments": arguments})
    expected = values(case, dtype)
    torch.testing.assert_close(drawn[drawn.abs() > least], expected, rtol=0, atol=NORMAL[dtype])


@pytest.mark.parametrize("case", of("randint"))
@pytest.mark.parametrize("as_tensor", [False, True])
def test_randint_is_jaxs(case: dict[str, Any], as_tensor: bool) -> None:
    arguments = dict(case["arguments"], dtype=getattr(torch, case["arguments"]["dtype"]))
    if as_tensor:
        arguments.update({name: torch.tensor(arguments[name]) for name in ("minval", "maxval")})
    identical(random.randint(torch.tensor(case["key"]), **arguments), values(case, arguments["dtype"]))


@pytest.mark.parametrize("case", of("permutation"))
def test_permutation_is_jaxs(case: dict[str, Any]) -> None:
    arguments = case["arguments"]
    x = torch.tensor(arguments["matrix"]) if "matrix" in arguments else arguments["x"]
    got = random.permutation(torch.tensor(case["key"]), x, axis=arguments.get("axis", 0))
    expected = values(case, torch.int64)
    identical(got[: expected.shape[0]], expected)


@pytest.mark.parametrize("case", of("bernoulli"))
def test_bernoulli_is_jaxs(case: dict[str, Any]) -> None:
    arguments = case["arguments"]
    p = torch.tensor(arguments["p"], dtype=getattr(torch, arguments["dtype"]))
    got = random.bernoulli(torch.tensor(case["key"]), p, arguments["shape"])
    identical(got, values(case, torch.bool))


@pytest.mark.parametrize("case", of("categorical"))
def test_categorical_is_jaxs(case: dict[str, Any]) -> None:
    arguments = case["arguments"]
    logits = torch.tensor(arguments["logits"], dtype=getattr(torch, arguments["dtype"]))
    key, axis, shape = torch.tensor(case["key"]), arguments["axis"], arguments["shape"]
    identical(random.categorical(key, logits, axis=axis, shape=shape), values(case, torch.int64))


@pytest.mark.parametrize("case", of("choice"))
def test_choice_is_jaxs(case: dict[str, Any]) -> None:
    arguments = dict(case["arguments"])
    if "p" in arguments:
        arguments["p"] = torch.tensor(arguments["p"], dtype=torch.float32)
    identical(random.choice(torch.tensor(case["key"]), **arguments), values(case, torch.int64))


@pytest.mark.parametrize("case", of("split"))
def test_fold_in_is_one_row_of_split(case: dict[str, Any]) -> None:
    key = torch.tensor(case["key"])
    for number in range(case["arguments"]["num"]):
        identical(random.fold_in(key, number), call(case)[number])
