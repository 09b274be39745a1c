"""Every draw works under vmap, in programs and on other devices, and is a pure function of its key."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.func import vmap
from torch.fx.experimental.proxy_tensor import make_fx

from funcsci import compile, random

BATCHED = torch.linspace(0.1, 0.9, 5)


def identical(got: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(got, expected, rtol=0, atol=0)


DRAWS: dict[str, Callable[[Tensor], Tensor]] = {
    "split": lambda key: random.split(key, 3),
    "fold_in": lambda key: random.fold_in(key, 7),
    "bits": lambda key: random.bits(key, (3, 2)),
    "bits64": lambda key: random.bits(key, (3, 2), bit_width=64),
    "uniform": lambda key: random.uniform(key, (5,)),
    "uniform64": lambda key: random.uniform(key, (5,), dtype=torch.float64, minval=-1.0),
    "uniform_between": lambda key: random.uniform(key, (5,), dtype=torch.float32, minval=-1.0, maxval=2.0),
    "normal32": lambda key: random.normal(key, (5,), dtype=torch.float32),
    "normal64": lambda key: random.normal(key, (5,), dtype=torch.float64),
    "truncated_normal": lambda key: random.truncated_normal(key, -1.0, 2.0, (5,)),
    "randint32": lambda key: random.randint(key, (5,), -3, 9),
    "randint64": lambda key: random.randint(key, (5,), -3, 2**62, dtype=torch.int64),
    "permutation": lambda key: random.permutation(key, 9),
    "permutation_rows": lambda key: random.permutation(key, random.bits(key, (4, 2))),
    "bernoulli": lambda key: random.bernoulli(key, 0.3, (9,)),
    "categorical": lambda key: random.categorical(key, random.uniform(key, (2, 5))),
    "choice": lambda key: random.choice(key, 6, (4,)),
    "choice_rows": lambda key: random.choice(key, random.normal(key, (6, 2)), (3,), replace=False),
    "choice_weighted": lambda key: random.choice(key, 5, (4,), p=random.uniform(key, (5,))),
    "choice_weighted_distinct": lambda key: random.choice(
        key, 5, (4,), replace=False, p=random.uniform(key, (5,))
    ),
}


@pytest.mark.parametrize("name", DRAWS)
def test_vmap_over_keys_is_a_loop(name: str) -> None:
    keys = random.split(random.key(3), 4)
    identical(vmap(DRAWS[name])(keys), torch.stack([DRAWS[name](key) for key in keys]))


@pytest.mark.parametrize("name", DRAWS)
def test_traced_is_eager(name: str) -> None:
    traced = make_fx(DRAWS[name])(random.key(0))
    for seed in (0, 5):
        identical(traced(random.key(seed)), DRAWS[name](random.key(seed)))
    keys = random.split(random.key(1), 3)
    identical(make_fx(vmap(DRAWS[name]))(keys)(keys + 1), vmap(DRAWS[name])(keys + 1))


@pytest.mark.parametrize("name", DRAWS)
def test_draws_live_on_the_keys_device(name: str) -> None:
    drawn, real = DRAWS[name](random.key(0, device="meta")), DRAWS[name](random.key(0))
    assert drawn.device.type == "meta"
    assert (drawn.shape, drawn.dtype) == (real.shape, real.dtype)


@pytest.mark.parametrize("name", DRAWS)
def test_draws_repeat_and_leave_the_global_generator_and_the_key_alone(name: str) -> None:
    before, key = torch.get_rng_state(), random.key(11)
    identical(DRAWS[name](key), DRAWS[name](key))
    identical(key, random.key(11))
    assert torch.equal(before, torch.get_rng_state())


def test_vmap_over_the_arguments_is_a_loop() -> None:
    key, batch = random.key(2), BATCHED
    for draw in (
        lambda p: random.bernoulli(key, p, (6,)),
        lambda low: random.uniform(key, (6,), minval=low, maxval=low + 1),
        lambda low: random.truncated_normal(key, low, low + 1, (6,)),
        lambda low: random.randint(key, (6,), 0, (10 * low).to(torch.int64) + 1),
        lambda low: random.fold_in(key, (10 * low).to(torch.int64)),
        lambda low: random.categorical(key, torch.stack([low, 1 - low, low])),
    ):
        identical(vmap(draw)(batch), torch.stack([draw(value) for value in batch]))


def test_truncated_normal_has_a_finite_gradient_in_its_bounds() -> None:
    def total(low: Tensor) -> Tensor:
        return random.truncated_normal(random.key(0), low, low + 2, (50,), dtype=torch.float64).sum()

    low = torch.tensor(-0.7, dtype=torch.float64)
    step = 1e-6
    expected = (total(low + step) - total(low - step)) / (2 * step)
    torch.testing.assert_close(torch.func.grad(total)(low), expected, rtol=1e-6, atol=0)


PROGRAMS: dict[str, tuple[Callable[[Tensor], Tensor], float]] = {
    "uniform": (lambda key: random.uniform(key, (99,), dtype=torch.float64, minval=-0.3, maxval=1.45), 0.0),
    "normal": (lambda key: random.normal(key, (99,), dtype=torch.float64), 1e-12),  # by another logarithm
    "randint": (lambda key: random.randint(key, (99,), -5, 70000), 0.0),
    "permutation": (lambda key: random.permutation(key, 99), 0.0),
}


@pytest.mark.parametrize("backend", ["trace", pytest.param("compile", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", PROGRAMS)
def test_compiled_is_eager(name: str, backend: str) -> None:
    draw, tolerance = PROGRAMS[name]
    program = compile.jit(draw, backend=backend)
    for seed in (0, 42, -1):
        key = random.key(seed)
        torch.testing.assert_close(program(key), draw(key), rtol=0, atol=tolerance)
        identical(key, random.key(seed))
    assert len(program.compilations) == 1
