"""First-order optimizers against torch.optim, step by step in closed loop."""

import functools
import inspect
import itertools
import re

import pytest
import torch

from funcsci import nn, optim, random, tree
from funcsci.compile import jit

KEY = random.key(11)
STEPS, BATCHES = 200, 4


def product(**options):
    """Every combination of the given values, as keyword arguments."""
    return [dict(zip(options, values, strict=True)) for values in itertools.product(*options.values())]


UP = {"maximize": True}
SHORT = {"betas": (0.5, 0.95), "eps": 1e-3}
GRID = {
    "sgd": [
        {"lr": 0.0, "momentum": 0.9},
        *product(lr=[1e-3, 1e-2], momentum=[0.0, 0.9], weight_decay=[0.1]),
        {"lr": 1e-2, "momentum": 0.5, "dampening": 0.3, "weight_decay": 0.1, **UP},
        {"lr": 3e-3, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
    ],
    "adagrad": [
        *product(lr=[1e-2, 0.1], lr_decay=[0.01], weight_decay=[0.1]),
        {"initial_accumulator_value": 0.3, "eps": 1e-3, **UP},
    ],
    "adadelta": [
        {},
        {"lr": 0.3, "rho": 0.5, "weight_decay": 0.1, "eps": 1e-4, **UP},
    ],
    "rmsprop": [
        {},
        {"lr": 1e-2, "weight_decay": 0.1, "momentum": 0.9, **UP},
        {"lr": 1e-3, "centered": True, "momentum": 0.9},
        {"lr": 1e-3, "centered": True, "alpha": 0.9, "eps": 1e-3},
    ],
    "rprop": [
        {},
        {"lr": 1e-3, "etas": (0.3, 2.0), "step_sizes": (1e-4, 2e-2), **UP},
    ],
    "adam": [
        *product(lr=[1e-3, 1e-2], weight_decay=[0.1], amsgrad=[False, True]),
        {"lr": 1e-2, **SHORT, **UP},
        {"weight_decay": 0.1, "decoupled_weight_decay": True},
    ],
    "adamw": [
        *product(lr=[1e-3, 1e-2], weight_decay=[0.1]),
        {"lr": 1e-2, "amsgrad": True, **SHORT, **UP},
    ],
    "adamax": [
        {},
        {"lr": 1e-2, "weight_decay": 0.1, **SHORT, **UP},
    ],
    "nadam": [
        {},
        *product(lr=[1e-2], weight_decay=[0.1], decoupled_weight_decay=[False, True], maximize=[True]),
        {"momentum_decay": 0.1, **SHORT},
    ],
    "radam": [
        *product(lr=[1e-2], weight_decay=[0.1], decoupled_weight_decay=[False, True], maximize=[True]),
        {"lr": 1e-2, **SHORT},
        {"lr": 1e-2, "betas": (0.9, 0.6)},
    ],
    "adafactor": [
        {},
        {"lr": 0.1, "weight_decay": 0.1, **UP},
        {"beta2_decay": -0.5, "d": 2.0, "eps": (1e-3, 1e-1)},
    ],
}
THEIRS = {
    "sgd": "SGD",
    "adagrad": "Adagrad",
    "adadelta": "Adadelta",
    "rmsprop": "RMSprop",
    "rprop": "Rprop",
    "adam": "Adam",
    "adamw": "AdamW",
    "adamax": "Adamax",
    "nadam": "NAdam",
    "radam": "RAdam",
    "adafactor": "Adafactor",
}


def oracle(name, options):
    """The optimizer of torch, where this torch has it with these options."""
    made = getattr(torch.optim, THEIRS[name], None)
    if made is None:
        pytest.skip(f"torch {torch.__version__} has no {THEIRS[name]}")
    unknown = options.keys() - inspect.signature(made).parameters.keys()
    if unknown:
        pytest.skip(f"{THEIRS[name]} of torch {torch.__version__} has no {', '.join(unknown)}")
    return functools.partial(made, **options)


@functools.cache
def problem():
    """Parameters, batches, and the gradient at two sets of parameters, stacked, as one program.

    A perceptron stands beside odd shapes and an empty leaf. Both fit noise that changes with the batch, so no
    gradient vanishes: a direction that divides by its size would then show the round-off alone.
    """
    model = nn.mlp((2, 8, 1))
    x = random.normal(random.fold_in(KEY, 1), (BATCHES, 16, 2))
    y = torch.sin(x.sum(2, keepdim=True)) + random.normal(random.fold_in(KEY, 2), (BATCHES, 16, 1))
    goals = random.normal(random.fold_in(KEY, 3), (BATCHES,))
    odd = {
        "scale": torch.tensor(1.5),
        "none": torch.zeros(0, 3),
        "more": [(torch.linspace(-1, 2, 6).reshape(2, 3).T,)],
    }

    def loss(params, batch):
        x, y, goal = batch
        parts = [(leaf**4 / 8 + (leaf - goal) ** 2).sum() for leaf in tree.leaves(params["odd"])]
        return (model.apply(params["model"], x) - y).square().mean() + sum(parts)

    both = jit(torch.func.vmap(torch.func.grad(loss), (0, None)), backend="trace")
    return {"model": model.init(KEY), "odd": odd}, list(zip(x, y, goals, strict=True)), both


def largest_difference(optimizer, reference, *, maximize=False, scheduler=None) -> float:
    """Both optimizers in closed loop, each on gradients at its own parameters."""
    params, batches, gradients = problem()
    sign = -1.0 if maximize else 1.0
    leaves, structure = tree.flatten(params)
    theirs = [leaf.clone().requires_grad_() for leaf in leaves]
    reference = reference([leaf for leaf in theirs if leaf.numel()])
    scheduler = scheduler(reference) if scheduler else None
    state = optimizer.init(params)

    def update(grads, state, params):
        updates, state = optimizer.update(tree.map(lambda grad: grad[0], grads), state, params)
        return optim.apply_updates(params, updates), state

    step = jit(update, backend="trace")
    for batch in itertools.islice(itertools.cycle(batches), STEPS):
        now = tree.unflatten(structure, [leaf.detach() for leaf in theirs])
        grads = tree.map(lambda grad: sign * grad, gradients(tree.stack([params, now]), batch))
        params, state = step(grads, state, params)
        for leaf, grad in zip(theirs, tree.leaves(grads), strict=True):
            leaf.grad = grad[1]
        reference.step()
        if scheduler:
            scheduler.step()
    pairs = zip(tree.leaves(params), theirs, strict=True)
    return max(float((ours - other).detach().abs().max()) for ours, other in pairs if ours.numel())


CASES = [(name, options) for name, grid in GRID.items() for options in grid]


@pytest.mark.parametrize(("name", "options"), CASES, ids=[f"{name} {options}" for name, options in CASES])
def test_equal_to_torch_in_closed_loop(name, options):
    reference = oracle(name, options)
    gap = largest_difference(
        optim.OPTIMIZERS[name](**options), reference, maximize=options.get("maximize", False)
    )
    assert gap <= 1e-12


SCHEDULED = {
    "cosine": (
        optim.cosine(0.02, STEPS, end=0.001),
        lambda one: torch.optim.lr_scheduler.CosineAnnealingLR(one, STEPS, eta_min=0.001),
    ),
    "steps": (
        optim.piecewise(0.02, [30, 80, 80]),
        lambda one: torch.optim.lr_scheduler.MultiStepLR(one, [30, 80, 80]),
    ),
    "one cycle": (
        optim.one_cycle(0.1, STEPS),
        lambda one: torch.optim.lr_scheduler.OneCycleLR(one, 0.1, STEPS, cycle_momentum=False),
    ),
}


@pytest.mark.parametrize(("rate", "scheduler"), SCHEDULED.values(), ids=SCHEDULED)
@pytest.mark.parametrize(
    ("name", "options"),
    [("adamw", {}), ("adafactor", {"weight_decay": 0.1})],
)
def test_a_scheduled_rate_equals_torch_with_its_scheduler(name, options, rate, scheduler):
    optimizer = optim.OPTIMIZERS[name](rate, **options)
    reference = oracle(name, {"lr": 0.02, **options})
    assert largest_difference(optimizer, reference, scheduler=scheduler) <= 1e-12


def test_a_scheduled_rprop_scales_every_step():
    """Torch's Rprop forgets its rate after the first step; a schedule has no counterpart there."""
    optimizer = optim.rprop(optim.piecewise(0.1, [1], gamma=0.5))
    w = torch.zeros(())
    grads = torch.ones(())
    first, state = optimizer.update(grads, optimizer.init(w), w)
    second, _ = optimizer.update(grads, state, w)
    torch.testing.assert_close(first, torch.tensor(-0.1))
    torch.testing.assert_close(second, torch.tensor(-0.05 * 1.2))


def test_rprop_at_a_rate_of_zero_moves_nothing_and_recovers():
    optimizer = optim.rprop(optim.join([optim.constant(0.0), optim.constant(0.1)], [2]))
    w, state = torch.zeros(()), optimizer.init(torch.zeros(()))
    moves = []
    for _ in range(3):
        update, state = optimizer.update(torch.ones(()), state, w)
        moves.append(float(update))
    assert moves == pytest.approx([0.0, 0.0, -0.1 * 1.2**2])


def test_rates_of_mixed_dtypes_keep_the_widest():
    """A float32 leaf that comes first must not round the rate of a float64 leaf."""
    params = {"a": torch.ones(2, dtype=torch.float32), "b": torch.ones(2, dtype=torch.float64)}
    optimizer = optim.scale_by_learning_rate(0.1)
    state = optimizer.init(params)
    assert state.learning_rate.dtype == torch.float64
    updates, _ = optimizer.update(params, state, params)
    assert torch.equal(updates["b"], torch.full((2,), -0.1, dtype=torch.float64))
    assert updates["a"].dtype == torch.float32


@pytest.mark.parametrize("name", ["sgd", "nadam", "adafactor", "adagrad"])
def test_scalars_keep_double_precision_whatever_the_default_dtype(name):
    """A factor computed in torch's default dtype would round the steps of float64 parameters."""
    options = {"sgd": {"momentum": 0.9, "dampening": 0.3}, "adagrad": {"lr_decay": 0.3}}.get(name, {})
    optimizer = optim.OPTIMIZERS[name](0.1, **options)
    params = torch.linspace(1, 2, 5)

    def three_steps():
        now, state = params, optimizer.init(params)
        for _ in range(3):
            updates, state = optimizer.update(now**3, state, now)
            now = optim.apply_updates(now, updates)
        return now

    expected = three_steps()
    torch.set_default_dtype(torch.float32)
    assert torch.equal(three_steps(), expected)


def test_a_link_of_adam_is_a_sign_on_the_first_step():
    direction = optim.scale_by_adam(eps=0.0)
    grads = torch.tensor([3.0, -1e-6, 1e6])
    update, _ = direction.update(grads, direction.init(grads), grads)
    torch.testing.assert_close(update, grads.sign(), rtol=1e-14, atol=0)


def test_centered_rms_of_a_constant_gradient_is_finite():
    """Its variance is 0, and round-off brings the difference of the means below."""
    direction = optim.scale_by_rms(0.9, centered=True)
    grads = torch.tensor([0.1, 1 / 3, 7e3])
    state = direction.init(grads)
    for _ in range(500):
        update, state = direction.update(grads, state, grads)
    assert bool(update.isfinite().all())


def test_adafactor_keeps_a_row_and_a_column():
    state = optim.scale_by_factored_rms().init({"w": torch.ones(5, 40, 30), "b": torch.ones(7)})
    assert tree.size(state) == 1 + 5 * (40 + 30) + 7


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: optim.adam(float("nan")), "lr must be finite."),
        (lambda: optim.adam(weight_decay=-1.0), "weight_decay must not be negative."),
        (lambda: optim.sgd(momentum=-1.0), "momentum must not be negative."),
        (
            lambda: optim.sgd(nesterov=True),
            "momentum must be positive with nesterov=True. Got momentum=0.0.",
        ),
        (
            lambda: optim.sgd(nesterov=True, momentum=0.9, dampening=0.1),
            "dampening must be 0 with nesterov=True. Got dampening=0.1. Try dampening=0.0.",
        ),
        (lambda: optim.scale_by_momentum(0.9, dampening=float("inf")), "dampening must be finite."),
        (lambda: optim.adam(betas=(1.0, 0.9)), "betas[0] must be below 1. Got betas[0]=1.0."),
        (lambda: optim.adam(betas=(0.9, -0.1)), "betas[1] must not be negative."),
        (lambda: optim.adam(eps=-1.0), "eps must not be negative."),
        (lambda: optim.adamax(betas=(0.9, 1.5)), "betas[1] must be below 1."),
        (lambda: optim.adamax(eps=-1.0), "eps must not be negative."),
        (lambda: optim.nadam(betas=(-0.9, 0.5)), "betas[0] must not be negative."),
        (lambda: optim.nadam(momentum_decay=-1.0), "momentum_decay must not be negative."),
        (lambda: optim.radam(betas=(0.9, 1.0)), "betas[1] must be below 1."),
        (lambda: optim.radam(eps=-1.0), "eps must not be negative."),
        (lambda: optim.adagrad(lr_decay=-1.0), "lr_decay must not be negative."),
        (lambda: optim.adagrad(initial_accumulator_value=-1.0), "initial_accumulator_value must not be"),
        (lambda: optim.adadelta(rho=1.0), "rho must be below 1. Got rho=1.0. Try rho=0.9."),
        (lambda: optim.adadelta(eps=-1.0), "eps must not be negative."),
        (lambda: optim.rmsprop(alpha=1.5), "alpha must be below 1."),
        (lambda: optim.rmsprop(momentum=-0.5), "momentum must not be negative."),
        (lambda: optim.rprop(etas=(1.1, 1.2)), "etas must lie on both sides of 1. Got etas=(1.1, 1.2)."),
        (lambda: optim.rprop(etas=(0.0, 1.2)), "etas[0] must be positive."),
        (lambda: optim.rprop(step_sizes=(-1.0, 1.0)), "step_sizes[0] must not be negative."),
        (lambda: optim.rprop(step_sizes=(2.0, 1.0)), "step_sizes must run forward."),
        (lambda: optim.adafactor(beta2_decay=0.5), "beta2_decay must not be positive."),
        (lambda: optim.adafactor(d=0.0), "d must be positive."),
        (lambda: optim.adafactor(eps=(-1.0, 1.0)), "eps must not be negative."),
        (lambda: optim.adafactor(eps=(None, -1.0)), "least must not be negative."),
        (lambda: optim.adafactor(weight_decay=-1.0), "weight_decay must not be negative."),
    ],
)
def test_wrong_values_say_what_must_hold(call, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        call()


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: optim.sgd("0.1"), "lr must be a real number."),
        (lambda: optim.scale_by_adam().init([0.0]), "params[0] is a float (0.0); expected a Tensor."),
        (lambda: optim.scale_by_momentum(0.5).init([0.0]), "params[0] is a float (0.0); expected a Tensor."),
        (
            lambda: optim.sgd(lambda count: 0.1).update(
                torch.ones(1), optim.sgd(lambda count: 0.1).init(torch.ones(1)), torch.ones(1)
            ),
            "A schedule must return a tensor of shape (). Got 0.1.",
        ),
        (
            lambda: optim.rprop(lambda count: torch.ones(2)).update(
                torch.ones(1), optim.rprop(lambda count: torch.ones(2)).init(torch.ones(1)), torch.ones(1)
            ),
            "A schedule must return a tensor of shape (). Got tensor([1., 1.]",
        ),
    ],
)
def test_wrong_types_say_what_must_hold(call, message):
    with pytest.raises(TypeError, match=re.escape(message)):
        call()
