"""Figures of chaos: what is drawn is what was given."""

import math
import re

import numpy as np
import pytest

from funcsci.plot import error_growth_figure, prediction_times_figure, trajectories_figure

TIME = np.linspace(0.1, 10, 100)


def test_every_trajectory_is_drawn_in_space_and_by_coordinate():
    truth = np.random.default_rng(0).normal(size=(30, 3))
    forecast = truth + 1
    forecast[20:] = math.nan
    figure = trajectories_figure({"truth": truth, "model": forecast}, coordinates=("a", "b", "c"), title="T")
    space, *panels = figure.axes
    assert [text.get_text() for text in space.get_legend().get_texts()] == ["truth", "model"]
    assert figure.get_suptitle() == "T" and space.get_zlabel() == "c"
    drawn = [np.stack(line.get_data_3d(), -1) for line in space.get_lines()]
    np.testing.assert_array_equal(drawn[0], truth)
    np.testing.assert_array_equal(drawn[1], truth[-1:])
    np.testing.assert_array_equal(drawn[2], forecast[:20])
    for place, panel in enumerate(panels):
        assert panel.get_ylabel() == "abc"[place]
        np.testing.assert_array_equal(panel.get_lines()[1].get_ydata(), forecast[:, place])
    figure.canvas.draw()


def test_errors_are_drawn_beside_the_slope_and_the_threshold():
    errors = {"one": 1e-6 * np.exp(TIME), "other": np.r_[0.0, 1e-4 * np.exp(0.5 * TIME[1:])]}
    figure = error_growth_figure(TIME, errors, lyapunov=1.0, threshold=0.4, title="T")
    (axes,) = figure.axes
    lines = {line.get_label(): line for line in axes.get_lines()}
    assert list(lines) == ["one", "other", "growth of exp(1 t)", "threshold 0.4"]
    assert axes.get_yscale() == "log"
    np.testing.assert_allclose(lines["one"].get_ydata(), errors["one"])
    guide = lines["growth of exp(1 t)"]
    assert np.allclose(np.diff(np.log(guide.get_ydata())) / np.diff(guide.get_xdata()), 1.0)
    figure.canvas.draw()
    (upper,) = axes.child_axes
    assert upper.get_xlabel() == "Lyapunov times"


def test_errors_that_are_zero_are_said_to_be():
    figure = error_growth_figure(TIME, {"one": 0 * TIME}, lyapunov=1.0, title="T")
    assert [text.get_text() for text in figure.axes[0].texts] == ["zero everywhere"]
    figure.canvas.draw()


def test_the_part_that_lasts_falls_at_each_time_and_passes_the_median():
    times = np.array([4.0, 1.0, 2.0, 3.0])
    figure = prediction_times_figure({"one": times, "none": np.zeros(3)}, title="T")
    counts, lasting = figure.axes
    step, other = lasting.get_lines()[:2]
    assert step.get_label() == "one: median 2.5" and other.get_label() == "none: median 0.0"
    np.testing.assert_allclose(step.get_xdata(), [0, 1, 2, 3, 4])
    np.testing.assert_allclose(step.get_ydata(), [1, 0.75, 0.5, 0.25, 0])
    assert sum(bar.get_height() for bar in counts.patches) == 7
    figure.canvas.draw()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: trajectories_figure({}, title=""), "trajectories must hold trajectories of shape (time, 3)"),
        (
            lambda: trajectories_figure({"a": np.zeros((2, 4, 3))}, title=""),
            "Got trajectories={'a': (2, 4, 3)}",
        ),
        (lambda: error_growth_figure(TIME, {"a": TIME[1:]}, lyapunov=1.0, title=""), "errors must have the"),
        (lambda: error_growth_figure(TIME, {}, lyapunov=0.0, title=""), "lyapunov must be positive"),
        (
            lambda: error_growth_figure(TIME, {}, lyapunov=1.0, threshold=-1.0, title=""),
            "threshold must be positive",
        ),
        (lambda: prediction_times_figure({}, title=""), "times must hold finite numbers for each name"),
        (lambda: prediction_times_figure({"a": [math.nan]}, title=""), "times must hold finite numbers"),
    ],
)
def test_wrong_arguments_say_what_must_hold(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
