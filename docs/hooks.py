"""For mkdocs: pages show the output and the pictures of scripts that were really run."""

import functools
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
PLACE = re.compile(r"\{\{ output: (examples/(?:\w+/)*\w+\.py) \}\}")


@functools.cache
def run(script: str) -> tuple[str, dict[str, bytes]]:
    """What a script prints, and the pictures it writes."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "MPLBACKEND": "Agg", "PYTHONWARNINGS": "ignore"}
        done = subprocess.run(
            [sys.executable, str(ROOT / script)], cwd=folder, env=environment, text=True, capture_output=True
        )
        if done.returncode:
            raise PluginError(f"{script} failed:\n{done.stderr}")
        pictures = {path.name: path.read_bytes() for path in Path(folder).glob("*.png")}
    return done.stdout.rstrip(), pictures


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Files) -> str:
    """Put each script's output where a page names it."""
    filled = PLACE.sub(lambda match: run(match[1])[0], markdown)
    if "{{" in filled:
        raise PluginError(f"{page.file.src_uri} holds a placeholder that is not understood")
    return filled


def on_files(files: Files, *, config: Any) -> Files:
    """Add the pictures of every script that a page shows."""
    for file in list(files.documentation_pages()):
        for script in PLACE.findall(file.content_string):
            for name, content in run(script)[1].items():
                files.append(File.generated(config, f"assets/{name}", content=content))
    return files
