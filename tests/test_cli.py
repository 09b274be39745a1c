"""The command: what it prints, what it writes, how it ends."""

import json
import runpy
from pathlib import Path

import pytest
from typer.testing import CliRunner

from funcsci import __version__, cli
from funcsci.pinn import Solution

RUNNER = CliRunner()


def call(*arguments: str):
    return RUNNER.invoke(cli.app, arguments, catch_exceptions=True, env={"COLUMNS": "120", "NO_COLOR": "1"})


def test_oscillator_prints_the_solution() -> None:
    result = call("oscillator")
    assert result.exit_code == 0
    assert "Solution of u'' + u = 0" in result.stdout and "converged" in result.stdout


def test_options_reach_the_solver() -> None:
    result = call(
        "oscillator", "--omega", "2", "--damping", "0.5", "--u0", "3", "--du0", "-1", "--t-span", "1", "4",
        "--hidden", "70", "--hidden", "60", "--tol", "1e-3", "--seed", "7", "--json",
    )  # fmt: skip
    facts = json.loads(result.stdout)
    assert (facts["omega"], facts["damping"], facts["u0"], facts["du0"]) == (2.0, 0.5, 3.0, -1.0)
    assert facts["t_span"] == [1.0, 4.0] and facts["hidden"] == [70, 60]
    assert facts["converged"] and facts["relative_l2"] < 1e-3 and facts["method"] == "levenberg_marquardt"
    assert facts["solved_by"] in ("random_features", "levenberg_marquardt") and facts["fields"] == ["u"]


def test_adam_and_its_options(tmp_path: Path) -> None:
    result = call(
        "oscillator", "--method", "adam", "--steps", "20", "--points", "16", "--hidden", "8",
        "--dtype", "float32", "--backend", "trace", "--no-progress", "--save", str(tmp_path / "one"),
    )  # fmt: skip
    assert result.exit_code == 1 and "not converged: Adam on" in result.stdout
    assert "all 20 steps were taken" in result.stdout
    solution = Solution.load(tmp_path / "one")
    assert solution.settings.methods == ("adam",) and len(solution.history.loss) == 20


def test_no_steps_at_all_is_reported_as_such() -> None:
    result = call("oscillator", "--method", "adam", "--steps", "0", "--json")
    facts = json.loads(result.stdout)
    assert result.exit_code == 1 and facts["steps"] == 0 and not facts["converged"]


def test_figure_and_solution_are_written(tmp_path: Path) -> None:
    result = call("oscillator", "--plot", str(tmp_path / "a.png"), "--save", str(tmp_path / "a.safetensors"))
    assert result.exit_code == 0 and "a.png" in result.stdout
    assert (tmp_path / "a.png").stat().st_size > 10_000
    assert Solution.load(tmp_path / "a.safetensors").relative_l2 < 1e-12


def test_info_names_versions_device_and_compiler() -> None:
    lines = dict(line.split(maxsplit=1) for line in call("info").stdout.splitlines())
    assert (
        lines["funcsci"] == __version__ and {"python", "torch", "optree", "device", "backend"} <= lines.keys()
    )


def test_help_reads_well() -> None:
    top = call("--help").stdout
    assert "oscillator" in top and "info" in top
    helped = call("oscillator", "--help").stdout
    for option in ("--omega", "--method", "--plot", "--json", "--t-span"):
        assert option in helped
    assert "levenberg_marquardt or adam" in " ".join(helped.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--method", "adm"], "Did you mean 'adam'?"),
        (["--omega", "-1"], "omega must not be negative"),
        (["--t-span", "3", "1"], "t_span must run forward"),
        (["--plot", "no/such/folder/a.png"], "plot must lie in a folder that exists"),
        (["--plot", "figure.abc"], "plot must end in"),
        (["--save", "no/such/folder/a"], "save must lie in a folder that exists"),
        (["--dtype", "float16"], "dtype must be one of"),
        (["--device", "gpu"], "device must name a device"),
    ],
)
def test_a_wrong_argument_is_one_line_and_status_2(arguments, message, monkeypatch, capsys) -> None:
    monkeypatch.setattr("sys.argv", ["funcsci", "oscillator", *arguments])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    captured = capsys.readouterr()
    assert stopped.value.code == 2 and captured.out == ""
    assert captured.err.startswith("Error: ") and message in captured.err
    assert captured.err.count("\n") == 1


PROBLEM = """
import torch
from funcsci import pinn

problem = pinn.ode(lambda u: u.t + u, (0.0, 1.0), 1.0, reference=lambda t: torch.exp(-t), text="u' + u = 0")
"""


def test_solve_takes_a_file_and_leaves_figure_and_solution(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "decay.py").write_text(PROBLEM)
    monkeypatch.chdir(tmp_path)
    result = call("solve", "decay.py")
    assert result.exit_code == 0 and "u' + u = 0" in result.stdout and "converged" in result.stdout
    assert (tmp_path / "decay.png").stat().st_size > 10_000 and "wrote decay.safetensors" in result.stdout
    problem = runpy.run_path("decay.py")["problem"]
    assert Solution.load("decay.safetensors", problem=problem).relative_l2 < 1e-12


def test_options_of_the_file_and_of_the_command_reach_the_solver(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "decay.py").write_text(PROBLEM + "options = {'hidden': (30,), 'tol': 1e-3, 'seed': 5}")
    monkeypatch.chdir(tmp_path)
    facts = json.loads(
        call("solve", "decay.py", "--seed", "7", "--json", "--plot", "a.pdf", "--save", "b").stdout
    )
    assert facts["hidden"] == [30] and facts["converged"] and facts["relative_l2"] < 1e-3
    assert {path.name for path in tmp_path.iterdir()} == {"decay.py", "a.pdf", "b"}


def test_a_solve_that_misses_tol_ends_with_status_1(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "decay.py").write_text(PROBLEM + "options = {'hidden': (2,), 'method': 'random_features'}")
    monkeypatch.chdir(tmp_path)
    result = call("solve", "decay.py", "--tol", "1e-14")
    assert result.exit_code == 1 and "not converged" in result.stdout


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "file must be a file that exists"),
        ("x = 1", "file must define problem. Got file='one.py' without. Add problem = pinn.ode"),
        ("problem = 3", "problem must be a problem. Got problem=3"),
        ("1 / 0", "file must run as Python. Got file='one.py', which ends with ZeroDivisionError"),
        (PROBLEM + "options = 5", "options must be a dict. Got options=5"),
        (PROBLEM + "options = {'method': 'adm'}", "Did you mean 'adam'?"),
        ("from funcsci import pinn; pinn.ode(lambda u: u.tt, (0, 1), 1.0)", "under-determined"),
    ],
)
def test_a_wrong_file_is_one_line_and_status_2(content, message, monkeypatch, capsys, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    if content is not None:
        (tmp_path / "one.py").write_text(content)
    monkeypatch.setattr("sys.argv", ["funcsci", "solve", "one.py"])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    captured = capsys.readouterr()
    assert stopped.value.code == 2 and captured.out == ""
    assert captured.err.startswith("Error: ") and message in captured.err and captured.err.count("\n") == 1
