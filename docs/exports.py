"""For mkdocstrings: how this library writes its interface and its docstrings."""

import re
from typing import Any

import griffe


class Exports(griffe.Extension):
    """Show `from funcsci.nn.linear import mlp as mlp` as `funcsci.nn.mlp`, and an `Example` as code."""

    def __init__(self) -> None:
        """No name is exported yet."""
        super().__init__()
        self.exported: list[griffe.Alias] = []

    def on_alias_instance(self, *, alias: griffe.Alias, **_: Any) -> None:
        """Make the names public that a package imports from its own files."""
        package = alias.parent
        if (
            package is not None
            and package.is_module
            and package.is_init_module
            and alias.target_path.startswith(f"{package.path}.")
            and alias.target_path != alias.path
        ):
            alias.public = True
            self.exported.append(alias)

    def on_package(self, **_: Any) -> None:
        """Show `funcsci.nn.linear`, the function, also where a file of that name has taken its place.

        The file keeps its key, for paths lead through it.
        """
        for alias in self.exported:
            members = alias.parent.members
            if members[alias.name] is not alias:
                members[f"{alias.name}, as imported"] = alias

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Give the section `Example` the plural by which griffe knows it."""
        if obj.docstring:
            obj.docstring.value = re.sub(r"^Example:$", "Examples:", obj.docstring.value, flags=re.MULTILINE)
