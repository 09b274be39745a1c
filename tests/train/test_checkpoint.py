"""Checkpoints come back in every bit, damaged ones are passed over, a stopped run goes on unchanged."""

import functools
import itertools
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from funcsci import nn, optim, random, train, tree
from funcsci.storage import DamagedFileError

KEY = random.key(81)
MODEL = nn.mlp((2, 8, 1))
X = random.normal(KEY, (40, 2), dtype=torch.float64)
DATA = {"x": X, "y": torch.sin(X[:, :1])}


def loss(params, batch, *, state, key):
    """With everything a run can have: a state, noise and metrics."""
    noise = 0.1 * random.normal(key, batch["y"].shape)
    value = (MODEL.apply(params, batch["x"]) - batch["y"] - noise).square().mean()
    return value, ({"mean": 0.9 * state["mean"] + 0.1 * value}, {"root": value.sqrt()})


def run(folder=None, steps=40, *, data=DATA, backend="eager", **options):
    checkpoint = None if folder is None else train.Checkpoints(folder, every=7, keep=3)
    return train.fit(
        loss, MODEL.init(KEY, dtype=torch.float64), optim.adam(optim.cosine(1e-2, 40)), data,
        state={"mean": torch.tensor(0.0, dtype=torch.float64)}, key=KEY, batch_size=12, drop_last=True,
        steps=steps, report_every=5, progress_bar=False, checkpoint=checkpoint, backend=backend, **options,
    )  # fmt: skip


@functools.cache
def uninterrupted(backend="eager"):
    return run(backend=backend)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def numbers_of(result):
    """Everything but the time."""
    return result._replace(status=None, backend=None, seconds=torch.zeros(()), best=result.best[:3])


def assert_same_bits(one, other):
    one, other = numbers_of(one), numbers_of(other)
    assert list(one.reports) == list(other.reports)
    for a, b in zip(tree.leaves(one), tree.leaves(other), strict=True):
        assert torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b


def test_checkpoints_change_nothing_and_the_last_few_are_kept(tmp_path):
    assert_same_bits(run(tmp_path, backend="trace"), uninterrupted("trace"))
    assert names(tmp_path) == [f"step-{step:012d}.safetensors" for step in (28, 35, 40)]


class Interrupting(torch.utils.data.Dataset):
    """The same samples; Ctrl-C at the n-th one that is fetched."""

    def __init__(self, fetches):
        self.left = fetches

    def __len__(self):
        return len(X)

    def __getitem__(self, index):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        return tree.map(lambda leaf: leaf[index], DATA)


@pytest.mark.parametrize("stop", [1, 6, 7, 20, 39])
def test_an_interrupted_run_is_saved_and_goes_on_with_the_same_bits(stop, tmp_path):
    first = run(tmp_path, data=Interrupting(12 * stop + 5))
    assert str(first.status) == f"not converged: interrupted after {stop} of 40 steps"
    assert names(tmp_path)[-1] == f"step-{stop:012d}.safetensors"
    assert_same_bits(run(tmp_path), uninterrupted())


def test_a_run_that_is_interrupted_in_its_report_makes_the_report_when_it_goes_on(tmp_path):
    def interrupt(params):
        raise KeyboardInterrupt

    assert "interrupted after 5 of 40 steps" in run(tmp_path, evaluate=interrupt).status.reason
    assert_same_bits(run(tmp_path), uninterrupted())


def test_a_run_can_be_extended(tmp_path):
    assert len(run(tmp_path, steps=15).loss) == 15
    again = run(tmp_path, steps=15)
    assert len(again.loss) == 15 and again.status.finished
    longer, whole = run(tmp_path, steps=40), uninterrupted()
    assert torch.equal(longer.loss, whole.loss)
    assert all(map(torch.equal, tree.leaves(longer.params), tree.leaves(whole.params)))
    assert (longer.seconds.diff() >= 0).all()


def test_a_run_that_lost_its_patience_does_not_go_on(tmp_path):
    worse = itertools.count()
    options = {"evaluate": lambda params: {"rank": next(worse)}, "monitor": "rank", "patience": 2}
    assert len(run(tmp_path, **options).loss) == 15
    again = run(tmp_path, **options)
    assert len(again.loss) == 15
    assert "rank was best after step 5" in again.status.reason


