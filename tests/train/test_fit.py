"""The training loop against one written by hand with nn.Module, and each way a run may end."""

import itertools
import math
import re

import pytest
import torch

from funcsci import nn, optim, random, tree
from funcsci.compile import compilations
from funcsci.train import TrainState, fit, train_step

KEY = random.key(41)
STEPS = 50


def regression():
    """A perceptron's parameters, its loss, and batches without end."""
    model = nn.mlp((2, 16, 16, 1))

    def loss(params, batch):
        x, y = batch
        return (model.apply(params, x) - y).square().mean()

    return model.init(KEY), loss, itertools.cycle(batches(8))


def batches(count: int):
    x = random.normal(random.fold_in(KEY, 1), (count, 32, 2))
    return list(zip(x, torch.sin(3 * x[..., :1]) * x[..., 1:], strict=True))


def module(params) -> torch.nn.Sequential:
    """The same perceptron as nn.Module, made without drawing numbers."""
    layers = []
    for layer in params["layers"]:
        out_features, in_features = layer["weight"].shape
        linear = torch.nn.utils.skip_init(torch.nn.Linear, in_features, out_features)
        linear.load_state_dict(layer)
        layers += [linear, torch.nn.Tanh()]
    return torch.nn.Sequential(*layers[:-1])


def by_hand(params, make) -> tuple[list[float], list[torch.Tensor]]:
    network, losses = module(params), []
    reference = make(network.parameters())
    for x, y in itertools.islice(itertools.cycle(batches(8)), STEPS):
        value = torch.nn.functional.mse_loss(network(x), y)
        reference.zero_grad()
        value.backward()
        reference.step()
        losses.append(value.item())
    return losses, [leaf.detach() for leaf in network.parameters()]


