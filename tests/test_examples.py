"""The scripts: each says what it shows and reads on its own; they are found by number and run."""

import ast
import collections
import os
import re
import sys
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from funcsci import cli, examples

SCRIPTS = examples.all_examples()
EXERCISES = "1.1 1.2 1.3 1.4 2.1 2.2 2.3 2.4 3.1 3.2 4.1 4.2 4.3 5.1 5.2 5.3 5.4 6.1 6.2 6.3 7.1 7.2 7.3"
NUMBERS = [*EXERCISES.split(), "I", "II", "III", "IV", "V"]
ROOT = Path(__file__).parents[1]
INDEX = ROOT / "docs" / "course" / "index.md"


def tree_of(one: examples.Example) -> ast.Module:
    return ast.parse(one.path.read_text(encoding="utf-8"))


def call(*arguments: str):
    return CliRunner().invoke(cli.app, arguments, env={"COLUMNS": "120", "NO_COLOR": "1"})


def test_each_exercise_of_the_course_has_one_script_and_they_come_first() -> None:
    assert [one.number for one in SCRIPTS if one.number] == NUMBERS
    assert [bool(one.number) for one in SCRIPTS] == sorted(
        (bool(one.number) for one in SCRIPTS), reverse=True
    )


@pytest.mark.parametrize("one", SCRIPTS, ids=lambda one: one.name)
def test_a_script_is_a_page_that_says_what_it_shows_and_asserts_it(one: examples.Example) -> None:
    text, tree = one.path.read_text(encoding="utf-8"), tree_of(one)
    assert re.fullmatch(r"[A-Z].{10,110}\.", one.title), one.title
    assert len(text.splitlines()) - (tree.body[0].end_lineno or 0) <= 80
    assert any(isinstance(node, ast.Assert) for node in ast.walk(tree)) or "assert_close(" in text
    assert "options.device" in text
    assert "options.seed" in text or "othing here is random" in text
    if "options.smoke" in text:
        assert "`--smoke`" in (ast.get_docstring(tree) or "")
    for written in re.findall(r'"(\w+\.png)"', text):
        assert written in (ast.get_docstring(tree) or ""), f"{written} is written, and not spoken of"


def test_no_function_stands_in_two_scripts() -> None:
    bodies = collections.defaultdict(set)
    for one in SCRIPTS:
        for node in ast.walk(tree_of(one)):
            if isinstance(node, ast.FunctionDef) and len(ast.unparse(node).splitlines()) > 3:
                bodies[ast.dump(ast.Module(node.body, []))].add(f"{one.name}: {node.name}")
    assert [sorted(places) for places in bodies.values() if len(places) > 1] == []


@pytest.mark.skipif(not INDEX.exists(), reason="the pages are not beside the tests")
def test_the_course_lists_each_exercise_with_its_script_and_its_place() -> None:
    rows = re.findall(r"^\| ([\dIV.]+) \| \[.*\]\((.*)\) \| `(.*)\.py` \|$", INDEX.read_text(), re.MULTILINE)
    assert {number: name for number, _, name in rows} == {
        one.number: one.name for one in SCRIPTS if one.number
    }
    for number, place, name in rows:
        page, _, anchor = place.partition("#")
        text = (INDEX.parent / page).read_text(encoding="utf-8")
        assert f'--8<-- "examples/{name}.py"' in text
        said = f"Exercise {number}" if "." in number else f"Challenge {number}"
        (heading,) = re.findall(rf"^## ({said}:.*)$", text, re.MULTILINE)
        assert anchor == re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower())


@pytest.mark.skipif(
    not os.environ.get("FUNCSCI_REQUIRE_INSTALLED"),
    reason="the scripts are part of an installed package only",
)
def test_the_scripts_travel_with_the_package() -> None:
    assert Path(examples.__file__).with_name("scripts") == examples.FOLDER
    for path in (ROOT / "examples").rglob("*.py"):
        assert (examples.FOLDER / path.relative_to(ROOT / "examples")).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("name", ["networks/mlp", "networks/mlp.py", "mlp", "4.1"])
def test_a_script_is_found_by_its_name_or_its_exercise(name: str) -> None:
    assert examples.find(name).path == examples.FOLDER / "networks" / "mlp.py"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("burgers", r"name one script\. Got name='burgers'\. Try sequences/burgers or pinn/burgers\."),
        ("tensors/creatoin", r"Got name='tensors/creatoin'\. Try tensors/creation"),
        ("9.9", r"Got name='9\.9'\. See funcsci examples\."),
    ],
)
def test_a_name_that_is_none_or_two_is_answered_with_names(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        examples.find(name)


def test_options_have_defaults_and_the_types_of_those(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["script.py"])
    found = examples.options("What it shows.", viscosity=0.01)
    assert (found.seed, found.smoke, found.viscosity) == (0, False, 0.01)
    assert found.device == torch.device("cuda" if torch.cuda.is_available() else "cpu")
    monkeypatch.setattr(
        sys, "argv", ["script.py", "--seed", "3", "--device", "meta", "--smoke", "--viscosity", "1"]
    )
    found = examples.options("What it shows.", viscosity=0.01)
    assert (found.seed, found.smoke, found.device) == (3, True, torch.device("meta"))
    assert isinstance(found.viscosity, float)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--device", "cupcake"], "argument --device: cupcake: Expected one of cpu, cuda"),
        (["--seed", "one"], "argument --seed: invalid int value: 'one'"),
        (["--smok"], "unrecognized arguments: --smok"),
    ],
)
def test_a_wrong_option_ends_with_what_is_wrong(
    arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["script.py", *arguments])
    with pytest.raises(SystemExit, match="2"):
        examples.options("What it shows.")
    assert message in capsys.readouterr().err


def test_the_command_lists_the_scripts_one_a_line() -> None:
    lines = call("examples").stdout.splitlines()
    assert [re.split(r"\s{2,}", line)[0] for line in lines] == [one.name for one in SCRIPTS]
    assert all(line.endswith(one.title) for line, one in zip(lines, SCRIPTS, strict=True))


def test_the_command_runs_one_with_its_options_and_ends_as_it_ends(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call("run", "1.3", "--smoke", "--device", "cpu").exit_code == 0
    assert "T[" in capfd.readouterr().out
    assert call("run", "1.3", "--seed", "one").exit_code == 2
    assert "invalid int value: 'one'" in capfd.readouterr().err
    assert isinstance(call("run", "no such script").exception, ValueError)
