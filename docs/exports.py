"""For mkdocstrings: how this library writes its interface and its docstrings."""

import re
from typing import Any

import griffe


class Exports(griffe.Extension):
    """Show `from funcsci.nn.linear import mlp as mlp` as `funcsci.nn.mlp`, and an `Example` as code."""

    def on_alias_instance(self, *, alias: griffe.Alias, **_: Any) -> None:
        """Make the names public that a package imports from its own files."""
        package = alias.parent
        if (
            package is not None
            and package.is_module
            and package.is_init_module
            and alias.target_path.startswith(f"{package.path}.")
        ):
            alias.public = True

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Give the section `Example` the plural by which griffe knows it."""
        if obj.docstring:
            obj.docstring.value = re.sub(r"^Example:$", "Examples:", obj.docstring.value, flags=re.MULTILINE)
