"""The built pages load nothing from another host, and their formulas can be set."""

import ast
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import funcsci

DOCS = Path(__file__).parents[1] / "docs"
SETTINGS = DOCS.parent / "mkdocs.yml"
PACKAGE = Path(funcsci.__file__).parent

# A link, which the reader follows or not, is written [text](address) or <address>, and loads nothing.
LOADS = re.compile(
    r"""!\[[^\]]*\]\(\s*<?(?:https?:)?//   # an image
    |\ (?:src|srcset|data|poster)\s*=\s*["']?\s*(?:https?:)?//  # a script, a picture, a frame
    |<link\b[^>]*(?:https?:)?//
    |\burl\(\s*["']?(?:https?:)?//|@import\b[^;]*//  # of a stylesheet
    |\b(?:fetch|import|importScripts|Worker|open)\(\s*["'`](?:https?:)?//""",
    re.VERBOSE,
)
CODE = re.compile(r"^```.*?^```$|`[^`\n]+`", re.MULTILINE | re.DOTALL)
FORMULA = re.compile(r"\$\$(.+?)\$\$|(?<![\\$])\$(?=\S)([^$]+?)(?<=\S)\$", re.DOTALL)
KATEX = """
const katex = require(process.argv[1]);
const formulas = JSON.parse(require("fs").readFileSync(0, "utf8"));
const refused = formulas.filter((formula) => {
  try { katex.renderToString(formula, { strict: "error" }); return false; } catch { return true; }
});
console.log(JSON.stringify(refused));
"""

pytestmark = pytest.mark.skipif(not DOCS.exists(), reason="the pages are not beside the tests")


def formulas(text: str) -> list[str]:
    """The formulas of a page or a docstring, outside its code."""
    return [found[1] or found[2] for found in FORMULA.finditer(CODE.sub("", text))]


def crowded(text: str) -> list[str]:
    """The displayed formulas that are taken for text, as no empty line stands before and after them."""
    parts = [part.strip() for part in re.split(r"\n\s*\n", CODE.sub("", text))]
    return [part for part in parts if "$$" in part and not re.fullmatch(r"\$\$[^$]+\$\$", part)]


def docstrings() -> list[str]:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in PACKAGE.rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, kinds)]
    return [ast.get_docstring(node) or "" for node in nodes]


def refused(texts: list[str]) -> list[str]:
    """The formulas of some texts that the pages' own KaTeX cannot set."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("KaTeX needs node, which is not installed")
    command = [node, "-e", KATEX, str(DOCS / "javascripts" / "katex" / "katex.min.js")]
    given = json.dumps([formula for text in texts for formula in formulas(text)])
    answer = subprocess.run(command, input=given, capture_output=True, text=True, check=True)
    return list(json.loads(answer.stdout))


@pytest.mark.parametrize("kind", ["md", "css", "js"])
def test_no_page_stylesheet_or_script_loads_from_another_host(kind: str) -> None:
    texts = {file: file.read_text(encoding="utf-8") for file in DOCS.rglob(f"*.{kind}")}
    assert texts and [file for file, text in texts.items() if LOADS.search(CODE.sub("", text))] == []


def test_the_settings_name_no_other_host_and_only_files_that_exist() -> None:
    text = SETTINGS.read_text(encoding="utf-8")
    assert "//" not in text
    assert "font: false" in text  # else the theme asks for fonts
    assert "iframe-worker" in text  # else its plugin `offline` asks for that script
    files = re.findall(r"(?:javascripts|stylesheets)/\S+\.(?:js|css)", text)
    assert files and [file for file in files if not (DOCS / file).exists()] == []


@pytest.mark.parametrize(
    "text",
    [
        "![a](https://a.org/b.png)",
        '<img alt="a" src="//a.org/b.png">',
        "<link rel=stylesheet href='https://a.org/b.css'>",
        "@font-face { src: url(https://a.org/b.woff2) }",
        '@import "https://a.org/b.css";',
        'fetch("https://a.org")',
    ],
)
def test_what_loads_from_another_host_is_found(text: str) -> None:
    assert LOADS.search(text)
    assert not LOADS.search("[a](https://a.org) <https://a.org> ![b](images/b.png)")


def test_every_formula_of_the_pages_and_docstrings_can_be_set() -> None:
    pages = [file.read_text(encoding="utf-8") for file in DOCS.rglob("*.md")]
    assert refused([*pages, *docstrings()]) == []


def test_a_formula_that_cannot_be_set_is_found() -> None:
    assert refused([r"`$a$` and $\frac{1}{2}$, $1/\lambda_\max$ and $$\no$$"]) == [r"1/\lambda_\max", r"\no"]


def test_displayed_formulas_stand_alone() -> None:
    pages = [file.read_text(encoding="utf-8") for file in DOCS.rglob("*.md")]
    assert [part for text in [*pages, *docstrings()] for part in crowded(text)] == []
    assert crowded("so that\n$$\na\n$$\n\n$$b$$") == ["so that\n$$\na\n$$"]
