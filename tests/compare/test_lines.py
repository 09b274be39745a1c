"""What counts as a line of code."""

import inspect

import pytest

from funcsci.compare import TWINS, lines_of_code, program_lines
from funcsci.compare.lines import parts_of
from funcsci.compare.twins import line, oscillator


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("x = 1", 1),
        ("x = 1  # said\n\n# alone\n   \ny = 2\n", 2),
        ('def f():\n    """One line."""\n    return 1\n', 2),
        ('def f():\n    """Several\n\n    lines.\n    """\n    return 1\n', 2),
        ('class A:\n    "Told."\n    x = 1\n\n    def f(self):\n        "Told."\n        return 2\n', 4),
        ('x = """a\nb\nc"""\n', 3),
        ("f(\n    1,\n\n    # between\n    2,\n)\n", 4),
        ("    x = 1\n    y = 2\n", 2),
        ("", 0),
    ],
)
def test_lines_of_code(source: str, count: int) -> None:
    assert lines_of_code(source) == count


def test_what_a_program_uses_of_its_own_file_counts_once_and_nothing_else_does() -> None:
    parts = parts_of(oscillator.module)
    assert [part.__name__ for part in parts] == ["module", "Network", "module_step"]
    whole = sum(lines_of_code(inspect.getsource(part)) for part in parts)
    assert program_lines(oscillator.module) == whole
    # `torch.nn.functional` is an attribute, not the function of that name beside it.
    assert [part.__name__ for part in parts_of(line.module)] == ["module"]


@pytest.mark.parametrize("name", TWINS)
def test_a_program_is_as_long_as_one_can_count(name: str) -> None:
    twin = TWINS[name]
    whole = lines_of_code(inspect.getsource(inspect.getmodule(inspect.unwrap(twin.module))))
    counts = program_lines(twin.functional), program_lines(twin.module)
    assert all(count > 5 for count in counts) and sum(counts) < whole
