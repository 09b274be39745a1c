"""For mkdocs: pages show what scripts really printed and drew, and offer the scripts."""

import functools
import os
import posixpath
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.plugins import get_plugin_logger
from mkdocs.structure.files import File, Files, InclusionLevel

ROOT = Path(__file__).parent.parent
SCRIPT = r"examples/(?:\w+/)*\w+\.py"
PLACE = re.compile(rf"\{{\{{ output: ({SCRIPT}) \}}\}}")
BLOCK = re.compile(rf'^```python title="({SCRIPT})".*?^```$', re.MULTILINE | re.DOTALL)
INCLUDED = re.compile(rf'--8<-- "({SCRIPT})')

log = get_plugin_logger("scripts")
options: list[str] = []
"""What every script is run with: nothing in a build, `--smoke` under `mkdocs serve`."""


@functools.cache
def run(script: str, text: str) -> tuple[str, dict[str, bytes]]:
    """What the script that holds this text prints, and the pictures it writes."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "MPLBACKEND": "Agg", "PYTHONWARNINGS": "ignore"}
        command = [sys.executable, str(ROOT / script), *options]
        start = time.perf_counter()
        done = subprocess.run(command, cwd=folder, env=environment, text=True, capture_output=True)
        if done.returncode:
            raise PluginError(f"{script} failed:\n{done.stderr}")
        log.info("%s ran for %.1f s", " ".join((script, *options)), time.perf_counter() - start)
        pictures = {path.name: path.read_bytes() for path in Path(folder).glob("*.png")}
    return done.stdout.rstrip(), pictures


def read(script: str) -> str:
    """The text of a script as it stands now."""
    return (ROOT / script).read_text(encoding="utf-8")


def shown(markdown: str, page: str) -> set[str]:
    """The scripts that a page shows, each in a block that has its path for a title."""
    titles = {block[1] for block in BLOCK.finditer(markdown)}
    wrong = titles ^ set(INCLUDED.findall(markdown))
    if wrong:
        raise PluginError(
            f"{page}: a script and its path as a title belong in one block, unlike {sorted(wrong)}"
        )
    return titles


def generated(files: Files) -> dict[str, str | bytes]:
    """The files that pages need: the scripts they show, and what the scripts drew whose output they show."""
    contents: dict[str, str | bytes] = {}
    for file in files.documentation_pages():
        for script in shown(file.content_string, file.src_uri):
            contents[script] = read(script)
        for script in PLACE.findall(file.content_string):
            for name, content in run(script, read(script))[1].items():
                if contents.setdefault(f"assets/{name}", content) != content:
                    raise PluginError(f"{script} writes {name}, and so does another script")
    return contents


def on_startup(*, command: str, dirty: bool) -> None:
    """While the pages are being written, the scripts run at a small size."""
    options[:] = ["--smoke"] if command == "serve" else []


def on_files(files: Files, *, config: Any) -> Files:
    """Add what the pages need, the scripts too, which `exclude_docs` would leave out."""
    for name, content in generated(files).items():
        files.append(File.generated(config, name, content=content, inclusion=InclusionLevel.INCLUDED))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Files) -> str:
    """Put each script's output where a page names it, and a link to its file below a script that is shown."""

    def offer(block: re.Match[str]) -> str:
        script = block[1]
        name = posixpath.basename(script)
        address = posixpath.relpath(script, posixpath.dirname(page.file.src_uri) or ".")
        link = f'[Download {name}]({address}){{ download="{name}" }}'
        return f"{block[0]}\n\n{link}\n{{: .script }}\n"

    filled = PLACE.sub(lambda place: run(place[1], read(place[1]))[0], markdown)
    if "{{" in filled:
        raise PluginError(f"{page.file.src_uri} holds a placeholder that is not understood")
    return BLOCK.sub(offer, filled)
