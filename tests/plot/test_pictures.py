"""Pictures in rows: what is drawn is what was given."""

import re

import numpy as np
import pytest

from funcsci.plot import rows_figure


def test_every_picture_is_drawn_once_in_its_row_and_in_one_scale():
    one = np.linspace(0, 1, 3 * 4 * 5).reshape(3, 4, 5)
    other = one[:, None] * 2
    figure = rows_figure({"one": one, "other": other}, title="both")
    assert len(figure.axes) == 6 and figure.get_suptitle() == "both"
    assert [panel.get_ylabel() for panel in figure.axes[::3]] == ["one", "other"]
    for panel, picture in zip(figure.axes, [*one, *other[:, 0]], strict=True):
        (image,) = panel.images
        assert np.array_equal(image.get_array(), picture)
        assert image.get_clim() == (0, 1)


@pytest.mark.parametrize(
    "rows", [{}, {"one": np.zeros((0, 2, 2))}, {"a": np.zeros((2, 2, 2)), "b": np.zeros((3, 2, 2))}]
)
def test_rows_of_unlike_lengths_are_refused(rows):
    with pytest.raises(
        ValueError, match=re.escape("rows must hold as many pictures in every row. Got rows=")
    ):
        rows_figure(rows)
