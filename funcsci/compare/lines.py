"""How long a program is: its lines of code, and those of what it uses of its own file."""

import ast
import dis
import inspect
import io
import textwrap
import tokenize
from collections.abc import Callable, Iterator
from types import CodeType
from typing import Any

SILENT = frozenset(
    (
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
        tokenize.ENDMARKER,
    )
)
"""Tokens that are no code."""


def lines_of_code(source: str) -> int:
    r"""The number of lines that hold code: no blank lines, comments and docstrings.

    Args:
        source: Python, indented as it may be.

    Raises:
        SyntaxError: if it is not Python.

    Example:
        >>> lines_of_code('def f(x):\n    "Twice."\n\n    # quickly\n    return 2 * x')
        2
    """
    text = textwrap.dedent(source)
    docstrings: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(getattr(node.value, "value", None), str):
            docstrings.update(_span(node.lineno, node.end_lineno))
    held: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in SILENT:
            held.update(_span(token.start[0], token.end[0]))
    return len(held - docstrings)


def program_lines(program: Callable[..., Any]) -> int:
    """The lines of code of a function and of each function and class of its file that it uses.

    Args:
        program: a function whose source can be read.

    Example:
        >>> from funcsci.compare import TWINS
        >>> program_lines(TWINS["line"].functional) < program_lines(TWINS["line"].module)
        True
    """
    return sum(lines_of_code(inspect.getsource(part)) for part in parts_of(program))


def parts_of(program: Callable[..., Any]) -> list[Any]:
    """The function itself, and what it uses of its own file, directly or not."""
    found = [inspect.unwrap(program)]
    for part in found:  # which grows on the way
        functions = [inspect.unwrap(one) for one in vars(part).values()] if inspect.isclass(part) else [part]
        for function in filter(inspect.isfunction, functions):
            for name in _names(function.__code__):
                used = inspect.unwrap(function.__globals__.get(name))  # type: ignore[arg-type]
                own = getattr(used, "__module__", None) == part.__module__
                if own and (inspect.isclass(used) or inspect.isfunction(used)) and used not in found:
                    found.append(used)
    return found


def _names(code: CodeType) -> Iterator[str]:
    """The names of their file that a function and the functions inside it look up."""
    for instruction in dis.get_instructions(code):
        if instruction.opname == "LOAD_GLOBAL":
            yield instruction.argval
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _span(first: int, last: int | None) -> range:
    return range(first, (first if last is None else last) + 1)
