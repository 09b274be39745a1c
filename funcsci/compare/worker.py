"""A process of its own for `measure`: `python -m funcsci.compare.worker '{"name": "line", ...}'`.

Nothing that ran before has filled its caches or its memory, and what the compilers and the profiler say stays
there. Each line it prints is JSON: a text tells what it does next, and a list at the end the costs.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import Any

import torch

from funcsci import random
from funcsci.compare.measure import Cost, measure
from funcsci.compare.registry import TWINS


def measured(settings: dict[str, Any], said: Callable[[str], object]) -> list[Cost]:
    """The costs, measured in a new process.

    Args:
        settings: `name`, `seed`, `dtype`, `device`, `threads`, `compiled` and `memory`.
        said: told what is done next.

    Raises:
        RuntimeError: if the process fails.
    """
    command = [sys.executable, "-m", "funcsci.compare.worker", json.dumps(settings)]
    found: Any = None
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as errors,
        subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=errors) as process,
    ):
        for line in process.stdout or ():
            found = json.loads(line)
            if isinstance(found, str):
                said(found)
        if process.wait() or not isinstance(found, list):
            errors.seek(0)
            *_, last = errors.read().strip().splitlines() or ["no word of why"]
            raise RuntimeError(
                f"The process that measures must end well. Got status {process.returncode} and: {last} "
                "Try costs=False, compiled=False or memory=False."
            )
    return [Cost(**cost) for cost in found]


def main(settings: dict[str, Any]) -> None:
    """Measure, and print what is done and what came out."""

    def say(what: object) -> None:
        print(json.dumps(what), flush=True)

    torch.set_num_threads(settings["threads"])
    costs = measure(
        TWINS[settings["name"]],
        random.key(settings["seed"]),
        getattr(torch, settings["dtype"]),
        torch.device(settings["device"]),
        compiled=settings["compiled"],
        memory=settings["memory"],
        said=say,
    )
    say([cost._asdict() for cost in costs])


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
