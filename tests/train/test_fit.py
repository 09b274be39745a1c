"""The training loop against one written by hand with nn.Module, and each way a run may end."""

import itertools
import math
import re
import time

import pytest
import torch

from funcsci import nn, optim, random, tree
from funcsci.compile import compilations
from funcsci.train import fit, start, train_step

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
    assert str(result.status) == f"finished: all {STEPS} steps were taken"


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
    supply = iter(batches(4))
    result = fit(loss, params, optim.sgd(1e-2), supply, steps=10, backend="eager", progress_bar=False)
    assert str(result.status) == "finished: all 4 batches were used, of 10 steps allowed"
    assert result.loss.shape == result.seconds.shape == (4,)


@pytest.mark.parametrize("supply", [iter([]), itertools.repeat(torch.ones(()))], ids=["no batch", "many"])
def test_no_steps_change_nothing(supply):
    w = torch.tensor(2.0)
    result = fit(lambda w, x: w * x, w, optim.adam(0.1), supply, steps=0, progress_bar=False)
    assert torch.equal(result.params, w)
    assert result.loss.shape == result.seconds.shape == (0,)
    assert (result.status.converged, result.status.finished) == (False, True)


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


def samples(count: int):
    x = random.normal(random.fold_in(KEY, 2), (count, 2))
    return x, torch.sin(3 * x[:, :1]) * x[:, 1:]


@pytest.mark.parametrize("count", [96, 100, 127], ids=lambda count: f"{count} samples")
@pytest.mark.parametrize("takes_mask", [False, True])
def test_epochs_of_a_dataset_equal_torch_in_closed_loop(count, takes_mask):
    """Short batches included: torch takes the mean over fewer samples, ours over those that count."""
    params, mean, _ = regression()
    x, y = samples(count)

    def masked(params, batch, *, mask):
        wrong = (nn.mlp((2, 16, 16, 1)).apply(params, batch[0]) - batch[1]).square()
        return torch.where(mask[:, None], wrong, 0.0).sum() / mask.sum()

    with compilations() as made:
        result = fit(
            masked if takes_mask else mean, params, optim.sgd(0.05), (x, y),
            batch_size=32, epochs=3, shuffle=False, progress_bar=False,
        )  # fmt: skip
    assert len(made) == 1
    network, losses = module(params), []
    reference = torch.optim.SGD(network.parameters(), lr=0.05)
    for _ in range(3):
        for a, b in zip(x.split(32), y.split(32), strict=True):
            value = torch.nn.functional.mse_loss(network(a), b)
            reference.zero_grad()
            value.backward()
            reference.step()
            losses.append(value.item())
    torch.testing.assert_close(result.loss, torch.tensor(losses), rtol=1e-10, atol=0)


def test_a_short_batch_that_cannot_be_masked_is_refused_before_anything_is_done():
    params, mean, _ = regression()
    seen = []

    def total(params, batch):
        seen.append(batch)
        return mean(params, batch) * len(batch[0])

    with pytest.raises(ValueError, match=r"The last batch is short.* or pass drop_last=True"):
        fit(total, params, optim.sgd(1e-3), samples(100), batch_size=32, epochs=1, progress_bar=False)
    result = fit(
        total, params, optim.sgd(1e-3), samples(100),
        batch_size=32, epochs=1, drop_last=True, progress_bar=False,
    )  # fmt: skip
    assert len(result.loss) == 3


def test_the_key_decides_the_order_of_the_data_and_what_the_loss_draws():
    params, mean, _ = regression()

    def noisy(params, batch, *, key):
        x, y = batch
        return mean(params, (x, y + 0.1 * random.normal(key, y.shape)))

    def run(seed):
        return fit(
            noisy, params, optim.sgd(1e-2), samples(64),
            key=random.key(seed), batch_size=16, epochs=2, progress_bar=False,
        )  # fmt: skip

    one, same, other = run(1), run(1), run(2)
    assert torch.equal(one.loss, same.loss)
    assert not torch.isclose(one.loss, other.loss).any()


def test_a_loss_may_draw_its_own_points():
    """Each step has its own draw, which is the one of the key folded with the step's number."""
    result = fit(
        lambda w, *, key: w * random.uniform(key), torch.tensor(1.0), optim.sgd(0.0),
        key=random.key(8), steps=4, progress_bar=False,
    )  # fmt: skip
    wanted = torch.stack([random.uniform(random.fold_in(random.key(8), step)) for step in range(4)])
    assert torch.equal(result.loss, wanted)
    result = fit(lambda w: (w - 1) ** 2, torch.tensor(0.0), optim.sgd(0.5), steps=2, progress_bar=False)
    assert float(result.params) == 1.0


