"""Which backend runs follows a fixed rule."""

import sys
import warnings
from pathlib import Path

import pytest
import torch

from funcsci.compile import choose, compiler, jit
from funcsci.compile.backends import COMPILE_STEPS, _warn_no_compiler, build
from funcsci.compile.trace import trace


@pytest.fixture
def with_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _install(tmp_path / "c++", monkeypatch)


@pytest.fixture
def without_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.delenv("FUNCSCI_BACKEND", raising=False)
    _warn_no_compiler.cache_clear()


def _install(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    monkeypatch.setenv("CXX", str(path))
    monkeypatch.delenv("FUNCSCI_BACKEND", raising=False)


def test_the_rule(with_compiler: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose() == "compile"
    assert choose(steps=COMPILE_STEPS) == "compile"
    assert choose(steps=COMPILE_STEPS - 1) == "trace"
    assert choose("compile", steps=1) == "compile"
    monkeypatch.setenv("FUNCSCI_BACKEND", "eager")
    assert choose(steps=COMPILE_STEPS) == "eager"
    assert choose("trace") == "trace"
    monkeypatch.setenv("FUNCSCI_DISABLE_JIT", "1")
    assert choose("compile") == "eager"
    monkeypatch.setenv("FUNCSCI_DISABLE_JIT", "0")
    assert choose("compile") == "compile"


def test_an_unknown_backend_is_answered_with_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        ValueError, match="backend must be one of 'compile', 'trace', 'eager'.*mean 'compile'"
    ):
        jit(torch.sin, backend="compiled")
    with pytest.raises(ValueError, match="Did you mean 'trace'"):
        choose("tracing")
    monkeypatch.setenv("FUNCSCI_BACKEND", "egar")
    with pytest.raises(ValueError, match="FUNCSCI_BACKEND must be one of .* Did you mean 'eager'"):
        choose()


def test_without_a_compiler_the_trace_runs_with_one_warning(without_compiler: None) -> None:
    x = torch.ones(2)
    with pytest.warns(RuntimeWarning, match=r"No C\+\+ compiler was found, .* Install g\+\+") as caught:
        jitted = jit(lambda x: x + 1, backend="compile")
        assert torch.equal(jitted(x), x + 1)
        assert jit(lambda x: x + 2)(x)[0] == 3
    assert len(caught) == 1
    assert jitted.compilations[0].backend == "trace"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert choose("compile") == "trace"


def test_the_compiler_is_the_one_torch_would_run(
    without_compiler: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert compiler() is None
    _install(tmp_path / "mine", monkeypatch)
    assert compiler() == str(tmp_path / "mine")
    monkeypatch.setenv("CXX", str(tmp_path / "none"))
    assert compiler() is None
    monkeypatch.delenv("CXX")
    for platform, name in (("linux", "g++"), ("darwin", "clang++")):
        monkeypatch.setattr(sys, "platform", platform)
        assert compiler() is None
        _install(tmp_path / name, monkeypatch)
        monkeypatch.delenv("CXX")
        assert compiler() == str(tmp_path / name)
        (tmp_path / name).unlink()


def test_a_switch_in_the_environment_turns_programs_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUNCSCI_DISABLE_JIT", "1")
    runs = []
    jitted = jit(lambda x: runs.append(1) or x if x.sum() > 0 else -x, backend="trace")
    for _ in range(2):
        assert jitted(torch.ones(2))[0] == 1
    assert len(runs) == 2
    assert not jitted.compilations


def test_the_eager_backend_has_no_program() -> None:
    module = trace(lambda x: [x + 1], [torch.ones(1)], ["x"])
    with pytest.raises(ValueError, match="backend must make a program. Got backend='eager'"):
        build(module, [torch.ones(1)], "eager")


@pytest.mark.slow
def test_the_compiler_makes_a_program_that_runs_without_python_guards() -> None:
    jitted = jit(lambda x: (x.sin() * x).sum(0), backend="compile")
    x = torch.linspace(0, 1, 12).reshape(3, 4)
    for scale in (1, 2, 3):
        torch.testing.assert_close(
            jitted(x * scale), ((x * scale).sin() * x * scale).sum(0), rtol=1e-13, atol=0
        )
    assert [made.backend for made in jitted.compilations] == ["compile"]


@pytest.mark.slow
def test_a_number_that_the_function_makes_is_made_anew_in_each_call() -> None:
    program = jit(lambda x: (torch.tensor([1.0, 2.0]) * x, torch.tensor([3.0, 4.0])), backend="compile")
    program(torch.ones(2))[1].mul_(5)
    assert [one.tolist() for one in program(torch.ones(2))] == [[1.0, 2.0], [3.0, 4.0]]


@pytest.mark.slow
def test_a_first_call_with_one_tensor_twice_says_nothing_of_later_calls() -> None:
    jitted = jit(lambda a, b: a + 2 * b, backend="compile")
    x = torch.arange(6.0).reshape(3, 2)
    for first, second in ((x, x), (x, torch.full((3, 2), 5.0)), (x + 1, x)):
        assert torch.equal(jitted(first, second), first + 2 * second)
    rows = torch.arange(2.0).expand(3, 2)  # whose rows share their memory
    assert torch.equal(jitted(rows, rows), 3 * rows)
    assert torch.equal(jitted(rows, torch.ones(2).expand(3, 2)), rows + 2)
    assert len(jitted.compilations) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "function",
    [
        lambda a, b, p: torch.add(a @ b, p, alpha=0.5),
        lambda a, b, p: torch.add(p, a @ b, alpha=0.5),
        lambda a, b, p: torch.sub(a @ b, p, alpha=3),
        lambda a, b, p: torch.addmm(p, a, b, beta=0.5, alpha=3.0),
    ],
)
def test_factors_of_a_sum_with_a_matrix_product_are_not_lost(function) -> None:
    a, b, p = (torch.linspace(-1, 2, 12).reshape(4, 3) @ torch.ones(3, 4) + n for n in range(3))
    compiled = jit(function, backend="compile")(a, b, p)
    torch.testing.assert_close(compiled, function(a, b, p), rtol=1e-13, atol=1e-13)
