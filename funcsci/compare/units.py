"""Numbers as one reads them."""


def readable_seconds(seconds: float | None) -> str:
    """Three digits with the unit that fits; nothing for None.

    Example:
        >>> readable_seconds(0.0345), readable_seconds(1.5e-4), readable_seconds(12.34)
        ('34.5 ms', '150 µs', '12.3 s')
    """
    if seconds is None:
        return ""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{_three_digits(seconds / size)} {unit}"
    return f"{_three_digits(seconds / 1e-6)} µs"


def readable_bytes(count: int | None) -> str:
    """Three digits with the unit that fits; nothing for None.

    Example:
        >>> readable_bytes(61_300_000), readable_bytes(8_008), readable_bytes(12)
        ('61.3 MB', '8.01 kB', '12 B')
    """
    if count is None:
        return ""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{_three_digits(count / size)} {unit}"
    return f"{count} B"


def _three_digits(value: float) -> str:
    return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f}"