PAIRS = {
    "sgd": (optim.sgd(0.05, momentum=0.9), lambda leaves: torch.optim.SGD(leaves, lr=0.05, momentum=0.9)),
    "adam": (optim.adam(3e-3), lambda leaves: torch.optim.Adam(leaves, lr=3e-3)),
}


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_equal_to_a_hand_written_loop(pair):
    ours, theirs = pair
    params, loss, supply = regression()
    result = fit(loss, params, ours, supply, steps=STEPS, progress_bar=False)
    losses, leaves = by_hand(params, theirs)
    torch.testing.assert_close(result.loss, torch.tensor(losses), rtol=1e-10, atol=0)
    for layer, weight, bias in zip(result.params["layers"], leaves[::2], leaves[1::2], strict=True):
        torch.testing.assert_close(layer["weight"], weight, rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(layer["bias"], bias, rtol=1e-10, atol=1e-12)
    assert str(result.status) == f"converged: all {STEPS} steps were taken"


def test_one_program_lengths_and_kinds_of_the_history():
    params, loss, supply = regression()
    before = tree.map(torch.clone, params)
    with compilations() as made:
        result = fit(
            loss, params, optim.adam(optim.cosine(1e-2, STEPS)), supply, steps=STEPS, progress_bar=False
        )
    assert len(made) == 1
    assert result.backend == made[0].backend
    assert result.loss.shape == result.seconds.shape == (STEPS,)
    assert result.loss.dtype == result.seconds.dtype == torch.float64
    assert (result.seconds.diff() >= 0).all()
    assert int(result.optimizer_state[0].steps) == STEPS
    assert all(map(torch.equal, tree.leaves(before), tree.leaves(params)))


def test_deterministic_in_every_bit():
    runs = []
    for _ in range(2):
        params, loss, supply = regression()
        generator = torch.get_rng_state()
        runs.append(fit(loss, params, optim.adam(1e-2), supply, steps=20, progress_bar=False))
        assert torch.equal(torch.get_rng_state(), generator)
    one, two = runs
    assert torch.equal(one.loss, two.loss)
    assert all(map(torch.equal, tree.leaves(one.params), tree.leaves(two.params)))


def test_params_that_require_gradients_keep_no_graph():
    params, loss, supply = regression()
    params = tree.map(lambda leaf: leaf.clone().requires_grad_(), params)
    result = fit(loss, params, optim.sgd(1e-2), supply, steps=3, backend="eager", progress_bar=False)
    for leaf in tree.leaves((result.params, result.optimizer_state)):
        assert not leaf.requires_grad


def test_no_more_batches_are_drawn_than_steps():
    params, loss, _ = regression()
    supply = iter(batches(8))
    fit(loss, params, optim.sgd(1e-2), supply, steps=3, backend="eager", progress_bar=False)
    assert len(list(supply)) == 5


def test_batches_that_run_out_end_the_run():
    params, loss, _ = regression()
    result = fit(loss, params, optim.sgd(1e-2), batches(4), steps=10, backend="eager", progress_bar=False)
    assert str(result.status) == "converged: all 4 batches were used, of 10 steps allowed"
    assert result.loss.shape == result.seconds.shape == (4,)


@pytest.mark.parametrize("supply", [[], itertools.repeat(torch.ones(()))], ids=["no batch", "many"])
def test_no_steps_change_nothing(supply):
    w = torch.tensor(2.0)
    result = fit(lambda w, x: w * x, w, optim.adam(0.1), supply, steps=0, progress_bar=False)
    assert torch.equal(result.params, w)
    assert result.loss.shape == result.seconds.shape == (0,)
    assert result.status.converged


def test_a_batch_may_be_empty():
    result = fit(
        lambda w, _: (w - 1) ** 2,
        torch.tensor(0.0),
        optim.sgd(0.5),
        itertools.repeat(()),
        steps=2,
        progress_bar=False,
    )
    assert float(result.params) == 1.0


def stream(*values: float):
    return [torch.tensor(value) for value in values]


def linear_loss(w, x):
    """The gradient is the batch, so sgd(1.0) subtracts it."""
    return w * x


@pytest.mark.parametrize("place", [0, 1, 2, 5, 6], ids=lambda place: f"step {place}")
@pytest.mark.parametrize("poison", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_the_run(place, poison):
    """The parameters are those of the last finite loss, and their state is the one that belongs to them."""
    values = [0.5] * 7
    values[place] = poison
    optimizer = optim.sgd(lambda count: torch.ones(()))
    result = fit(linear_loss, torch.tensor(9.0), optimizer, stream(*values), steps=7, progress_bar=False)
    good = max(place - 1, 0)
    assert not result.status.converged
    assert f"the loss was {poison} at step {place};" in result.status.reason
    assert float(result.params) == 9.0 - 0.5 * good
    assert int(result.optimizer_state.steps) == good
    assert result.loss.shape == result.seconds.shape == (place + 1,)
    assert torch.isfinite(result.loss[:-1]).all()


def test_parameters_that_are_not_finite_after_the_last_step_are_not_returned():
    """The loss is finite at 0, its gradient is not."""
    result = fit(
        lambda w, x: torch.sqrt(w) * x,
        torch.tensor(0.0),
        optim.sgd(1.0),
        stream(1.0),
        steps=1,
        progress_bar=False,
    )
    assert "the parameters were not finite after step 0" in result.status.reason
    assert (result.status.converged, float(result.params)) == (False, 0.0)


@pytest.mark.parametrize("place", [0, 1, 4])
def test_an_interruption_returns_what_is_there(place):
    def supply():
        yield from stream(*[0.5] * place)
        raise KeyboardInterrupt

    result = fit(linear_loss, torch.tensor(9.0), optim.sgd(1.0), supply(), steps=7, progress_bar=False)
    assert str(result.status) == f"not converged: interrupted after {place} of 7 steps"
    assert float(result.params) == 9.0 - 0.5 * place
    assert result.loss.tolist() == [0.5 * (9.0 - 0.5 * i) for i in range(place)]


def test_an_error_in_the_batches_is_not_hidden():
    def supply():
        yield torch.ones(())
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        fit(linear_loss, torch.tensor(1.0), optim.sgd(0.1), supply(), steps=7, progress_bar=False)


def test_progress_shows_the_loss_or_nothing(monkeypatch, capsys):
    shown = []
    monkeypatch.setattr(
        "funcsci.progress.tqdm.set_postfix_str", lambda bar, text, refresh: shown.append(text)
    )
    monkeypatch.setattr("funcsci.progress.QUIET_SECONDS", 0.0)
    args = linear_loss, torch.tensor(9.0), optim.sgd(1.0), stream(0.5, 0.5, 0.5)
    result = fit(*args, steps=3, progress_bar=True)
    assert shown[-1] == f"loss {float(result.loss[1]):.2e}"
    assert "training" in "".join(capsys.readouterr())
    fit(*args, steps=3, progress_bar=False)
    assert "".join(capsys.readouterr()) == ""


def test_one_step_is_the_gradient_and_the_update():
    step = train_step(lambda w, x: (w * x) ** 2, optim.sgd(0.1))
    now, value = step(
        TrainState(torch.tensor(3.0), optim.sgd(0.1).init(torch.tensor(3.0))), torch.tensor(2.0)
    )
    assert float(value) == 36.0
    assert float(now.params) == pytest.approx(3.0 - 0.1 * 24.0)


W = torch.ones((), dtype=torch.float64)


def run(loss=linear_loss, params=W, optimizer=None, supply=(W,), steps=1):
    return fit(loss, params, optimizer or optim.sgd(0.1), supply, steps=steps, progress_bar=False)


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: run(steps=-1), ValueError, "steps must be at least 0. Got steps=-1."),
        (lambda: run(supply=[]), ValueError, "batches must yield at least one batch. Got none."),
        (
            lambda: run(supply=torch.ones(3)),
            TypeError,
            "batches must be an iterable of batches. Got a single batch",
        ),
        (lambda: run(supply={"x": W}), TypeError, "Got a single batch, a dict. Try itertools.repeat(batch)."),
        (lambda: run(params={"w": 1.0}), TypeError, "params['w'] is a float (1.0); expected a Tensor."),
        (lambda: run(params={}), ValueError, "params must hold at least one tensor."),
        (lambda: run(loss=lambda w, x: w * torch.ones(3)), TypeError, "shape (3,). Try its .mean()."),
        (
            lambda: run(loss=lambda w, x: 1.0),
            TypeError,
            "loss must return a real tensor of shape (). Got 1.0.",
        ),
        (lambda: run(optimizer=torch.optim.SGD([W], lr=0.1)), TypeError, "Got a SGD. Try optim.adam(1e-3)."),
    ],
)
def test_wrong_arguments_say_what_must_hold(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()


def test_the_bar_says_at_once_that_the_step_is_being_compiled(monkeypatch, capsys):
    shown = []

    class Compiled:
        backend = "compile"

        def __init__(self, function, **_):
            self.function = function

        def __call__(self, *arguments):
            shown.append(capsys.readouterr().err)
            return self.function(*arguments)

    monkeypatch.setattr("funcsci.train.loop.jit", Compiled)
    batches = itertools.repeat(torch.tensor(1.0))
    fit(lambda w, x: (w - x) ** 2, torch.tensor(0.0), optim.sgd(0.1), batches, steps=1)
    assert "compiling" in shown[0]
