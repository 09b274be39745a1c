"""What all figures share: colours, axes, and the paths they are written to."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from funcsci import checks

BLUE, ORANGE, GREY = "#1f5fa8", "#d9742b", "#555555"
CYCLE = (BLUE, ORANGE, "#3a8a5f", "#8a4f9e", "#b03a48", "#6b6b6b")
"""Colours of several curves in one panel."""


def figure_path(**values: str | Path) -> None:
    """Each value is a path that can be written and whose ending names a format of figures.

    Raises:
        OSError: if it cannot be written.
        ValueError: if its ending is none of matplotlib's.
    """
    checks.writable(**values)
    formats = sorted(Figure().canvas.get_supported_filetypes())
    for name, path in values.items():
        if Path(path).suffix.removeprefix(".").lower() not in formats:
            must = f"end in .{', .'.join(formats)}"
            raise ValueError(checks.message(must, name, str(path), f"Try {name}='{Path(path).stem}.png'."))


def name_axes(axes: Axes, title: str, x: str, y: str) -> None:
    """Name a panel and its axes, and leave out what is not needed."""
    axes.set_title(title, fontsize=10, color=GREY)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    axes.locator_params(axis="x", nbins=6)
