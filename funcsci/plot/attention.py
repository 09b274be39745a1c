"""What attention looks at, as maps."""

from collections.abc import Mapping

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from funcsci import checks
from funcsci.plot.panels import draw_map
from funcsci.plot.style import name_axes

ACROSS = 4
"""Maps in a row."""


def attention_figure(maps: Mapping[str, ArrayLike], *, title: str = "") -> Figure:
    """The weights of each key in each query's output, a map for each name.

    Args:
        maps: weights of shape `(queries, keys)`, such as those of one head, by name.
        title: stands above the figure.

    Returns:
        A figure of maps with one scale of colours, from zero to the largest weight of all; the first query is
        on top. It belongs to no window; notebooks show it, `savefig` writes it.

    Raises:
        ValueError: if there are no maps, or one has not two dimensions.

    Example:
        >>> import numpy as np
        >>> figure = attention_figure({"first head": np.eye(5), "second head": np.full((5, 5), 0.2)})
        >>> [panel.get_title() for panel in figure.axes[:2]]
        ['first head', 'second head']
    """
    weights = {name: np.asarray(values, dtype=np.float64) for name, values in maps.items()}
    if not weights or any(one.ndim != 2 or not one.size for one in weights.values()):
        found = {name: one.shape for name, one in weights.items()}
        remedy = "Choose a layer, a sample and a head: weights[0, 0, 0]."
        raise ValueError(
            checks.message("be of the shape (queries, keys), one at least", "maps", found, remedy)
        )
    across = min(ACROSS, len(weights))
    down = -(-len(weights) // across)
    top = max(float(one.max()) for one in weights.values())
    figure = Figure(figsize=(3.4 * across + 0.6, 3.1 * down + 0.5), layout="constrained")
    figure.suptitle(title, fontsize=11)
    panels = figure.subplots(down, across, squeeze=False).flatten()
    for panel, (name, one) in zip(panels, weights.items(), strict=False):
        queries, keys = (np.arange(size) for size in one.shape)
        draw_map(figure, panel, keys, queries, one, colors=("viridis", Normalize(0.0, top or 1.0)))
        panel.invert_yaxis()
        name_axes(panel, name, "key", "query")
        panel.grid(False)
    for panel in panels[len(weights) :]:
        panel.set_axis_off()
    return figure
