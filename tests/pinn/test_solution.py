"""A solution can be called, differentiated, judged, drawn, kept and read."""

import dataclasses
import json
import math
import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from safetensors.torch import load_file, save_file
from torch.func import grad, vmap

from funcsci import tree
from funcsci.compile import jit
from funcsci.pinn import Solution, solve_oscillator

SOLUTION = solve_oscillator(omega=2.0, damping=0.1, u0=0.5, du0=-1.0, t_span=(0.0, 6.0), progress=False)
SOFT = solve_oscillator(
    method="adam", steps=30, tol=100.0, hidden=(6, 5), dtype=torch.float32, progress=False, backend="trace"
)


def test_is_called_on_numbers_arrays_and_tensors_of_any_shape() -> None:
    assert isinstance(SOLUTION(0.0), float) and SOLUTION(0.0) == 0.5
    assert isinstance(SOLUTION(0), float)
    array = np.linspace(0, 6, 12).reshape(3, 4)
    values = SOLUTION(array)
    assert isinstance(values, np.ndarray) and values.shape == (3, 4)
    tensor = torch.from_numpy(array)
    assert torch.equal(SOLUTION(tensor), torch.from_numpy(values))
    assert isinstance(SOLUTION(np.float64(1.0)), float)
    assert SOLUTION(torch.tensor(1.0)).shape == () and SOLUTION(torch.ones(0)).shape == (0,)


def test_arrays_of_any_layout_are_read() -> None:
    times = np.linspace(0, 6, 12)
    for view in (times[::-1], times.astype(">f8"), times.reshape(3, 4).T, np.arange(5.0), times[::2]):
        expected = SOLUTION(torch.tensor(np.ascontiguousarray(view, dtype=np.float64).tolist()))
        np.testing.assert_allclose(SOLUTION(view), expected.numpy(), atol=1e-13)
    locked = times.copy()
    locked.flags.writeable = False
    assert SOLUTION(locked).shape == (12,)


def test_works_inside_transforms_and_programs() -> None:
    times = torch.linspace(0, 6, 12)
    torch.testing.assert_close(vmap(SOLUTION)(times), SOLUTION(times), atol=1e-13, rtol=0)
    slopes = vmap(grad(SOLUTION))(times)
    torch.testing.assert_close(slopes, SOLUTION.derivative("t", times), atol=1e-11, rtol=0)
    torch.testing.assert_close(jit(SOLUTION, backend="trace")(times), SOLUTION(times), atol=1e-13, rtol=0)


def test_is_compared_by_identity() -> None:
    again = dataclasses.replace(SOLUTION)
    assert again != SOLUTION and len({SOLUTION, again, SOLUTION}) == 2


def test_follows_the_closed_form() -> None:
    times = torch.linspace(0, 6, 77)
    torch.testing.assert_close(SOLUTION(times), SOLUTION.exact(times), atol=1e-11, rtol=0)
    assert SOLUTION.exact(0.0) == 0.5
    np.testing.assert_allclose(SOLUTION.exact(times.numpy()), SOLUTION.exact(times).numpy(), rtol=0)


def test_derivatives_are_those_of_the_closed_form() -> None:
    times = torch.linspace(0, 6, 20)
    w, decay = 2 * math.sqrt(1 - 0.01), 0.2
    amplitude = (-1.0 + 0.2 * 0.5) / w
    complex_u = (0.5 - 1j * amplitude) * torch.exp((-decay + 1j * w) * times)
    for order, tolerance in ((1, 1e-10), (2, 1e-8), (3, 1e-5)):
        expected = (complex_u * (-decay + 1j * w) ** order).real
        found = SOLUTION.derivative("t" * order, times)
        torch.testing.assert_close(found, expected, atol=tolerance, rtol=0)


def test_the_residual_is_made_of_the_derivatives() -> None:
    times = torch.linspace(0, 6, 20)
    by_hand = (
        SOLUTION.derivative("tt", times)
        + 2 * 0.1 * 2.0 * SOLUTION.derivative("t", times)
        + 4 * SOLUTION(times)
    )
    torch.testing.assert_close(SOLUTION.residual(times), by_hand, atol=1e-9, rtol=0)
    assert SOLUTION.residual(times).abs().max() < 1e-7


