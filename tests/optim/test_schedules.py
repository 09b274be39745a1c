"""Schedules against torch.optim.lr_scheduler, at every step up to their end."""

import re

import pytest
import torch
from torch.optim import lr_scheduler

from funcsci import optim, random, tree
from funcsci.compile import jit


def theirs(make, start, steps):
    """The rates that torch takes at steps 0, 1, ..., steps."""
    reference = torch.optim.SGD([torch.zeros(1)], lr=start)
    scheduler = make(reference)
    rates = []
    for _ in range(steps + 1):
        rates.append(float(scheduler.get_last_lr()[0]))
        reference.step()
        if len(rates) <= steps:
            scheduler.step()
    return rates


def sequence(milestones, *parts):
    return lambda one: lr_scheduler.SequentialLR(one, [part(one) for part in parts], milestones=milestones)


def one_cycle(steps, **options):
    return lambda one: lr_scheduler.OneCycleLR(one, 0.1, steps, cycle_momentum=False, **options)


# Ours, torch's, torch's first rate, and the last step at which both are defined.
CASES = {
    "constant": (optim.constant(0.1), lambda one: lr_scheduler.LambdaLR(one, lambda n: 1.0), 0.1, 20),
    "linear up": (
        optim.linear(0.02, 10, end=0.1),
        lambda one: lr_scheduler.LinearLR(one, 0.2, 1.0, 10),
        0.1,
        25,
    ),
    "linear down": (
        optim.linear(0.1, 7, end=0.03),
        lambda one: lr_scheduler.LinearLR(one, 1.0, 0.3, 7),
        0.1,
        25,
    ),
    "linear in one": (
        optim.linear(0.05, 1, end=0.1),
        lambda one: lr_scheduler.LinearLR(one, 0.5, 1.0, 1),
        0.1,
        5,
    ),
    "polynomial": (optim.polynomial(0.1, 12), lambda one: lr_scheduler.PolynomialLR(one, 12), 0.1, 20),
    "polynomial 2.5": (
        optim.polynomial(0.1, 12, power=2.5),
        lambda one: lr_scheduler.PolynomialLR(one, 12, power=2.5),
        0.1,
        20,
    ),
    "cosine": (optim.cosine(0.1, 37), lambda one: lr_scheduler.CosineAnnealingLR(one, 37), 0.1, 37),
    "cosine to a rate": (
        optim.cosine(0.1, 10, end=0.02),
        lambda one: lr_scheduler.CosineAnnealingLR(one, 10, eta_min=0.02),
        0.1,
        10,
    ),
    "exponential": (optim.exponential(0.1, 0.9), lambda one: lr_scheduler.ExponentialLR(one, 0.9), 0.1, 200),
    "staircase": (
        optim.exponential(0.1, 0.5, steps=7, staircase=True),
        lambda one: lr_scheduler.StepLR(one, 7, gamma=0.5),
        0.1,
        100,
    ),
    "piecewise": (
        optim.piecewise(0.1, [3, 10, 10, 50]),
        lambda one: lr_scheduler.MultiStepLR(one, [3, 10, 10, 50]),
        0.1,
        60,
    ),
    "join": (
        optim.join(
            [optim.linear(0.03, 5, end=0.1), optim.exponential(0.1, 0.8), optim.constant(0.1)], [8, 20]
        ),
        sequence(
            [8, 20],
            lambda one: lr_scheduler.LinearLR(one, 0.3, 1.0, 5),
            lambda one: lr_scheduler.ExponentialLR(one, 0.8),
            lambda one: lr_scheduler.LambdaLR(one, lambda n: 1.0),
        ),
        0.1,
        40,
    ),
    "warm-up and cosine": (
        optim.warmup_cosine(0.1, 50, warmup_steps=10, start=0.001, end=0.002),
        sequence(
            [10],
            lambda one: lr_scheduler.LinearLR(one, 0.01, 1.0, 10),
            lambda one: lr_scheduler.CosineAnnealingLR(one, 40, eta_min=0.002),
        ),
        0.1,
        50,
    ),
    "one cycle": (optim.one_cycle(0.1, 50), one_cycle(50), 0.1, 49),
    "one cycle, linear": (
        optim.one_cycle(
            0.1, 33, pct_start=0.4, anneal_strategy="linear", div_factor=10.0, final_div_factor=50.0
        ),
        one_cycle(33, pct_start=0.4, anneal_strategy="linear", div_factor=10.0, final_div_factor=50.0),
        0.1,
        32,
    ),
    "one cycle, three phases": (
        optim.one_cycle(0.1, 41, pct_start=0.25, three_phase=True),
        one_cycle(41, pct_start=0.25, three_phase=True),
        0.1,
        40,
    ),
    "one cycle without a rise": (
        optim.one_cycle(0.1, 20, pct_start=0.0),
        one_cycle(20, pct_start=0.0),
        0.1,
        19,
    ),
    "one cycle of the rise alone": (
        optim.one_cycle(0.1, 20, pct_start=1.0),
        one_cycle(20, pct_start=1.0),
        0.1,
        19,
    ),
}
every = pytest.mark.parametrize("name", CASES)