def test_the_state_of_the_model_goes_from_step_to_step():
    def loss(w, x, *, state):
        mean = 0.9 * state["mean"] + 0.1 * x.mean()
        return (w - mean) ** 2, ({"mean": mean}, {"mean": mean})

    state = {"mean": torch.tensor(2.0)}
    result = fit(
        loss, torch.tensor(0.0), optim.sgd(0.1), torch.ones(6), state=state,
        batch_size=2, epochs=2, report_every=2, progress_bar=False,
    )  # fmt: skip
    expected = [1 + 0.9**n for n in range(1, 7)]
    torch.testing.assert_close(result.state["mean"], torch.tensor(expected[-1]), rtol=1e-14, atol=0)
    torch.testing.assert_close(result.reports["mean"], torch.tensor(expected[1::2]), rtol=1e-14, atol=0)
    assert float(state["mean"]) == 2.0


def test_reports_have_the_mean_loss_the_metrics_and_what_evaluate_finds():
    told = []
    result = fit(
        lambda w, x: ((w - x) ** 2, {"twice": 2 * w}), torch.tensor(0.0), optim.sgd(0.1),
        itertools.repeat(torch.tensor(1.0)), steps=7, report_every=3, progress_bar=False,
        evaluate=lambda w: {"w": w, "one": 1}, callbacks=[told.append],
    )  # fmt: skip
    w = [1 - 0.8**n for n in range(8)]
    losses = [(one - 1) ** 2 for one in w]
    table = {
        "step": [3, 6, 7],
        "loss": [sum(losses[:3]) / 3, sum(losses[3:6]) / 3, losses[6]],
        "twice": [2 * w[2], 2 * w[5], 2 * w[6]],
        "w": [w[3], w[6], w[7]],
        "one": [1, 1, 1],
    }
    assert list(result.reports) == list(table)
    for name, column in table.items():
        torch.testing.assert_close(result.reports[name], torch.tensor(column).double(), rtol=1e-12, atol=0)
    assert [one.step for one in told] == [3, 6, 7]
    assert [float(one.params) for one in told] == pytest.approx([w[3], w[6], w[7]], rel=1e-12)
    assert told[-1].metrics == {
        name: float(column[-1]) for name, column in result.reports.items() if name != "step"
    }


def test_evaluate_may_take_the_state():
    result = fit(
        lambda w, *, state: (w**2, ({"n": state["n"] + 1}, {})), torch.tensor(1.0), optim.sgd(0.1),
        state={"n": torch.tensor(0)}, steps=4, report_every=2, progress_bar=False,
        evaluate=lambda w, *, state: {"n": state["n"]},
    )  # fmt: skip
    assert result.reports["n"].tolist() == [2, 4]


VALUES = [5.0, 3.0, 4.0, 2.5, 2.4, 2.6, 2.7, 2.45, 9.0, 1.0]


def listed(mode: str = "min", **options):
    """A run of ten reports whose monitored numbers are VALUES."""
    numbers = iter(VALUES if mode == "min" else [-value for value in VALUES])
    return fit(
        lambda w: w, torch.tensor(0.0), optim.sgd(1.0), steps=10, report_every=1, progress_bar=False,
        evaluate=lambda w: {"value": next(numbers)}, monitor="value", mode=mode, **options,
    )  # fmt: skip


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize(
    ("patience", "min_delta", "ended", "best"),
    [(None, 0.0, 10, 10), (4, 0.0, 9, 5), (1, 0.0, 3, 2), (4, 0.2, 8, 4), (9, 0.0, 10, 10)],
)
def test_the_best_report_is_kept_and_patience_has_an_end(mode, patience, min_delta, ended, best):
    result = listed(mode, patience=patience, min_delta=min_delta)
    assert len(result.loss) == ended
    assert (result.best.step, abs(result.best.value)) == (best, VALUES[best - 1])
    assert float(result.best.params) == -best
    assert float(result.params) == -ended
    assert (result.status.converged, result.status.finished) == (False, True)
    if ended < 10:
        assert f"value was best after step {best}, " in result.status.reason
        assert f"the {patience} reports since were not better" in result.status.reason


def test_a_callback_ends_the_run_only_by_saying_true():
    result = listed(callbacks=[lambda report: report.step, lambda report: report.step == 4])
    assert str(result.status) == "finished: a callback ended the run after 4 of 10 steps"


def test_a_result_tells_its_story():
    lines = repr(listed()).splitlines()
    assert lines[0] == "FitResult of 1 parameters, finished: all 10 steps were taken"
    assert lines[1].startswith("  loss -9.000e+00 after 10 steps in 0.")
    assert lines[2] == "  best value: 1.000e+00 after 10 steps"


