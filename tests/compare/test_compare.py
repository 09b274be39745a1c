"""`compare` and the command: what they find, print, draw and refuse."""

import json

import pytest
import torch
from typer.testing import CliRunner

from funcsci import cli
from funcsci.compare import TWINS, Comparison, compare
from funcsci.compare.measure import Cost
from funcsci.compare.pair import Run

RUNNER = CliRunner()


@pytest.fixture(scope="module")
def measured() -> Comparison:
    return compare("logistic", steps=5, compiled=False, progress_bar=False)


def test_a_comparison_tells_the_whole_story(measured: Comparison) -> None:
    text = repr(measured)
    assert text.startswith("logistic: logistic regression, 3 parameters, batches of 64 of 640 points of two")
    assert "5 steps in float64: losses differ by at most" in text and "lines of code: 8 functional" in text
    assert "% functional, " in text and f"float32, cpu, {torch.get_num_threads()} thread" in text
    rows = [line for line in text.splitlines() if line.startswith(("  nn.Module,", "  functional,"))]
    assert len(rows) == 3 == len(measured.costs) and all("s" in row and "B" in row for row in rows)
    assert measured.fastest_module == measured.costs[0].seconds and " 1.00 " in rows[0]


def test_the_facts_are_json_and_complete(measured: Comparison) -> None:
    facts = json.loads(json.dumps(measured.facts()))
    assert facts["run"]["functional_loss"] == measured.run.functional_loss.tolist()
    assert facts["run"]["differences"].keys() == {"weight", "bias"}
    assert facts["run"]["loss_difference"] == measured.run.loss_difference
    assert facts["dtype"] == "float64" and facts["costs_dtype"] == "float32"
    assert [cost["name"] for cost in facts["costs"]] == [cost.name for cost in measured.costs]


def test_the_figure_is_written(measured: Comparison, tmp_path) -> None:
    figure = measured.plot(tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 10_000 and len(figure.axes) == 4
    with pytest.raises(ValueError, match="path must end in"):
        measured.plot(tmp_path / "a.txt")


def test_a_form_that_does_not_run_has_its_reason_below_the_table() -> None:
    losses = torch.ones(2)
    run = Run(losses, losses, {"a": 0.0, "b": 3.0}, ("b",), None, None)
    costs = (
        Cost("nn.Module, compile", failure="NotHere: " + "long " * 40),
        Cost("functional, trace", 1.0, 0.5),
    )
    found = Comparison("x", "y", run, torch.float64, {"functional": 1}, costs, torch.float32, "cpu")
    assert run.parameter_difference == 0.0 and run.free_difference == 3.0 and found.fastest_module is None
    *_, first, second, reason = repr(found).splitlines()
    assert first.split() == ["nn.Module,", "compile"] and second.split()[2:] == ["500", "ms", "1.00", "s"]
    assert reason.startswith("  nn.Module, compile does not run: NotHere: long") and len(reason) <= 110
    assert "what the loss does not depend on differs by 3.0e+00" in repr(found)


def test_the_same_seed_gives_the_same_losses_and_another_seed_others() -> None:
    one, same, other = (compare("line", steps=5, seed=seed, costs=False).run for seed in (1, 1, 2))
    assert torch.equal(one.functional_loss, same.functional_loss)
    assert torch.equal(one.module_loss, same.module_loss)
    assert not torch.equal(one.functional_loss, other.functional_loss)


def test_the_precision_is_the_one_asked_for() -> None:
    found = compare("sine", steps=3, dtype=torch.float32, costs=False)
    assert found.dtype == found.costs_dtype == torch.float32 and found.costs == ()
    assert 0 < found.run.loss_difference + found.run.parameter_difference < 1e-5
    assert "a step" not in repr(found)


REFUSED = [
    (("vgq",), {}, ValueError, "name must be one of 'line'.*Got name='vgq'. Did you mean 'vgg'?"),
    (("line",), {"steps": 0}, ValueError, "steps must be at least 1. Got steps=0"),
    (("line",), {"steps": 1.5}, TypeError, "steps must be an integer. Got steps=1.5"),
    (("line",), {"seed": "a"}, TypeError, "seed must be an integer. Got seed='a'"),
    (("line",), {"dtype": torch.float16}, ValueError, "dtype must be torch.float32 or torch.float64"),
    (("line",), {"device": "meta"}, ValueError, "device must be a device that holds numbers"),
    (("line",), {"device": "nowhere"}, ValueError, "device must name a device"),
]


@pytest.mark.wrong_types
@pytest.mark.parametrize(("args", "kwargs", "error", "message"), REFUSED)
def test_what_makes_no_sense_is_refused(args, kwargs, error, message) -> None:
    with pytest.raises(error, match=message):
        compare(*args, **kwargs)


def call(*arguments: str):
    return RUNNER.invoke(cli.app, ("compare", *arguments), env={"COLUMNS": "120", "NO_COLOR": "1"})


def test_the_command_lists_the_models() -> None:
    result = call()
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.stdout.splitlines()] == list(TWINS)


def test_the_command_takes_its_options(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {}

    def once(name, **options):
        asked.update(options, name=name)
        return compare(name, steps=options["steps"], costs=False)

    monkeypatch.setattr(cli, "compare", once)
    path = tmp_path / "a.png"
    options = ("--steps", "3", "--seed", "7", "--no-compiled", "--no-memory", "--no-progress")
    result = call("line", *options, "--plot", str(path))
    assert result.exit_code == 0 and result.stdout.startswith("line: linear regression")
    assert path.exists() and f"wrote {path}" in result.stdout
    expected = {"steps": 3, "seed": 7, "compiled": False, "memory": False, "progress_bar": False}
    assert asked == {"name": "line", **expected}
    facts = json.loads(call("line", "--steps", "2", "--json").stdout)
    assert len(facts["run"]["module_loss"]) == 2 and asked["compiled"] and asked["memory"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["lin"], "Did you mean 'line'?"), (["line", "--plot", "a.txt"], "plot must end in")],
)
def test_a_wrong_argument_is_one_line(arguments, message, monkeypatch, capsys) -> None:
    monkeypatch.setattr("sys.argv", ["funcsci", "compare", *arguments])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    captured = capsys.readouterr()
    assert stopped.value.code == 2 and captured.err.startswith("Error: ") and message in captured.err
    assert captured.out == "" and captured.err.count("\n") == 1


@pytest.mark.slow
def test_the_compiled_forms_run_and_are_measured() -> None:
    found = compare("line", steps=3, progress_bar=False)
    costs = {cost.name: cost for cost in found.costs}
    for name in ("nn.Module, compile", "functional, compile"):
        assert not costs[name].failure and costs[name].seconds < costs[name].first
        assert 16 <= costs[name].memory < 10_000