@pytest.mark.parametrize("damage", ["cut", "bit", "empty"])
def test_a_damaged_checkpoint_is_passed_over_and_the_one_before_it_used(damage, tmp_path):
    run(tmp_path)
    newest = tmp_path / names(tmp_path)[-1]
    content = bytearray(newest.read_bytes())
    if damage == "bit":
        content[len(content) // 2] ^= 1
    newest.write_bytes(content[: {"cut": len(content) - 1, "bit": None, "empty": 0}[damage]])
    begun = []
    with pytest.warns(
        RuntimeWarning, match=f"A checkpoint is passed over. path must be a whole.*{newest.name}"
    ):
        result = run(tmp_path, callbacks=[lambda report: begun.append(report.step)])
    assert begun == [40]
    assert_same_bits(result, uninterrupted())


def test_where_every_checkpoint_is_damaged_the_run_does_not_silently_begin_again(tmp_path):
    run(tmp_path)
    for path in tmp_path.iterdir():
        path.write_bytes(b"")
    with (
        pytest.warns(RuntimeWarning, match="passed over"),
        pytest.raises(ValueError, match="must have a whole one. Got 3 in .* all damaged. Remove them"),
    ):
        run(tmp_path)


def test_a_checkpoint_cut_anywhere_or_changed_in_any_bit_is_refused(tmp_path):
    run(tmp_path, steps=7)
    (path,) = tmp_path.iterdir()
    like = {"w": torch.zeros(())}
    content = path.read_bytes()
    for place in random.choice(KEY, len(content), (50,), replace=False).tolist():
        path.write_bytes(content[:place])
        with pytest.raises(DamagedFileError):
            train.load_checkpoint(path, like)
    for place in random.choice(random.key(82), 8 * len(content), (50,), replace=False).tolist():
        broken = bytearray(content)
        broken[place // 8] ^= 1 << place % 8
        path.write_bytes(broken)
        with pytest.raises(DamagedFileError):
            train.load_checkpoint(path, like)


def test_another_structure_is_told_by_its_paths(tmp_path):
    path = tmp_path / "one"
    train.save_checkpoint(path, {"a": torch.ones(2), "b": [torch.ones(()), torch.ones(3)]})
    like = {"a": torch.ones(3), "b": [torch.ones((), dtype=torch.int64)], "c": torch.ones(1)}
    with pytest.raises(ValueError, match="must have the structure of what is loaded into") as raised:
        train.load_checkpoint(path, like)
    for difference in (
        "state['c'] is missing",
        "state['b'][1] is unknown",
        "state['a'] is float64[2], not float64[3]",
        "state['b'][0] is float64[], not int64[]",
    ):
        assert difference in str(raised.value)


def test_a_tree_comes_back_with_its_extras_and_story(tmp_path):
    state = {"a": (torch.arange(3), {}), "b": torch.zeros(0, 2)}
    train.save_checkpoint(tmp_path / "one", state, extra={"history": X}, story={"n": 3, "name": "θ"})
    found = train.load_checkpoint(tmp_path / "one", tree.map(torch.zeros_like, state))
    assert tree.flatten(found.tree)[1] == tree.flatten(state)[1]
    assert all(map(torch.equal, tree.leaves(found.tree), tree.leaves(state)))
    assert torch.equal(found.extra["history"], X)
    assert (found.story["n"], found.story["name"], found.story["torch"]) == (3, "θ", str(torch.__version__))


def test_what_killed_processes_left_behind_is_removed(tmp_path):
    run(tmp_path, steps=7)
    (tmp_path / ".step-000000000014.safetensors.123.part").write_bytes(b"half of it")
    run(tmp_path, steps=14)
    assert names(tmp_path) == [f"step-{step:012d}.safetensors" for step in (7, 14)]


def test_a_loss_that_is_not_finite_is_not_saved_over_what_was_good(tmp_path):
    def fatal(w, x):
        return w * x

    def go(values):
        data = iter([torch.tensor(value, dtype=torch.float64) for value in values])
        return train.fit(
            fatal, torch.tensor(9.0, dtype=torch.float64), optim.sgd(1.0), data, steps=6, report_every=1,
            progress_bar=False, checkpoint=train.Checkpoints(tmp_path, every=1),
        )  # fmt: skip

    assert "the loss was nan at step 3" in go([1.0, 1.0, 1.0, float("nan"), 1.0, 1.0]).status.reason
    assert names(tmp_path)[-1] == "step-000000000003.safetensors"
    assert go([1.0] * 6).loss.tolist() == [9.0, 8.0, 7.0, 6.0, 5.0, 4.0]


def test_another_key_other_data_or_another_backend_is_told(tmp_path):
    run(tmp_path, steps=7)
    with pytest.raises(
        ValueError, match=r"key must be the one of the run in the checkpoint. Got key=\[0, 1\]"
    ):
        train.fit(
            loss, MODEL.init(KEY, dtype=torch.float64), optim.adam(optim.cosine(1e-2, 40)), DATA, steps=9,
            state={"mean": torch.tensor(0.0, dtype=torch.float64)}, key=random.key(1), checkpoint=tmp_path,
        )  # fmt: skip
    fewer = tree.map(lambda leaf: leaf[:30], DATA)
    with pytest.raises(ValueError, match=r"Got another: the data differ; per_epoch was 3 and is 2"):
        train.fit(
            loss, MODEL.init(KEY, dtype=torch.float64), optim.adam(optim.cosine(1e-2, 40)), fewer, steps=9,
            state={"mean": torch.tensor(0.0, dtype=torch.float64)}, batch_size=12, drop_last=True,
            checkpoint=tmp_path,
        )  # fmt: skip
    with pytest.warns(RuntimeWarning, match="used backend 'eager' and goes on with 'trace', which rounds"):
        run(tmp_path, steps=9, backend="trace")


W = torch.tensor([0.5, 2.0], dtype=torch.float64)
SAMPLES = {"x": torch.linspace(0, 1, 12, dtype=torch.float64), "y": torch.linspace(1, 2, 12).double()}


def simple(folder, *, goal=3.0, lr=1e-2, optimizer=None, data=SAMPLES, steps=4, **options):
    """A small run, of which each test changes one thing."""
    table = options.pop("table", torch.ones(2, dtype=torch.float64))

    def loss(w, batch):
        return ((w * table).sum() * batch["x"] - goal * batch["y"]).square().mean()

    defaults = {"batch_size": 4, "report_every": 2, "backend": "eager", "key": random.key(0)}
    return train.fit(
        options.pop("loss", loss), W, optimizer or optim.adam(lr), data, steps=steps, checkpoint=folder,
        progress_bar=False, **{**defaults, **options},
    )  # fmt: skip


def squared(w, batch):
    return ((w.sum() * batch["x"] - 3.0 * batch["y"]) ** 2).mean() + (w**4).sum()


def stopped(w, batch):
    """The same values as the loss of `simple`, and another gradient."""
    return ((w * 1.0).sum().detach() * batch["x"] - 3.0 * batch["y"]).square().mean() + 0 * w.sum()


OTHER_RUNS = {
    "a constant of the loss": ({"goal": -100.0}, "the loss differs: 3.0 then, -100.0 now"),
    "the loss": ({"loss": squared}, "the loss differs: another formula"),
    "its gradient": ({"loss": stopped}, "the loss differs: another formula"),
    "a tensor it closes over": ({"table": 2 * torch.ones(2).double()}, "the loss differs: other constants"),
    "the rate": ({"lr": 1e-5}, "optimizer_state[1].learning_rate was 0.01 and is 1e-05"),
    "a constant of the optimizer": (
        {"optimizer": optim.adam(1e-2, betas=(0.9, 0.95))},
        "the optimizer's update differs, in its rule, a schedule or a constant: 0.999 then, 0.95 now",
    ),
    "another order of links": (
        {"optimizer": optim.chain(optim.scale(1.0), optim.adam(1e-2))},
        "The checkpoint must have the structure",
    ),
    "the order of the data": ({"shuffle": False}, "shuffle was True and is False"),
    "the batch": ({"batch_size": 6}, "batch['x'] was float64[4] and is float64[6]"),
    "the number of a sample": (
        {"data": {**SAMPLES, "y": SAMPLES["y"] + (SAMPLES["y"] == 2) * 1e-15}},
        "Got another: the data differ. Pass",
    ),
    "the monitor": ({"monitor": "other"}, "monitor was loss and is other"),
    "the mode": ({"mode": "max"}, "mode was min and is max"),
    "what is better": ({"min_delta": 0.5}, "min_delta was 0.0 and is 0.5"),
    "less patience": ({"patience": 3}, "patience was None and is 3"),
    "the reports": ({"report_every": 1}, "report_every was 2 and is 1"),
    "fewer steps": ({"steps": 3}, "steps must be at least the 4 of the run in the checkpoint. Got steps=3."),
}


@pytest.mark.parametrize("case", OTHER_RUNS.values(), ids=OTHER_RUNS)
@pytest.mark.parametrize("steps", [4, 8], ids=["at its end", "with steps to go"])
def test_another_run_is_refused_with_what_differs(case, steps, tmp_path):
    simple(tmp_path)
    before = names(tmp_path)
    with pytest.raises(ValueError, match=re.escape(case[1])):
        simple(tmp_path, **{"steps": steps, **case[0]})
    assert names(tmp_path) == before
    assert len(simple(tmp_path, steps=steps).loss) == steps  # the run itself goes on


@pytest.mark.parametrize("backend", ["eager", "trace"])
def test_the_same_run_written_again_goes_on(backend, tmp_path):
    options = {"backend": backend, "patience": 2}
    whole = simple(tmp_path / "whole", steps=9, **options)
    simple(tmp_path / "parts", steps=4, **options)
    again = simple(tmp_path / "parts", steps=9, lr=1e-2, goal=3, **{**options, "patience": 5})
    assert torch.equal(again.loss, whole.loss) and torch.equal(again.params, whole.params)


def test_a_schedule_that_ends_elsewhere_is_another_optimizer(tmp_path):
    simple(tmp_path, optimizer=optim.adam(optim.cosine(1e-2, 4)))
    with pytest.raises(ValueError, match=re.escape("a schedule or a constant: 4.0 then, 8.0 now")):
        simple(tmp_path, optimizer=optim.adam(optim.cosine(1e-2, 8)), steps=8)


def test_a_rate_that_was_changed_in_the_state_goes_on(tmp_path):
    """Numbers of the state come from the checkpoint; compared is what the caller passed."""
    simple(tmp_path)
    (path, *_) = train.Checkpoints(tmp_path).files()
    like = {name: tree.map(torch.zeros_like, one) for name, one in loaded_like().items()}
    found = train.load_checkpoint(path, like)
    now = found.tree["now"]
    moments, rate = now.optimizer_state
    stopped = rate._replace(learning_rate=torch.zeros_like(rate.learning_rate))
    changed = {**found.tree, "now": now._replace(optimizer_state=(moments, stopped))}
    train.save_checkpoint(path, changed, extra=found.extra, story=found.story)
    assert torch.equal(simple(tmp_path, steps=6).params, now.params)


def loaded_like():
    begin = train.start(W, optim.adam(1e-2), key=random.key(0))
    return {"now": begin, "good": begin, "best": [W, {}]}


def test_a_loss_that_cannot_be_traced_is_left_out_of_the_comparison(tmp_path):
    def branching(goal):
        def loss(w, batch):
            return (w * w).sum() if float(batch["x"].sum()) > 1e3 else ((w - goal) ** 2).sum()

        return loss

    simple(tmp_path, loss=branching(1.0))
    assert len(simple(tmp_path, loss=branching(2.0), steps=6).loss) == 6
    with pytest.raises(ValueError, match="learning_rate was"):
        simple(tmp_path, loss=branching(1.0), lr=1.0, steps=8)


def test_graphs_of_another_torch_are_not_compared(tmp_path, monkeypatch):
    simple(tmp_path)
    monkeypatch.setattr(torch, "__version__", "0.0.1")
    with pytest.warns(RuntimeWarning, match="cannot be compared with those of the checkpoint.* not 0.0.1 on"):
        simple(tmp_path, goal=5.0)
    simple(tmp_path)
    with pytest.raises(ValueError, match="learning_rate was 0.01"):
        simple(tmp_path, lr=1.0)


def test_no_batch_of_a_stream_is_lost_to_the_comparison(tmp_path):
    def go(steps):
        data = iter([{"x": SAMPLES["x"] + n, "y": SAMPLES["y"]} for n in range(6)])
        return simple(tmp_path, data=data, steps=steps, batch_size=None)

    go(2)
    parts = go(6)
    data = iter([{"x": SAMPLES["x"] + n, "y": SAMPLES["y"]} for n in range(6)])
    assert torch.equal(parts.loss, simple(None, data=data, steps=6, batch_size=None).loss)
    with pytest.raises(ValueError, match="the loss differs"):
        data = iter([{"x": SAMPLES["x"], "y": SAMPLES["y"]} for n in range(8)])
        simple(tmp_path, data=data, steps=8, batch_size=None, goal=1.0)


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("checkpoint", "error", "message"),
    [
        (
            lambda folder: train.Checkpoints(folder, every=0),
            ValueError,
            "every must be at least 1. Got every=0.",
        ),
        (lambda folder: train.Checkpoints(folder, keep=0), ValueError, "keep must be at least 1."),
        (lambda folder: train.Checkpoints(folder, every=1.5), TypeError, "every must be an integer."),
    ],
)
def test_wrong_checkpoints_say_what_must_hold(checkpoint, error, message, tmp_path):
    with pytest.raises(error, match=re.escape(message)):
        train.fit(lambda w: w**2, torch.ones(()), optim.sgd(0.1), steps=1, checkpoint=checkpoint(tmp_path))


def test_a_folder_is_made(tmp_path):
    train.fit(
        lambda w: w**2, torch.ones(()), optim.sgd(0.1), steps=1, progress_bar=False,
        checkpoint=tmp_path / "runs" / "first",
    )  # fmt: skip
    assert names(tmp_path / "runs" / "first") == ["step-000000000001.safetensors"]


@pytest.mark.slow
def test_a_run_killed_at_twenty_random_moments_ends_with_the_same_bits_each_time(tmp_path):
    """SIGKILL, which no handler sees; many of the moments fall into the writing of a file."""
    script = Path(__file__).with_name("kill_runs.py")
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path), "20"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout.splitlines()[-1])
    assert outcome["killed"] == 20
    assert len(set(outcome["stopped_at"])) > 5  # at many different places
    assert outcome["digests"] == [outcome["uninterrupted"]] * 20
