"""Progress bars for work that takes longer than a few seconds."""

from tqdm.auto import tqdm

QUIET_SECONDS = 1.0
"""Work shorter than this shows no bar at all."""


def bar(total: int, description: str, *, initial: int = 0, shown: bool = True) -> "tqdm[None]":
    """A progress bar that appears only when the work takes longer than a second.

    Args:
        total: number of steps.
        description: the word in front of the bar.
        initial: the steps that were taken before, where work goes on.
        shown: whether to show the bar at all.

    Returns:
        A tqdm bar: `update(n)` advances it, `set_postfix_str(text, refresh=False)` sets what stands
        behind it (without `refresh=False` it would be drawn at once); a context manager that closes
        itself.
    """
    return tqdm(
        total=total,
        desc=description,
        initial=initial,
        disable=not shown,
        delay=QUIET_SECONDS,
        leave=False,
    )