# SequentialLR of older versions takes a way of its own that they warn about.
@pytest.mark.filterwarnings("ignore:The epoch parameter in .scheduler.step:UserWarning")
@every
def test_equals_torch_at_every_step(name):
    ours, make, start, steps = CASES[name]
    rates = [float(ours(torch.tensor(count))) for count in range(steps + 1)]
    assert rates == pytest.approx(theirs(make, start, steps), rel=1e-13, abs=1e-17)


@every
def test_is_a_pure_function_of_the_count_in_float64(name):
    """A 0-d float64 rate whatever the default dtype, as a program, for many counts at once and on meta."""
    schedule = CASES[name][0]
    counts = torch.arange(60)
    torch.set_default_dtype(torch.float32)
    apart = torch.stack([schedule(count) for count in counts])
    assert apart.dtype == torch.float64
    torch.testing.assert_close(torch.func.vmap(schedule)(counts), apart, rtol=1e-14, atol=1e-17)
    compiled = jit(schedule, backend="trace")
    torch.testing.assert_close(torch.stack([compiled(count) for count in counts]), apart, rtol=1e-14, atol=0)
    assert len(compiled.compilations) == 1
    rate = schedule(torch.tensor(3, device="meta"))
    assert (rate.shape, rate.device.type) == ((), "meta")


ENDS = {
    "linear": (optim.linear(0.1, 10, end=0.03), 10, 0.03),
    "polynomial": (optim.polynomial(0.1, 10, power=3.0, end=0.01), 10, 0.01),
    "cosine": (optim.cosine(0.1, 10, end=0.02), 10, 0.02),
    "warm-up": (optim.warmup_cosine(0.1, 20, warmup_steps=5, end=0.004), 20, 0.004),
    "one cycle": (optim.one_cycle(0.1, 20), 19, 0.1 / 25 / 1e4),
    "three phases": (optim.one_cycle(0.1, 20, three_phase=True), 19, 0.1 / 25 / 1e4),
}


@pytest.mark.parametrize(("schedule", "steps", "end"), ENDS.values(), ids=ENDS)
def test_stays_where_it_ends(schedule, steps, end):
    for count in (steps, steps + 1, 10 * steps, 10**9):
        assert float(schedule(torch.tensor(count))) == pytest.approx(end, rel=1e-13)


def test_a_warm_up_of_no_steps_is_a_cosine():
    ours, plain = optim.warmup_cosine(0.1, 10, warmup_steps=0), optim.cosine(0.1, 10)
    assert all(torch.equal(ours(torch.tensor(n)), plain(torch.tensor(n))) for n in range(12))


def test_a_period_of_many_steps_decays_between():
    rate = optim.exponential(0.1, 0.5, steps=10)
    assert float(rate(torch.tensor(5))) == pytest.approx(0.1 * 0.5**0.5)


PLATEAUS = [
    {"patience": 2, "factor": 0.5},
    {"patience": 0, "factor": 0.3, "cooldown": 3},
    {"mode": "max", "patience": 1, "factor": 0.5, "threshold": 0.05},
    {"mode": "max", "threshold_mode": "abs", "threshold": 0.3, "patience": 1, "cooldown": 1},
    {"threshold_mode": "abs", "threshold": 0.1, "patience": 3, "eps": 0.0},
    {"patience": 0, "factor": 0.1, "min_lr": 3e-4, "eps": 1e-5},
]


@pytest.mark.parametrize("options", PLATEAUS, ids=str)
def test_a_plateau_lowers_the_rate_when_torch_does(options):
    """In closed loop: the losses are noisy, with some that are nan or infinite."""
    noise = random.normal(random.key(7), (150,))
    values = 1 + torch.exp(-torch.arange(150) / 30) + 0.2 * noise
    values = torch.where(torch.arange(150) % 41 == 17, torch.nan, values)
    values = torch.where(torch.arange(150) % 41 == 33, torch.inf, values)
    w = torch.tensor(3.0)
    reference = torch.optim.SGD([w.clone().requires_grad_()], lr=1.0)
    (theirs,) = reference.param_groups[0]["params"]
    scheduler = lr_scheduler.ReduceLROnPlateau(reference, **options)
    renamed = {"min_scale" if name == "min_lr" else name: value for name, value in options.items()}
    optimizer = optim.chain(optim.sgd(1.0), optim.reduce_on_plateau(**renamed))
    step = jit(lambda g, s, p, value: optimizer.update(g, s, p, value=value), backend="trace")
    state = optimizer.init(w)
    for value in values:
        updates, state = step(torch.tanh(w), state, w, value)
        w = optim.apply_updates(w, updates)
        theirs.grad = torch.tanh(theirs.detach())
        reference.step()
        scheduler.step(value)
        assert float(state[1].scale) == pytest.approx(reference.param_groups[0]["lr"], rel=1e-13)
    torch.testing.assert_close(w, theirs.detach(), rtol=1e-13, atol=0)
    assert float(state[1].scale) < 1
    assert len(step.compilations) == 1


