"""Every public name has a docstring and its place in the reference.

The build alone does not see to that, under `--strict` too: mkdocstrings leaves out a name without a docstring
and says nothing.
"""

import ast
import itertools
import re
from pathlib import Path
from typing import NamedTuple

import pytest

import funcsci

PACKAGE = Path(funcsci.__file__).parent
DOCS = Path(__file__).parents[1] / "docs"
DIRECTIVE = re.compile(r"^::: (\S+)$", re.MULTILINE)

needs_docs = pytest.mark.skipif(not DOCS.exists(), reason="the pages are not beside the tests")


def file_of(module: str) -> Path:
    """The file of a module, which need not exist."""
    place = PACKAGE.joinpath(*module.split(".")[1:])
    return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")


def parse(module: str) -> ast.Module:
    return ast.parse(file_of(module).read_text(encoding="utf-8"))


def defined(body: list[ast.stmt]) -> dict[str, bool]:
    """The public names that statements define, methods as `Class.name`, and whether each has a docstring.

    A constant that has none is its file's own.
    """
    found: dict[str, bool] = {}
    for statement, after in itertools.pairwise([*body, ast.Pass()]):
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            found[statement.name] = bool(ast.get_docstring(statement))
        if isinstance(statement, ast.ClassDef):
            methods = defined([inner for inner in statement.body if isinstance(inner, ast.FunctionDef)])
            found |= {f"{statement.name}.{name}": told for name, told in methods.items()}
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            targets = getattr(statement, "targets", [getattr(statement, "target", None)])
            found |= {target.id: True for target in targets if isinstance(target, ast.Name)}
    return {path: told for path, told in found.items() if not re.search(r"(?:^|\.)_", path)}


class Name(NamedTuple):
    """A public name: the room by which a user has it, and the module that it comes from."""

    room: str
    name: str
    module: str

    @property
    def home(self) -> str:
        return f"{self.module}.{self.name}"

    @property
    def is_module(self) -> bool:
        """Whether it is a file of the package, handed on as a whole."""
        return self.module == self.room and file_of(self.home).exists()

    @property
    def docstrings(self) -> dict[str, bool]:
        """Whether it has a docstring, and likewise everything that is public in it."""
        if self.is_module:
            return {self.name: bool(ast.get_docstring(parse(self.home)))} | defined(parse(self.home).body)
        body = parse(self.module).body
        found = {path: told for path, told in defined(body).items() if path.split(".")[0] == self.name}
        for statement in body if not found else []:
            if isinstance(statement, ast.ImportFrom) and self.name in {
                alias.name for alias in statement.names
            }:
                return self._replace(module=str(statement.module)).docstrings
        return found or {self.name: False}


def exported(package: str) -> list[Name]:
    """The names that a package hands on, by `from a.b import name as name`."""
    imports = [statement for statement in parse(package).body if isinstance(statement, ast.ImportFrom)]
    names = [(alias, str(statement.module)) for statement in imports for alias in statement.names]
    return [Name(package, alias.name, module) for alias, module in names if alias.asname == alias.name]


def own(file: str) -> list[Name]:
    """The names that a room of one file defines."""
    return [Name(file, name, file) for name in defined(parse(file).body) if "." not in name]


PACKAGES = sorted(f"funcsci.{file.parent.name}" for file in PACKAGE.glob("*/__init__.py"))
FILES = sorted(f"funcsci.{file.stem}" for file in PACKAGE.glob("*.py") if file.stem != "__init__")
ROOMS = {room: exported(room) for room in PACKAGES} | {room: own(room) for room in FILES}


def directives() -> list[str]:
    """What the pages of the reference ask to be shown."""
    pages = [page.read_text(encoding="utf-8") for page in DOCS.glob("reference/*.md")]
    return [place for page in pages for place in DIRECTIVE.findall(page)]


@pytest.mark.parametrize("room", ROOMS)
def test_every_public_name_has_a_docstring(room: str) -> None:
    docstrings = {path: told for name in ROOMS[room] for path, told in name.docstrings.items()}
    assert docstrings and [path for path, told in docstrings.items() if not told] == []


def test_a_missing_docstring_is_found() -> None:
    text = '''
class Told:
    """Has one."""
    def untold(self): ...
    def _own(self): ...
def told():
    """Has one."""
UNTOLD = 1
TOLD: int = 2
"""Has one."""
_own = 3
"""Has one."""
'''
    names = defined(ast.parse(text).body)
    assert names == {"Told": True, "Told.untold": False, "told": True, "TOLD": True}


@needs_docs
@pytest.mark.parametrize("room", ROOMS)
def test_every_public_name_is_shown_once_in_the_reference(room: str) -> None:
    asked = directives()
    times = {
        name.name: asked.count(name.home) + (0 if name.is_module else asked.count(room))
        for name in ROOMS[room]
    }
    assert {name: count for name, count in times.items() if count != 1} == {}


@needs_docs
def test_the_reference_shows_what_exists_and_leaves_nothing_of_it_out() -> None:
    asked = directives()
    assert asked and [place for place in asked if not file_of(place).exists()] == []
    pages = [page.read_text(encoding="utf-8") for page in DOCS.glob("reference/*.md")]
    assert not [
        page for page in pages if re.search(r"^ +(?:members|filters|inherited_members):", page, re.MULTILINE)
    ]


@needs_docs
def test_the_page_of_a_package_shows_what_a_user_imports_from_it() -> None:
    """Where a function and its file have one name, a tool that only reads files would take the file."""
    griffe = pytest.importorskip("griffe", reason="griffe, of the extra docs, is not installed")
    extensions = griffe.load_extensions(str(DOCS / "exports.py"))
    package = griffe.load("funcsci", search_paths=[PACKAGE.parent], extensions=extensions)
    for room in PACKAGES:
        members = package[room.removeprefix("funcsci.")].members.values()
        seen = [one for one in members if one.is_public and not one.is_module]
        assert sorted(one.name for one in seen) == sorted(
            one.name for one in ROOMS[room] if not one.is_module
        )
        assert all(one.has_docstring for one in seen)
