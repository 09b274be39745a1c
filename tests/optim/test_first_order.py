"""First-order optimizers and schedules against torch.optim, step by step."""

import functools
import itertools
import re

import pytest
import torch

from funcsci import nn, optim, random, tree
from funcsci.compile import jit

KEY = random.key(11)
STEPS, BATCHES = 200, 4
SGD = [
    {"momentum": momentum, "nesterov": nesterov}
    for momentum, nesterov in [(0.0, False), (0.9, False), (0.9, True)]
]
ADAM = [
    {"betas": betas, "eps": eps}
    for betas, eps in itertools.product([(0.9, 0.999), (0.8, 0.95), (0.0, 0.99)], [1e-8, 1e-3])
]
GRID = [("sgd", torch.optim.SGD, options) for options in SGD]
GRID += [("adam", torch.optim.Adam, options) for options in ADAM]


def perceptron():
    """An MLP's parameters and its mean squared error on noisy batches, so that no gradient vanishes."""
    model = nn.mlp((2, 8, 1))
    x = random.normal(random.fold_in(KEY, 1), (BATCHES, 16, 2))
    y = torch.sin(x.sum(2, keepdim=True)) + random.normal(random.fold_in(KEY, 2), (BATCHES, 16, 1))
    return model.init(KEY), lambda params, batch: (model.apply(params, x[batch]) - y[batch]).square().mean()


def odd_shapes():
    """A tree with 0-d and empty leaves, in a dict, a list and a tuple."""
    params = {
        "scale": torch.tensor(1.5),
        "none": torch.zeros(0, 3),
        "more": [torch.linspace(-1, 2, 6).reshape(2, 3), (torch.tensor([0.5]),)],
    }

    def loss(params, batch):
        parts = [(leaf**4 + (leaf - 1) ** 2).sum() for leaf in tree.leaves(params)]
        return sum(parts) * (1 + params["scale"] ** 2)

    return params, loss


PROBLEMS = {"perceptron": perceptron, "odd shapes": odd_shapes}


@functools.cache
def problem(name):
    """The parameters, and the gradient as a program of the parameters and the number of the batch."""
    params, loss = PROBLEMS[name]()
    return params, jit(torch.func.grad(loss), backend="trace")


def largest_difference(name, optimizer, reference, scheduler=None) -> float:
    """Both optimizers in closed loop, each on gradients at its own parameters."""
    params, gradient = problem(name)
    leaves, structure = tree.flatten(params)
    theirs = [leaf.clone().requires_grad_() for leaf in leaves]
    reference = reference(theirs)
    scheduler = scheduler(reference) if scheduler else None
    state = optimizer.init(params)

    def update(grads, state, params):
        updates, state = optimizer.update(grads, state, params)
        return optim.apply_updates(params, updates), state

    step = jit(update, backend="trace")
    for batch in itertools.islice(itertools.cycle(range(BATCHES)), STEPS):
        params, state = step(gradient(params, batch), state, params)
        now = tree.unflatten(structure, [leaf.detach() for leaf in theirs])
        for leaf, grad in zip(theirs, tree.leaves(gradient(now, batch)), strict=True):
            leaf.grad = grad
        reference.step()
        if scheduler:
            scheduler.step()
    pairs = zip(tree.leaves(params), theirs, strict=True)
    return max(float((ours - other).detach().abs().max()) for ours, other in pairs if ours.numel())


@pytest.mark.parametrize(("on", "rate"), [("perceptron", 1e-3), ("perceptron", 1e-2), ("odd shapes", 1e-3)])
@pytest.mark.parametrize(
    ("name", "theirs", "options"), GRID, ids=lambda value: str(value) if isinstance(value, dict) else ""
)
def test_equal_to_torch_in_closed_loop(name, theirs, options, rate, on):
    optimizer = optim.OPTIMIZERS[name](rate, **options)
    gap = largest_difference(on, optimizer, lambda leaves: theirs(leaves, lr=rate, **options))
    assert gap <= 1e-12


@pytest.mark.parametrize(("name", "theirs", "options"), [GRID[1], GRID[3]], ids=["sgd with momentum", "adam"])
def test_a_scheduled_rate_equals_torch_scheduler(name, theirs, options):
    optimizer = optim.OPTIMIZERS[name](optim.cosine(0.02, STEPS, end=0.001), **options)
    gap = largest_difference(
        "perceptron",
        optimizer,
        lambda leaves: theirs(leaves, lr=0.02, **options),
        lambda one: torch.optim.lr_scheduler.CosineAnnealingLR(one, STEPS, eta_min=0.001),
    )
    assert gap <= 1e-12


