"""The figure of a comparison: what is drawn is what was given."""

import matplotlib.colors
import numpy as np

from funcsci.plot import comparison_figure
from funcsci.plot.style import BLUE, ORANGE

STEPS = np.arange(30)
OURS = np.exp(-STEPS / 10) + 0.1
THEIRS = OURS + np.where(STEPS % 3, 1e-9, 0.0)
LOSSES = {"functional": OURS, "nn.Module": THEIRS}
SECONDS = {"nn.Module, eager": 2e-3, "functional, trace": 1e-3, "functional, compile": 5e-4}
PEAKS = {"nn.Module, eager": 3_000_000, "functional, trace": 4_000_000}


def drawn(losses=LOSSES, seconds=SECONDS, peaks=PEAKS):
    figure = comparison_figure(losses, seconds, peaks, title="the title")
    figure.draw_without_rendering()
    return figure, {axes.get_title(): axes for axes in figure.axes if axes.axison}


def test_the_losses_lie_on_each_other_and_both_are_named():
    figure, panels = drawn()
    assert "the title" in [text.get_text() for text in figure.texts] and panels["Loss"].get_yscale() == "log"
    below, above = panels["Loss"].lines
    np.testing.assert_array_equal(above.get_ydata(), OURS)
    np.testing.assert_array_equal(below.get_ydata(), THEIRS)
    assert below.get_linewidth() > above.get_linewidth() and below.get_alpha() < 1
    assert (above.get_label(), below.get_label()) == ("functional", "nn.Module")


def test_a_difference_is_a_point_and_no_difference_is_none():
    axes = drawn()[1]["Difference of the losses"]
    (points,) = axes.lines
    assert axes.get_yscale() == "log" and points.get_linestyle() == "None"
    np.testing.assert_array_equal(np.isnan(points.get_ydata()), STEPS % 3 == 0)
    np.testing.assert_allclose(points.get_ydata()[1], 1e-9, rtol=1e-6)


def test_equal_losses_are_said_to_be_equal():
    axes = drawn({"functional": OURS, "nn.Module": OURS})[1]["Difference of the losses"]
    assert [text.get_text() for text in axes.texts] == ["zero everywhere"]


def test_losses_below_zero_are_drawn_on_a_plain_axis():
    assert drawn({"functional": OURS - 1, "nn.Module": THEIRS - 1})[1]["Loss"].get_yscale() == "linear"


def test_a_bar_for_each_form_in_the_colour_of_its_program():
    panels = drawn()[1]
    for name, values, unit, scale in (
        ("Time of a step", SECONDS, "ms", 1e3),
        ("Peak memory of tensors", PEAKS, "MB", 1e-6),
    ):
        axes = panels[name]
        assert axes.get_xlabel() == unit and axes.yaxis_inverted()
        assert [label.get_text() for label in axes.get_yticklabels()] == list(values)
        np.testing.assert_allclose(
            [bar.get_width() for bar in axes.patches], np.array([*values.values()]) * scale
        )
        colors = [matplotlib.colors.to_hex(bar.get_facecolor()) for bar in axes.patches]
        assert colors == [BLUE if form.startswith("functional") else ORANGE for form in values]


def test_no_panel_for_what_was_not_measured():
    assert list(drawn(seconds={}, peaks={})[1]) == ["Loss", "Difference of the losses"]
    assert list(drawn(peaks={})[1]) == ["Loss", "Difference of the losses", "Time of a step"]
    assert "Peak memory of tensors" in drawn(seconds={})[1]