def test_errors_are_measured_on_a_thousand_points() -> None:
    times = torch.linspace(0, 6, 1000)
    error = SOLUTION(times) - SOLUTION.exact(times)
    assert SOLUTION.max_error == float(error.abs().max())
    assert SOLUTION.relative_l2 == pytest.approx(
        float(error.norm() / SOLUTION.exact(times).norm()), rel=1e-12
    )


@pytest.mark.parametrize("solution", [SOLUTION, SOFT], ids=["hard", "soft"])
def test_saved_and_loaded_is_the_same_to_the_bit(solution: Solution, tmp_path: Path) -> None:
    solution.save(tmp_path / "one.safetensors")
    again = Solution.load(tmp_path / "one.safetensors")
    assert tree.allclose(again.params, solution.params, rtol=0, atol=0)
    assert again.problem.recipe == solution.problem.recipe and again.status == solution.status
    assert torch.equal(again.history.loss, solution.history.loss)
    times = torch.linspace(*solution.problem.domain.ranges["t"], 9)
    assert torch.equal(again(times), solution(times))
    assert repr(again) == repr(solution)
    assert [path.name for path in tmp_path.iterdir()] == ["one.safetensors"]


def test_a_saved_file_holds_no_code(tmp_path: Path) -> None:
    SOLUTION.save(tmp_path / "one")
    content = (tmp_path / "one").read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    story = json.loads(header["__metadata__"]["story"])
    assert story["problem"]["omega"] == 2.0 and story["format"] == "funcsci.solution"
    tensors = [entry["data_offsets"] for name, entry in header.items() if name != "__metadata__"]
    assert len(content) == 8 + size + sum(end - begin for begin, end in tensors)