def test_a_result_can_be_drawn(tmp_path):
    result = listed()
    figure = result.plot(tmp_path / "run.png")
    loss, value = figure.axes
    assert (loss.get_title(), value.get_title()) == ("loss", "value")
    assert loss.lines[0].get_ydata().tolist() == result.loss.tolist()
    assert value.lines[0].get_ydata().tolist() == VALUES
    assert (value.lines[1].get_xdata().tolist(), value.lines[1].get_ydata().tolist()) == ([10], [1.0])
    assert (loss.get_yscale(), value.get_yscale()) == ("linear", "linear")
    assert (tmp_path / "run.png").stat().st_size > 10_000
    with pytest.raises(ValueError, match="path must end in"):
        result.plot(tmp_path / "run.abc")


def whole_run(backend, device="cpu"):
    """With everything at once: a mask, a state, noise, metrics and evaluation."""
    params, _, _ = regression()
    model = nn.mlp((2, 16, 16, 1))

    def loss(params, batch, *, state, key, mask):
        x, y = batch
        wrong = model.apply(params, x + 0.01 * random.normal(key, x.shape, dtype=x.dtype)) - y
        value = torch.where(mask[:, None], wrong, 0.0).square().sum() / mask.sum()
        return value, ({"mean": 0.9 * state["mean"] + 0.1 * value}, {"root": value.sqrt()})

    def place(leaf):
        return leaf.to(device)

    return fit(
        loss, tree.map(place, params), optim.adam(optim.cosine(1e-2, 40)), tree.map(place, samples(50)),
        state={"mean": torch.zeros((), device=device)}, key=random.key(3), batch_size=16, epochs=10,
        evaluate=lambda params: {"norm": params["layers"][0]["weight"].norm()}, report_every=10,
        backend=backend, progress_bar=False,
    )  # fmt: skip


@pytest.mark.slow
def test_a_compiled_run_equals_an_eager_one():
    with compilations() as made:
        compiled = whole_run("compile")
    assert [one.backend for one in made] == ["compile"]
    assert_same_run(compiled, whole_run("eager"))


@pytest.mark.cuda
def test_a_run_on_a_gpu_stays_there_and_equals_the_one_on_the_cpu():
    there = whole_run("trace", "cuda")
    assert {leaf.device.type for leaf in tree.leaves((there.params, there.state, there.optimizer_state))} == {
        "cuda"
    }
    assert_same_run(there, whole_run("trace"))


def assert_same_run(one, other):
    torch.testing.assert_close(one.loss, other.loss, rtol=1e-9, atol=1e-12)
    for a, b in zip(tree.leaves(one.params), tree.leaves(other.params), strict=True):
        torch.testing.assert_close(a.cpu(), b, rtol=1e-8, atol=1e-10)
    assert list(one.reports) == ["step", "loss", "root", "norm"]
    for name, column in one.reports.items():
        torch.testing.assert_close(column, other.reports[name], rtol=1e-8, atol=1e-10)


class Item(torch.utils.data.Dataset):
    def __len__(self):
        return 20

    def __getitem__(self, index):
        x, y = samples(20)
        return x[index], y[index]


def test_tensors_a_dataset_and_a_loader_of_the_same_samples_give_the_same_run():
    params, mean, _ = regression()
    loader = torch.utils.data.DataLoader(Item(), batch_size=8)
    runs = [
        fit(mean, params, optim.sgd(0.1), data, epochs=2, shuffle=False, progress_bar=False, **size)
        for data, size in ((samples(20), {"batch_size": 8}), (Item(), {"batch_size": 8}), (loader, {}))
    ]
    for run in runs[1:]:
        torch.testing.assert_close(run.loss, runs[0].loss, rtol=1e-13, atol=0)


def test_an_optimizer_that_needs_the_loss_is_given_it():
    def update(grads, state, params, *, value):
        return tree.map(lambda leaf: -value.expand_as(leaf), params), state

    optimizer = optim.Optimizer(lambda params: (), update, needs_value=True)
    result = fit(lambda w: w**2, torch.tensor(3.0), optimizer, steps=1, progress_bar=False)
    assert float(result.params) == -6.0


def stream(*values: float):
    return iter([torch.tensor(value) for value in values])


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
    assert int(result.optimizer_state[-1].steps) == good
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


def test_a_time_limit_ends_the_run_with_its_best_report():
    """After the report of the last step; the run would take minutes."""

    def supply():
        while True:
            time.sleep(0.01)
            yield torch.tensor(0.5)

    result = fit(
        linear_loss, torch.tensor(9.0), optim.sgd(1.0), supply(), steps=30_000, report_every=1_000,
        time_limit=0.3, backend="eager", progress_bar=False,
    )  # fmt: skip
    taken = len(result.loss)
    assert 1 <= taken <= 30
    assert str(result.status) == f"not converged: the time limit was reached after {taken} of 30000 steps"
    assert not result.status.finished
    assert float(result.params) == 9.0 - 0.5 * taken == float(result.best.params)
    assert (result.seconds[:-1] < 0.3).all()


