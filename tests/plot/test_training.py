"""The figure of a run: its axes follow the numbers."""

import pytest

from funcsci.plot import training_figure


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([1.0, 1e-3], "log"),  # over more than one decade
        ([0.985, 0.996], "linear"),  # an accuracy
        ([1.0, 0.0], "linear"),  # zero has no logarithm
        ([-1e-3, -1.0], "linear"),
    ],
)
def test_an_axis_is_logarithmic_where_positive_numbers_reach_over_a_decade(values, scale):
    figure = training_figure(values, {"step": [1, 2], "loss": values, "other": values}, title="run")
    assert [panel.get_yscale() for panel in figure.axes] == [scale, scale]
