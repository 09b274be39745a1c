"""The page of errata and the tests beside this file name each other."""

import ast
import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "errata.md"
NAMED = re.compile(r"`tests/errata/(test_\w+\.py)::(test_\w+)`")

pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="the pages are not beside the tests")


def sections() -> dict[str, str]:
    """What stands under each heading."""
    _, *parts = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    titles = [part.partition("\n")[0] for part in parts]
    assert len(set(titles)) == len(titles)
    return {title: part.partition("\n")[2] for title, part in zip(titles, parts, strict=True)}


def written() -> set[tuple[str, str]]:
    """File and name of every test of an erratum."""
    return {
        (path.name, node.name)
        for path in HERE.glob("test_*.py")
        if path.name != Path(__file__).name
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def test_every_heading_names_a_test_that_exists():
    known = written()
    for title, text in sections().items():
        named = NAMED.findall(text)
        assert named, title
        assert set(named) <= known, title


def test_every_test_is_named_by_one_heading():
    named = [test for text in sections().values() for test in NAMED.findall(text)]
    assert sorted(named) == sorted(written())