def test_a_time_limit_that_is_not_reached_changes_nothing():
    options = {"steps": 7, "backend": "eager", "progress_bar": False}
    runs = [
        fit(linear_loss, torch.tensor(9.0), optim.sgd(1.0), stream(*[0.5] * 7), time_limit=limit, **options)
        for limit in (None, 1e3)
    ]
    assert runs[0].status == runs[1].status and torch.equal(runs[0].loss, runs[1].loss)


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
    args = linear_loss, torch.tensor(9.0), optim.sgd(1.0), itertools.repeat(torch.tensor(0.5))
    result = fit(*args, steps=3, progress_bar=True)
    assert shown[-1] == f"loss {float(result.loss[2]):.2e}"
    assert "training" in "".join(capsys.readouterr())
    fit(*args, steps=3, progress_bar=False)
    assert "".join(capsys.readouterr()) == ""


def test_one_step_is_the_gradient_and_the_update():
    optimizer = optim.sgd(0.1)
    step = train_step(lambda w, x: (w * x) ** 2, optimizer)
    now, metrics = step(start(torch.tensor(3.0), optimizer), torch.tensor(2.0))
    assert float(metrics["loss"]) == 36.0
    assert float(now.params) == pytest.approx(3.0 - 0.1 * 24.0)
    assert int(now.step) == 1


W = torch.ones((), dtype=torch.float64)


def run(loss=linear_loss, params=W, optimizer=None, data=None, steps=1, **options):
    supply = itertools.repeat(W) if data is None else data
    return fit(loss, params, optimizer or optim.sgd(0.1), supply, steps=steps, progress_bar=False, **options)


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: run(steps=-1), ValueError, "steps must be at least 0. Got steps=-1."),
        (
            lambda: run(steps=None),
            ValueError,
            "One of steps and epochs must be given. Got steps=None, epochs=None",
        ),
        (
            lambda: run(steps=3, epochs=2),
            ValueError,
            "One of steps and epochs must be given. Got steps=3, epochs=2.",
        ),
        (
            lambda: run(steps=None, epochs=2),
            ValueError,
            "epochs must be None where the length of the data is not known. Got epochs=2. Try steps=1000.",
        ),
        (lambda: run(data=iter([])), ValueError, "data must yield at least one batch. Got none."),
        (lambda: run(data={3}), TypeError, "Got a set. Try torch.as_tensor for an array, iter(data) for"),
        (lambda: run(data=[]), ValueError, "data must hold at least one sample. Got none."),
        (lambda: run(data={"x": W}), ValueError, "the first dimension of all its tensors. Got shapes [()]."),
        (lambda: run(params={"w": 1.0}), TypeError, "params['w'] is a float (1.0); expected a Tensor."),
        (lambda: run(params={}), ValueError, "params must hold at least one tensor."),
        (lambda: run(optimizer=torch.optim.SGD([W], lr=0.1)), TypeError, "Got a SGD. Try optim.adam(1e-3)."),
        (lambda: run(report_every=0), ValueError, "report_every must be at least 1."),
        (lambda: run(mode="least"), ValueError, "mode must be one of 'min', 'max'. Got mode='least'."),
        (lambda: run(patience=0), ValueError, "patience must be at least 1. Got patience=0."),
        (lambda: run(min_delta=-1.0), ValueError, "min_delta must not be negative."),
        (lambda: run(time_limit=0.0), ValueError, "time_limit must be positive. Got time_limit=0.0."),
        (lambda: run(time_limit=math.inf), ValueError, "time_limit must be finite. Got time_limit=inf."),
        (lambda: run(time_limit="1 h"), TypeError, "time_limit must be a real number."),
        (
            lambda: run(monitor="accuracy"),
            ValueError,
            "monitor must be a number of the reports. Got monitor='accuracy', where they hold ['loss'].",
        ),
        (
            lambda: run(evaluate=lambda params: 1.0),
            TypeError,
            "evaluate must return a dict of numbers by name.",
        ),
        (
            lambda: run(
                evaluate=lambda params, names=["a", "b"]: {names.pop(): 1.0}, steps=2, report_every=1
            ),
            ValueError,
            "Each report must have the numbers of the first. Got ['a', 'loss'] after ['b', 'loss'].",
        ),
        (
            lambda: run(evaluate=lambda params: {"loss": 1.0}),
            ValueError,
            "evaluate must return names that the loss's metrics do not have. Got ['loss'] twice.",
        ),
        (
            lambda: fit(linear_loss, W, optim.sgd(0.1), steps=1),
            ValueError,
            "data must be given where the loss takes a batch and no key. Got data=None.",
        ),
        (
            lambda: run(loss=lambda w: w**2),
            ValueError,
            "loss must take a batch where there are data. Got one that takes params alone.",
        ),
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
