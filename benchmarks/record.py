"""Run benchmarks, one after the other, and keep their tables in results/, which the documentation shows.

    python benchmarks/record.py [--only pinn optimizers ...]

All of them take the better part of an hour of one core, on a machine that should do nothing else. Peers are
measured where they are installed: DeepXDE, jinns and optax.
"""

import argparse
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import torch

HERE = Path(__file__).parent
NAMES = (
    "oscillator",
    "adam_steps",
    "pinn",
    "rivals",
    "derivatives",
    "jacobian",
    "optimizers",
    "training",
    "transformer",
    "forecasting",
)
"""The scripts whose tables the page of benchmarks shows."""


def record(name: str) -> None:
    """Run one script on one thread and write what it prints, below the versions it ran with."""
    begin = time.perf_counter()
    alone = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(HERE / f"{name}.py")], env=alone, stdout=subprocess.PIPE, text=True, check=True
    )
    versions = f"torch {torch.__version__}, Python {platform.python_version()}"
    text = f"{versions}, one thread of a {platform.machine()} CPU.\n\n{done.stdout.strip()}\n"
    (HERE / "results" / f"{name}.md").write_text(text, encoding="utf-8")
    print(f"{name}: {time.perf_counter() - begin:.0f} s", flush=True)


if __name__ == "__main__":
    how = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=how)
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES)
    (HERE / "results").mkdir(exist_ok=True)
    for chosen in parser.parse_args().only:
        record(chosen)
