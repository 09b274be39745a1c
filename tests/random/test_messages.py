"""What wrong input says."""

import math
from collections.abc import Callable

import pytest
import torch

from funcsci import random

BATCHED = torch.linspace(0.1, 0.9, 5)
KEY = random.key(0)
WRONG: list[tuple[Callable[[], object], type[Exception], str]] = [
    (lambda: random.key(1.5), TypeError, "seed must be an integer. Got seed=1.5"),
    (lambda: random.key(2**63), ValueError, "seed must be .*64-bit.*Got seed=9223372036854775808.*Try"),
    (lambda: random.key(0, device="gpu"), ValueError, r"^device must name .* Got device='gpu'\. Try .*'cpu'"),
    (lambda: random.split(0), TypeError, r"key must be an int64 tensor.*Got key=0.*funcsci.random.key\(0\)"),
    (
        lambda: random.split(torch.zeros(3, dtype=torch.int64)),
        ValueError,
        r"key must be an int64 tensor of shape \(2,\)\. "
        r"Got key of shape \(3,\), torch.int64\. Try funcsci.random.key\(0\)\.",
    ),
    (lambda: random.bits(torch.zeros(2, dtype=torch.float32)), TypeError, "torch.float32"),
    (lambda: random.bits(random.split(KEY)), ValueError, r"shape \(2, 2\).*torch.func.vmap"),
    (lambda: random.split(KEY, -1), ValueError, "num must be at least 0"),
    (lambda: random.fold_in(KEY, -1), ValueError, "data must .*Got data=-1"),
    (lambda: random.fold_in(KEY, 0.5), TypeError, "data must be an integer"),
    (lambda: random.fold_in(KEY, torch.zeros(2)), TypeError, "data must be an integer tensor"),
    (lambda: random.fold_in(KEY, KEY), ValueError, r"data must be a 0-d tensor.*\(2,\).*vmap"),
    (lambda: random.bits(KEY, 3), TypeError, r"shape must be a tuple.*Got shape=3. Try shape=\(3,\)"),
    (lambda: random.bits(KEY, (2, -1)), ValueError, r"shape\[1\] must be at least 0"),
    (lambda: random.bits(KEY, bit_width=16), ValueError, "bit_width must be 32 or 64. Got bit_width=16"),
    (lambda: random.uniform(KEY, dtype=torch.float16), ValueError, "dtype must be torch.float32 or"),
    (lambda: random.uniform(KEY, minval=1.0), ValueError, "minval must be below maxval=1.0. Got minval=1.0"),
    (lambda: random.uniform(KEY, maxval=math.inf), ValueError, "maxval must be finite"),
    (lambda: random.uniform(KEY, (3,), minval=-BATCHED), ValueError, r"shape must .*\(5,\).*shape=\(3,\)"),
    (lambda: random.truncated_normal(KEY, 1.0, -1.0), ValueError, "lower must be below upper=-1.0"),
    (lambda: random.truncated_normal(KEY, "a", 1.0), TypeError, "lower must be a real number"),
    (lambda: random.randint(KEY, (), 3, 3), ValueError, "minval must be below maxval=3. Got minval=3"),
    (lambda: random.randint(KEY, (), 0, 2**31 + 1), ValueError, "maxval must be .*Try dtype=torch.int64"),
    (lambda: random.randint(KEY, (), 0, 1.5), TypeError, "maxval must be an integer"),
    (lambda: random.randint(KEY, (), 0, torch.ones(())), TypeError, "maxval must be an integer tensor"),
    (lambda: random.randint(KEY, (), 0, 5, dtype=torch.int8), ValueError, "dtype must be torch.int32 or"),
    (lambda: random.permutation(KEY, torch.tensor(3)), ValueError, "x must be an integer or have an axis"),
    (lambda: random.permutation(KEY, torch.ones(3), axis=1), ValueError, "axis must .*Got axis=1"),
    (lambda: random.bernoulli(KEY, 1.5), ValueError, "p must lie between 0 and 1. Got p=1.5"),
    (lambda: random.bernoulli(KEY, torch.tensor(1)), TypeError, "p must be a float"),
    (lambda: random.categorical(KEY, [0.1]), TypeError, "logits must be a float"),
    (lambda: random.categorical(KEY, torch.ones(3, 0)), ValueError, "logits must hold at least one"),
    (lambda: random.categorical(KEY, torch.ones(3), axis=2), ValueError, "axis must .*Got axis=2"),
    (lambda: random.choice(KEY, 0, (1,)), ValueError, "a must hold at least one"),
    (lambda: random.choice(KEY, 2, (3,), replace=False), ValueError, "shape must .*at most 2"),
    (lambda: random.choice(KEY, 2, p=torch.ones(3)), ValueError, r"p must have shape \(2,\). Got p=\(3,\)"),
    (lambda: random.choice(KEY, 2, p=[0.5, 0.5]), TypeError, "p must be a float"),
]


@pytest.mark.wrong_types
@pytest.mark.parametrize(("wrong", "error", "says"), WRONG)
def test_wrong_input_says_what_to_do(wrong: Callable[[], object], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        wrong()
