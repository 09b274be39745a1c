"""The code on the pages runs and prints what they say, and the names they mention exist."""

import contextlib
import doctest
import importlib
import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pooch
import pytest
import torch

DOCS = Path(__file__).parents[1] / "docs"
FENCE = re.compile(r"^```(\w*)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ROOMS = (
    "autodiff chaos checks compare compile data examples interop models nn optim pinn plot progress random"
)
NAME = re.compile(rf"`(?:funcsci\.)?((?:{'|'.join(ROOMS.split())}|storage|train|tree|torch)(?:\.\w+)+)")
"""A code span that begins with a room of funcsci, or with torch."""
LATER = {"torch.cond", "torch.nn.RMSNorm", "nn.Module"}
"""Names that the pages call new, which older versions of torch lack; and one that is short for torch's."""

pytestmark = pytest.mark.skipif(not DOCS.exists(), reason="the pages are not beside the tests")


class Block(NamedTuple):
    """A fenced block: what it is, what it holds, and the line of the page on which that begins."""

    kind: str
    text: str
    line: int


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def blocks(text: str) -> Iterator[Block]:
    """The blocks of a page in their order, without included scripts and what those print."""
    included = False
    for found in FENCE.finditer(text):
        if found[2].strip():
            included = True
        elif included and found[1] == "text":
            included = False
        else:
            yield Block(found[1], found[3], text.count("\n", 0, found.start()) + 2)


PAGES = sorted(
    str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md") if not path.is_relative_to(DOCS / "reference")
)
RUN = [
    name for name in ("../README.md", *PAGES) if any(block.kind == "python" for block in blocks(page(name)))
]
HAS_DIGITS = any(
    root and any(Path(root).rglob("train-images-idx3-ubyte*"))
    for root in (os.environ.get("FUNCSCI_DATA"), pooch.os_cache("funcsci"))
)
QUOTES = {"errata.md"}
"""Pages that name what does not exist, to say so."""


def run(name: str) -> None:
    """Run the Python of a page from top to bottom; a `text` block is what was printed since the last one."""
    space: dict[str, Any] = {"__name__": "__main__"}
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    found = list(blocks(page(name)))
    shown = any(block.kind == "text" for block in found)
    printed = ""
    for kind, text, line in found:
        if kind == "python":
            code = compile("\n" * (line - 1) + text, name, "exec")  # an error names the line of the page
            with contextlib.redirect_stdout(io.StringIO()) as output:
                exec(code, space)
            printed += output.getvalue()
        elif kind == "text":
            same = doctest.OutputChecker().check_output(text, printed, flags)
            assert same, f"{name}, line {line} says\n{text}\nbut this was printed:\n{printed}"
            printed = ""
    assert not (shown and printed), f"{name} does not show what was printed at its end:\n{printed}"


def names(text: str) -> set[str]:
    """The dotted names in the code spans of a page, outside its blocks."""
    return {found[1] for found in NAME.finditer(FENCE.sub("", text))}


def exists(dotted: str) -> bool:
    """Whether a dotted name leads somewhere, from torch or from funcsci."""
    first, *rest = dotted.split(".")
    thing: Any = torch if first == "torch" else importlib.import_module(f"funcsci.{first}")
    for place, attribute in enumerate(rest, start=1):
        if not hasattr(thing, attribute):
            module = ".".join((first, *rest[:place]))
            try:  # a module that nothing has imported yet
                thing = importlib.import_module(module if first == "torch" else f"funcsci.{module}")
            except ModuleNotFoundError:
                return False
        else:
            thing = getattr(thing, attribute)
    return True


@pytest.mark.wrong_types  # pages show what is refused, in the words that a user reads
@pytest.mark.filterwarnings("ignore:solve did not converge:RuntimeWarning")  # and what falls short
@pytest.mark.parametrize("name", RUN)
def test_the_code_of_a_page_runs_and_prints_what_stands_below_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "data.mnist()" in page(name) and not HAS_DIGITS:
        pytest.skip("MNIST is neither in FUNCSCI_DATA nor in the cache")
    torch.set_default_dtype(torch.float32)  # as a user has it, with no backend asked for
    monkeypatch.delenv("FUNCSCI_BACKEND", raising=False)
    monkeypatch.chdir(tmp_path)
    run(name)


@pytest.mark.parametrize("name", [name for name in PAGES if name not in QUOTES])
def test_every_name_that_a_page_mentions_exists(name: str) -> None:
    assert [one for one in sorted(names(page(name)) - LATER) if not exists(one)] == []


def test_a_name_that_is_nowhere_is_found_out() -> None:
    found = names(
        "| `optim.adam(1e-3)` | `nn.mlpp` | `torch.func.grad` | `jax.nn.relu` |\n```python\nnn.no\n```\n"
    )
    assert found == {"optim.adam", "nn.mlpp", "torch.func.grad"}
    assert [exists(one) for one in sorted(found)] == [False, True, True]


def test_a_block_is_read_with_its_line_and_without_included_scripts() -> None:
    script = '```python title="a.py"\nno\n```\nIt prints:\n```text\nmuch\n```\n'
    text = script + "```python\nprint(1)\n```\n```text\n1\n```\n"
    assert list(blocks(text)) == [Block("python", "print(1)\n", 9), Block("text", "1\n", 12)]