@pytest.mark.parametrize(
    ("start", "end", "steps"), [(0.1, 0.0, 37), (0.1, 0.02, 10), (0.01, 0.1, 5), (1.0, 0.0, 1)]
)
def test_cosine_equals_torch_and_then_stays(start, end, steps):
    rate = optim.cosine(start, steps, end=end)
    reference = torch.optim.SGD([torch.zeros(1)], lr=start)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(reference, steps, eta_min=end)
    for count in range(steps + 1):
        assert float(rate(torch.tensor(count))) == pytest.approx(scheduler.get_last_lr()[0], abs=1e-14)
        reference.step()
        scheduler.step()
    assert float(rate(torch.tensor(10 * steps))) == end


def test_rates_of_mixed_dtypes_keep_the_widest():
    """A float32 leaf that comes first must not round the rate of a float64 leaf."""
    params = {"a": torch.ones(2, dtype=torch.float32), "b": torch.ones(2, dtype=torch.float64)}
    optimizer = optim.sgd(0.1)
    state = optimizer.init(params)
    assert state.learning_rate.dtype == torch.float64
    updates, _ = optimizer.update(params, state, params)
    assert torch.equal(updates["b"], torch.full((2,), -0.1, dtype=torch.float64))
    assert updates["a"].dtype == torch.float32


def test_a_link_of_adam_is_a_sign_on_the_first_step():
    direction = optim.scale_by_adam(eps=0.0)
    grads = torch.tensor([3.0, -1e-6, 1e6])
    update, _ = direction.update(grads, direction.init(grads), grads)
    torch.testing.assert_close(update, grads.sign(), rtol=1e-14, atol=0)


def test_apply_updates_keeps_dtypes_and_refuses_another_structure():
    params = {"w": torch.ones(2, dtype=torch.float32)}
    moved = optim.apply_updates(params, {"w": torch.ones(2, dtype=torch.float64)})
    assert moved["w"].dtype == torch.float32
    said = (
        "updates must have the structure of params. Got missing=[\"updates['w']\"], "
        "unknown=[\"updates['v']\"]. Make updates from params, as tree.map and grad do."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        optim.apply_updates(params, {"v": torch.ones(2)})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: optim.sgd(-0.1), "learning_rate must not be negative. Got learning_rate=-0.1."),
        (lambda: optim.adam(float("nan")), "learning_rate must be finite."),
        (lambda: optim.sgd(0.1, momentum=-1.0), "momentum must not be negative."),
        (
            lambda: optim.sgd(0.1, nesterov=True),
            "momentum must be positive with nesterov=True. Got momentum=0.0.",
        ),
        (lambda: optim.adam(0.1, betas=(1.0, 0.9)), "betas[0] must be below 1. Got betas[0]=1.0."),
        (lambda: optim.adam(0.1, betas=(0.9, -0.1)), "betas[1] must not be negative."),
        (lambda: optim.adam(0.1, eps=-1.0), "eps must not be negative."),
        (lambda: optim.chain(), "chain needs at least one transformation. Got none."),
        (lambda: optim.cosine(-0.1, 10), "start must not be negative."),
        (lambda: optim.cosine(0.1, 0), "steps must be at least 1. Got steps=0."),
        (lambda: optim.adam(0.1).init({}), "params must hold at least one tensor. Got an empty tree."),
    ],
)
def test_wrong_values_say_what_must_hold(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: optim.sgd("0.1"), "learning_rate must be a real number."),
        (lambda: optim.sgd(0.1).init({"w": 0.0}), "params['w'] is a float (0.0); expected a Tensor."),
        (lambda: optim.scale_by_adam().init([0.0]), "params[0] is a float (0.0); expected a Tensor."),
        (lambda: optim.scale_by_momentum(0.5).init([0.0]), "params[0] is a float (0.0); expected a Tensor."),
        (
            lambda: optim.adam(0.1).init({"w": torch.ones(2), "n": torch.ones(2, dtype=torch.int64)}),
            "params['n'] must have a floating-point dtype. Got torch.int64.",
        ),
        (
            lambda: optim.sgd(lambda count: 0.1).update(
                KEY, optim.sgd(lambda count: 0.1).init(torch.ones(1)), KEY
            ),
            "A schedule must return a tensor of shape (). Got 0.1.",
        ),
    ],
)
def test_wrong_types_say_what_must_hold(call, message):
    with pytest.raises(TypeError, match=re.escape(message)):
        call()
