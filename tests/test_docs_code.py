"""The code on the pages runs and prints what they say, and the names they mention exist."""

import contextlib
import doctest
import importlib
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

DOCS = Path(__file__).parents[1] / "docs"
RUN = (
    "guides/ode.md",
    "guides/pde.md",
    "guides/train.md",
    "guides/checkpoints.md",
    "guides/compile.md",
    "guides/devices.md",
    "from_jax.md",
    "from_nn_module.md",
    "sharp_bits.md",
)
NAMED = (*RUN, "why_or_why_not.md")

FENCE = re.compile(r"^```(\w*)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ROOMS = "autodiff chaos checks compare compile data interop models nn optim pinn plot progress random storage"
NAME = re.compile(rf"`(?:funcsci\.)?((?:{'|'.join(ROOMS.split())}|train|tree|torch)(?:\.\w+)+)")
"""A code span that begins with a room of funcsci, or with torch."""
LATER = {"torch.cond", "torch.nn.RMSNorm"}
"""Names that the pages call new: older versions of torch lack them."""

pytestmark = pytest.mark.skipif(not DOCS.exists(), reason="the pages are not beside the tests")


class Block(NamedTuple):
    """A fenced block: what it is, what it holds, and the line of the page on which that begins."""

    kind: str
    text: str
    line: int


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def blocks(text: str) -> Iterator[Block]:
    """The blocks of a page in their order, without those that have options, such as included scripts."""
    for found in FENCE.finditer(text):
        if not found[2].strip():
            yield Block(found[1], found[3], text.count("\n", 0, found.start()) + 2)


def run(name: str) -> None:
    """Run the Python of a page from top to bottom; a `text` block is what was printed since the last one."""
    space: dict[str, Any] = {"__name__": "__main__"}
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    printed = ""
    for kind, text, line in blocks(page(name)):
        if kind == "python":
            code = compile("\n" * (line - 1) + text, name, "exec")  # an error names the line of the page
            with contextlib.redirect_stdout(io.StringIO()) as output:
                exec(code, space)
            printed += output.getvalue()
        elif kind == "text":
            same = doctest.OutputChecker().check_output(text, printed, flags)
            assert same, f"{name}, line {line} says\n{text}\nbut this was printed:\n{printed}"
            printed = ""
    assert not printed, f"{name} does not show what was printed at its end:\n{printed}"


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
@pytest.mark.parametrize("name", RUN)
def test_the_code_of_a_page_runs_and_prints_what_stands_below_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.set_default_dtype(torch.float32)  # as a user has it, with no backend asked for
    monkeypatch.delenv("FUNCSCI_BACKEND", raising=False)
    monkeypatch.chdir(tmp_path)
    run(name)


@pytest.mark.parametrize("name", NAMED)
def test_every_name_that_a_page_mentions_exists(name: str) -> None:
    assert [one for one in sorted(names(page(name)) - LATER) if not exists(one)] == []


def test_a_name_that_is_nowhere_is_found_out() -> None:
    found = names(
        "| `optim.adam(1e-3)` | `nn.mlpp` | `torch.func.grad` | `jax.nn.relu` |\n```python\nnn.no\n```\n"
    )
    assert found == {"optim.adam", "nn.mlpp", "torch.func.grad"}
    assert [exists(one) for one in sorted(found)] == [False, True, True]


def test_a_block_is_read_with_its_line_and_without_included_scripts() -> None:
    text = 'One\n```python title="a.py"\nno\n```\n\n```python\nprint(1)\n```\n```text\n1\n```\n'
    assert list(blocks(text)) == [Block("python", "print(1)\n", 7), Block("text", "1\n", 10)]
