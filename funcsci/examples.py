"""The scripts of the course and of the pages: a list of them, and the options that all of them take."""

import argparse
import ast
import difflib
import re
from pathlib import Path
from typing import NamedTuple

import torch

from funcsci import checks

_HERE = Path(__file__).parent
FOLDER = _HERE / "scripts" if (_HERE / "scripts").is_dir() else _HERE.parent / "examples"
"""Where the scripts are: inside an installed package, or beside the package in its source."""

_NUMBER = re.compile(r"^(?:Exercise|Challenge) (\d\.\d|[IV]+)[.:]", re.MULTILINE)
_CHALLENGES = ("I", "II", "III", "IV", "V")


class Example(NamedTuple):
    """A script.

    Attributes:
        name: its path below the folder, without the ending: `"networks/mlp"`.
        number: of the exercise of the course that it solves, `"4.1"` or `"III"`; empty where it solves none.
        title: what it shows, in one line.
        path: of the file.
    """

    name: str
    number: str
    title: str
    path: Path


def all_examples() -> list[Example]:
    """All scripts: the exercises of the course in its order, and the others by name.

    Returns:
        One entry for each script.

    Example:
        >>> from funcsci import examples
        >>> for one in examples.all_examples()[:3]:
        ...     print(one.number, one.name)
        1.1 tensors/creation
        1.2 tensors/operations
        1.3 tensors/indexing
    """
    return sorted(map(_read, set(FOLDER.rglob("*.py")) - set(FOLDER.glob("problems/*.py"))), key=_order)


def find(name: str) -> Example:
    """The script of that name, or of that exercise.

    Args:
        name: a path such as `"networks/mlp"`; its last part, where only one has it; or the number of an
            exercise, `"4.1"` or `"III"`.

    Returns:
        The script.

    Raises:
        ValueError: if there is none, or more than one.

    Example:
        >>> from funcsci import examples
        >>> examples.find("mlp").number, examples.find("4.1").name
        ('4.1', 'networks/mlp')
    """
    known = all_examples()
    wanted = name.removesuffix(".py")
    found = [one for one in known if wanted in (one.name, one.number)]
    found = found or [one for one in known if one.name.rpartition("/")[2] == wanted]
    if len(found) == 1:
        return found[0]
    near = [one.name for one in found] or difflib.get_close_matches(
        wanted, [one.name for one in known], 3, 0.5
    )
    remedy = f"Try {' or '.join(near)}." if near else "See funcsci examples."
    raise ValueError(checks.message("name one script", "name", name, remedy))


def options(about: str | None, **more: float | str) -> argparse.Namespace:
    """Read a script's command line: `--seed`, `--device`, `--smoke`, and what else it asks for.

    Args:
        about: the script's docstring, which `--help` prints.
        **more: further options with their defaults, whose types they take; or another default for `seed` or
            `device`.

    Returns:
        The values: `seed`, an integer, 0; `device`, a `torch.device`, CUDA where there is one; `smoke`,
        whether to take a size that ends in seconds; and those of `more`.

    Example:
        >>> import sys
        >>> from funcsci import examples
        >>> sys.argv = ["burgers.py", "--viscosity", "0.1", "--smoke"]
        >>> found = examples.options("Burgers' equation.", viscosity=0.01)
        >>> found.viscosity, found.smoke, found.seed
        (0.1, True, 0)
    """
    how = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=about, formatter_class=how, allow_abbrev=False)
    device = more.pop("device", "cuda" if torch.cuda.is_available() else "cpu")
    shown = f"default: {device}"
    parser.add_argument("--device", type=_device, default=device, help=f"where it runs; {shown}")
    for name, default in {"seed": 0, **more}.items():
        text = f"default: {default}"
        parser.add_argument(f"--{name}", type=type(default), default=default, help=text)
    parser.add_argument("--smoke", action="store_true", help="take a size that ends in seconds")
    return parser.parse_args()


def _device(name: str) -> torch.device:
    """A device that can be used; what argparse reports otherwise is one line."""
    try:
        device = torch.device(name)
        torch.empty((), device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise argparse.ArgumentTypeError(f"{name}: {str(error).splitlines()[0]}") from error
    return device


def _read(path: Path) -> Example:
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    number = _NUMBER.search(text)
    name = path.relative_to(FOLDER).with_suffix("").as_posix()
    return Example(name, number[1] if number else "", text.partition("\n")[0], path)


def _order(one: Example) -> tuple[int, int, str]:
    """Exercises by number, then challenges, then the others."""
    if one.number in _CHALLENGES:
        return 1, _CHALLENGES.index(one.number), one.name
    return (0 if one.number else 2), 0, f"{one.number} {one.name}"
