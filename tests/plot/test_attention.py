"""Maps of attention: one panel each, one scale, the first query on top, messages."""

import re

import numpy as np
import pytest

from funcsci import plot


def test_every_map_has_its_panel_and_all_have_one_scale():
    maps = {f"head {place}": np.full((3, 5), place / 10) for place in range(5)}
    figure = plot.attention_figure(maps, title="What is looked at")
    panels = [axes for axes in figure.axes if axes.get_title()]
    assert [panel.get_title() for panel in panels] == list(maps)
    for panel, values in zip(panels, maps.values(), strict=True):
        (image,) = panel.collections
        assert np.array_equal(image.get_array(), values)
        assert image.get_clim() == (0.0, 0.4)
        low, high = panel.get_ylim()
        assert low > high  # the first query is on top
        assert (panel.get_xlabel(), panel.get_ylabel()) == ("key", "query")


def test_nothing_looked_at_is_drawn_too():
    figure = plot.attention_figure({"all masked": np.zeros((2, 2))})
    assert figure.axes[0].collections[0].get_clim() == (0.0, 1.0)


@pytest.mark.parametrize("maps", [{}, {"all heads": np.zeros((4, 3, 3))}, {"none": np.zeros((0, 3))}])
def test_errors_say_what_must_hold(maps):
    with pytest.raises(
        ValueError, match=re.escape("maps must be of the shape (queries, keys), one at least.")
    ):
        plot.attention_figure(maps)