def test_a_plateau_keeps_dtypes_and_works_for_an_ensemble():
    params = {"a": torch.ones(2, dtype=torch.float32), "b": torch.ones(())}
    link = optim.reduce_on_plateau(patience=0, factor=0.5)

    def run(value):
        state = link.init(params)
        for _ in range(3):
            updates, state = link.update(params, state, params, value=value)
        return updates, state

    together = torch.func.vmap(run)(torch.tensor([1.0, -1.0]))
    apart = tree.stack([run(torch.tensor(1.0)), run(torch.tensor(-1.0))])
    for one, other in zip(tree.leaves(together), tree.leaves(apart), strict=True):
        assert one.dtype == other.dtype
        assert torch.equal(one, other)
    assert together[0]["a"].dtype == torch.float32


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: optim.constant(-0.1), ValueError, "value must not be negative."),
        (lambda: optim.cosine(-0.1, 10), ValueError, "start must not be negative."),
        (lambda: optim.cosine(0.1, 0), ValueError, "steps must be at least 1. Got steps=0."),
        (lambda: optim.linear(0.1, 10, end=-1.0), ValueError, "end must not be negative."),
        (lambda: optim.polynomial(0.1, 10, power=0.0), ValueError, "power must be positive."),
        (lambda: optim.exponential(0.1, 0.0), ValueError, "gamma must be positive."),
        (lambda: optim.exponential(0.1, 0.5, steps=0), ValueError, "steps must be at least 1."),
        (lambda: optim.piecewise(0.1, [5, -1]), ValueError, "milestones[1] must be at least 0."),
        (lambda: optim.piecewise(0.1, [5], gamma=-1.0), ValueError, "gamma must be positive."),
        (
            lambda: optim.join([optim.constant(0.1)], [10]),
            ValueError,
            "milestones must be one fewer than schedules. Got 1 milestones, 1 schedules.",
        ),
        (lambda: optim.join([], []), ValueError, "milestones must be one fewer than schedules."),
        (
            lambda: optim.join([optim.constant(0.1)] * 3, [10, 10]),
            ValueError,
            "milestones must rise. Got milestones=[10, 10].",
        ),
        (
            lambda: optim.warmup_cosine(0.1, 10, warmup_steps=10),
            ValueError,
            "warmup_steps must be below steps=10. Got warmup_steps=10.",
        ),
        (lambda: optim.one_cycle(0.0, 10), ValueError, "max_lr must be positive."),
        (lambda: optim.one_cycle(0.1, 0), ValueError, "total_steps must be at least 1."),
        (lambda: optim.one_cycle(0.1, 10, pct_start=1.5), ValueError, "pct_start must be in [0, 1]."),
        (
            lambda: optim.one_cycle(0.1, 10, anneal_strategy="cosine"),
            ValueError,
            "anneal_strategy must be one of 'cos', 'linear'. Got anneal_strategy='cosine'.",
        ),
        (lambda: optim.reduce_on_plateau(mode="least"), ValueError, "mode must be one of 'min', 'max'."),
        (
            lambda: optim.reduce_on_plateau(threshold_mode="relative"),
            ValueError,
            "threshold_mode must be one of 'rel', 'abs'.",
        ),
        (lambda: optim.reduce_on_plateau(factor=1.0), ValueError, "factor must be below 1. Got factor=1.0."),
        (lambda: optim.reduce_on_plateau(factor=0.0), ValueError, "factor must be positive."),
        (lambda: optim.reduce_on_plateau(patience=-1), ValueError, "patience must be at least 0."),
        (lambda: optim.reduce_on_plateau(threshold=-1.0), ValueError, "threshold must not be negative."),
    ],
)
def test_wrong_arguments_say_what_must_hold(call, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}"):
        call()


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: optim.cosine(0.1, 1.5), "steps must be an integer."),
        (lambda: optim.join([optim.constant(0.1)] * 2, [1.5]), "milestones[0] must be an integer."),
        (lambda: optim.piecewise(0.1, [1.5]), "milestones[0] must be an integer."),
        (lambda: optim.reduce_on_plateau(patience=1.5), "patience must be an integer."),
    ],
)
def test_a_number_of_steps_is_an_integer(call, message):
    with pytest.raises(TypeError, match=f"^{re.escape(message)}"):
        call()
