"""Pictures in rows."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from funcsci import checks


def rows_figure(rows: Mapping[str, ArrayLike], *, title: str = "") -> Figure:
    """Pictures side by side, a row for each name, all in one scale of grey.

    Args:
        rows: pictures of shape `(n, height, width)` or `(n, 1, height, width)` by the name of their row;
            every row has as many.
        title: stands above the figure.

    Returns:
        A figure. It belongs to no window; notebooks show it, `savefig` writes it. White is 0 and below,
        black is 1 and above.

    Raises:
        ValueError: if there are no rows, or they differ in their number of pictures.

    Example:
        >>> import numpy as np
        >>> figure = rows_figure({"noisy": np.zeros((3, 8, 8)), "clean": np.ones((3, 1, 8, 8))})
        >>> len(figure.axes)
        6
    """
    pictures = {name: np.asarray(values) for name, values in rows.items()}
    counts = {len(values) for values in pictures.values()}
    if len(counts) != 1 or 0 in counts:
        remedy = "Cut them to one number, at least 1."
        found = {name: values.shape for name, values in pictures.items()}
        raise ValueError(checks.message("hold as many pictures in every row", "rows", found, remedy))
    (count,) = counts
    figure = Figure(figsize=(1.1 * count + 1.2, 1.15 * len(rows) + 0.4), layout="constrained")
    figure.suptitle(title, fontsize=11)
    panels = figure.subplots(len(rows), count, squeeze=False)
    for line, (name, values) in zip(panels, pictures.items(), strict=True):
        for panel, picture in zip(line, values, strict=True):
            panel.imshow(picture.reshape(picture.shape[-2:]), cmap="gray_r", vmin=0, vmax=1)
            panel.set(xticks=[], yticks=[])
            panel.spines[:].set_color("#bbbbbb")
        line[0].set_ylabel(name)
    return figure