def test_a_file_cut_short_or_changed_is_refused(tmp_path: Path) -> None:
    SOLUTION.save(tmp_path / "whole")
    content = (tmp_path / "whole").read_bytes()
    for place in (0, 5, 100, len(content) // 2, len(content) - 1):
        (tmp_path / "part").write_bytes(content[:place])
        with pytest.raises(ValueError, match="path must be a whole file written by Solution.save"):
            Solution.load(tmp_path / "part")
    for place in range(3, len(content), len(content) // 25):
        broken = bytearray(content)
        broken[place] ^= 4
        (tmp_path / "broken").write_bytes(broken)
        with pytest.raises(ValueError, match="path must be a whole file written by Solution.save"):
            Solution.load(tmp_path / "broken")


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    with pytest.raises(ValueError, match="cannot be read"):
        Solution.load(tmp_path / "text")
    save_file({"weight": torch.ones(3)}, tmp_path / "other")
    with pytest.raises(ValueError, match="path must be a whole file"):
        Solution.load(tmp_path / "other")
    save_file({"weight": torch.ones(3, dtype=torch.bfloat16)}, tmp_path / "half")
    with pytest.raises(ValueError, match="it holds tensors of something else"):
        Solution.load(tmp_path / "half")
    with pytest.raises(FileNotFoundError, match="Pass what Solution.save wrote"):
        Solution.load(tmp_path / "nowhere")


def test_a_path_that_cannot_be_written_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    for action in (SOLUTION.save, SOLUTION.plot):
        with pytest.raises(FileNotFoundError, match="lie in a folder that exists"):
            action(tmp_path / "no" / "such.png")
        with pytest.raises(IsADirectoryError, match="be a file, not a folder"):
            action(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_figure_in_no_known_format_is_refused(tmp_path: Path) -> None:
    for name in ("figure", "figure.abc"):
        with pytest.raises(ValueError, match=r"path must end in .*\.png.*Try path='figure.png'"):
            SOLUTION.plot(tmp_path / name)


def test_a_saved_file_has_the_rights_of_any_new_file(tmp_path: Path) -> None:
    SOLUTION.save(tmp_path / "one")
    (tmp_path / "other").touch()
    assert (tmp_path / "one").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_a_new_file_takes_the_old_ones_place_and_is_not_written_into_it(tmp_path: Path) -> None:
    SOLUTION.save(tmp_path / "one")
    before = (tmp_path / "one").stat().st_ino
    with (tmp_path / "one").open("rb") as reader:
        SOFT.save(tmp_path / "one")
        assert reader.read() != (tmp_path / "one").read_bytes()
    assert (tmp_path / "one").stat().st_ino != before
    assert Solution.load(tmp_path / "one").settings.methods == ("adam",)


def test_the_old_file_stays_whole_where_writing_fails(tmp_path: Path, monkeypatch) -> None:
    SOLUTION.save(tmp_path / "one")
    before = (tmp_path / "one").read_bytes()

    def fail(descriptor):
        os.ftruncate(descriptor, 100)
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no space left"):
        SOLUTION.save(tmp_path / "one")
    assert (tmp_path / "one").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


@pytest.mark.parametrize("solution", [SOLUTION, SOFT], ids=["hard", "soft"])
def test_the_figure_shows_solution_error_and_history(solution: Solution, tmp_path: Path) -> None:
    figure = solution.plot(tmp_path / "figure.png")
    assert isinstance(figure, Figure) and (tmp_path / "figure.png").stat().st_size > 10_000
    curve, error, history = figure.axes
    times = torch.linspace(*solution.problem.domain.ranges["t"], 1000)
    shown = curve.lines[1].get_ydata()
    np.testing.assert_allclose(shown, solution(times).double().numpy(), atol=1e-12)
    assert error.get_yscale() == history.get_yscale() == "log"
    assert len(history.lines[0].get_xdata()) == len(solution.history.loss)


def test_the_figure_of_a_zero_solution_can_be_drawn(tmp_path: Path) -> None:
    solve_oscillator(u0=0.0, progress=False).plot(tmp_path / "zero.png")


def test_the_repr_tells_the_story() -> None:
    text = repr(SOLUTION)
    for word in (r"u'' \+ 0.4 u' \+ 4 u = 0", r"u\(0\) = 0.5, u'\(0\) = -1", "converged", "relative L2 error",
                 "method random_features", "conditions hard", "float64 on cpu"):  # fmt: skip
        assert re.search(word, text), word
    assert "u'' = 0" in repr(solve_oscillator(omega=0.0, progress=False))


@pytest.mark.parametrize("name", ["", "x", "tx", "T"])
def test_unknown_derivatives_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name must be made of the coordinates t.*Try name='tt'"):
        SOLUTION.derivative(name, 0.0)


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    "t", ["now", "0.5", None, True, ["a"], [0.0, [1.0]], {0.5}, np.array([True]), torch.tensor(True)]
)
def test_times_of_another_kind_are_refused(t: object) -> None:
    with pytest.raises(TypeError, match="t must be a number, an array, a list of numbers or a tensor"):
        SOLUTION(t)


@pytest.mark.parametrize("t", [[0.0, 0.5, 1.0], (0.0, 0.5, 1.0), [0, np.float32(0.5), torch.tensor(1.0)]])
def test_a_list_of_times_gives_an_array(t) -> None:
    found = SOLUTION(t)
    assert isinstance(found, np.ndarray)
    np.testing.assert_array_equal(found, SOLUTION(np.array([0.0, 0.5, 1.0])))
    assert SOLUTION([[0.0], [0.5]]).shape == (2, 1) and SOLUTION([]).shape == (0,)
    assert isinstance(SOLUTION(range(2)), np.ndarray)


def test_complex_times_are_refused() -> None:
    with pytest.raises(TypeError, match="t must be real"):
        SOLUTION(torch.tensor(1j))


def test_beyond_the_interval_there_is_a_warning() -> None:
    with pytest.warns(RuntimeWarning, match=r"t goes beyond \[0, 6\]"):
        SOLUTION(7.0)


def test_a_leaf_that_is_no_tensor_is_named_by_its_path() -> None:
    (part,) = SOLUTION.parts
    first, last = part.stages[0].params["layers"]
    params = {"layers": [first, {**last, "bias": 0.0}]}
    changed = part._replace(stages=(part.stages[0]._replace(params=params),))
    with pytest.raises(
        TypeError, match=r"params\[0\]\[0\]\['layers'\]\[1\]\['bias'\] is a float \(0.0\); expected a Tensor"
    ):
        dataclasses.replace(SOLUTION, parts=(changed,))


def test_the_tensors_of_a_file_are_named_by_their_paths(tmp_path: Path) -> None:
    SOLUTION.save(tmp_path / "one")
    names = {*tree.paths(SOLUTION.params, "params"), "history.loss", "history.seconds", "key"}
    assert set(load_file(tmp_path / "one")) == names
