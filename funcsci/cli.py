"""The `funcsci` command: every line calls a public function."""

import json
import math
import platform
import runpy
import subprocess
import sys
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from funcsci import __version__, checks, compile
from funcsci import examples as scripts
from funcsci.compare import TWINS, compare
from funcsci.compile.backends import BACKENDS
from funcsci.pinn import Solution, solve, solve_oscillator
from funcsci.pinn.oscillator import METHODS
from funcsci.pinn.problem import Problem
from funcsci.plot import figure_path

DTYPES = {"float64": torch.float64, "float32": torch.float32}

app = typer.Typer(
    name="funcsci",
    help="Scientific deep learning in pure functions, on torch.func.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def oscillator(
    omega: Annotated[float, typer.Option(help="Undamped angular frequency, radians per unit of time.")] = 1.0,
    damping: Annotated[float, typer.Option(help="Damping ratio; 1 is critical.")] = 0.0,
    u0: Annotated[float, typer.Option(help="u at the start.")] = 1.0,
    du0: Annotated[float, typer.Option(help="u' at the start.")] = 0.0,
    t_span: Annotated[tuple[float, float], typer.Option(help="Start and end of the time.")] = (
        0.0,
        2 * math.pi,
    ),
    method: Annotated[str, typer.Option(help=f"{' or '.join(METHODS)}.")] = "levenberg_marquardt",
    hidden: Annotated[
        list[int] | None, typer.Option(help="A hidden width; repeat it for more layers.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="The most steps of the iteration.")] = None,
    tol: Annotated[
        float | None, typer.Option(help="Estimated relative error that counts as converged.")
    ] = None,
    points: Annotated[int | None, typer.Option(help="Collocation points.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same solution.")] = 0,
    dtype: Annotated[str, typer.Option(help=f"{' or '.join(DTYPES)}.")] = "float64",
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda or cuda:1; default: CUDA where there is one.")
    ] = None,
    backend: Annotated[
        str | None, typer.Option(help=f"{', '.join(BACKENDS)}; default: by the steps.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Write the figure to this file (png, pdf or svg).")
    ] = None,
    save: Annotated[Path | None, typer.Option(help="Write the solution to this file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON instead of text.")] = False,
    progress: Annotated[bool, typer.Option(help="Show a progress bar.")] = True,
) -> None:
    """Solve u'' + 2 damping omega u' + omega^2 u = 0 and say how well.

    Exits with status 1 where the solution did not converge.
    """
    checks.one_of(DTYPES, dtype=dtype)
    if plot is not None:
        figure_path(plot=plot)
    if save is not None:
        checks.writable(save=save)
    with warnings.catch_warnings():
        # The text below says whether it converged, and so does the exit status.
        warnings.filterwarnings("ignore", "solve did not converge", RuntimeWarning)
        solution = solve_oscillator(
            omega, damping, u0, du0, t_span,
            hidden=hidden or None, method=method, steps=steps, tol=tol, points=points, seed=seed,
            dtype=DTYPES[dtype], device=device, backend=backend, progress=progress,
        )  # fmt: skip
    numbers = {"omega": omega, "damping": damping, "u0": u0, "du0": du0, "t_span": t_span, "method": method}
    _finish(solution, plot, save, {**numbers, **_facts(solution)} if as_json else None)


@app.command(name="solve")
def solve_file(
    file: Annotated[
        Path, typer.Argument(help="A Python file that defines problem, and options if it likes.")
    ],
    plot: Annotated[
        Path | None, typer.Option(help="Write the figure to this file; default: the file's name, as png.")
    ] = None,
    save: Annotated[
        Path | None, typer.Option(help="Write the solution to this file; default: as safetensors.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same solution.")] = None,
    tol: Annotated[
        float | None, typer.Option(help="Estimated relative error that counts as converged.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON instead of text.")] = False,
    progress: Annotated[bool, typer.Option(help="Show progress.")] = True,
) -> None:
    """Solve the problem that a Python file defines, draw it and keep the solution.

    The file is run. It must set `problem`, made by pinn.ode, pinn.ivp or pinn.pde, and may set `options`, a
    dict of arguments for pinn.solve. Exits with status 1 where the solution did not converge.
    """
    problem, options = _read_problem(file)
    plot = Path(f"{file.stem}.png") if plot is None else plot
    save = Path(f"{file.stem}.safetensors") if save is None else save
    figure_path(plot=plot)
    checks.writable(save=save)
    given = {name: value for name, value in {"seed": seed, "tol": tol}.items() if value is not None}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "solve did not converge", RuntimeWarning)
        solution = solve(problem, **{"progress": progress, **options, **given})
    _finish(solution, plot, save, _facts(solution) if as_json else None)


def _read_problem(file: Path) -> tuple[Problem, dict[str, Any]]:
    """What a file defines.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it cannot be run, or defines no problem.
        TypeError: if what it calls `problem` or `options` is something else.
    """
    if not file.is_file():
        raise FileNotFoundError(
            checks.message("be a file that exists", "file", str(file), "Mind the folder.")
        )
    try:
        found = runpy.run_path(str(file), run_name="funcsci_problem")
    except Exception as error:  # whatever a user's file may raise, told in one line
        came = f"{type(error).__name__}: {error}"
        raise ValueError(
            f"file must run as Python. Got file={str(file)!r}, which ends with {came}"
        ) from error
    problem, options = found.get("problem"), found.get("options", {})
    if problem is None:
        raise ValueError(
            f"file must define problem. Got file={str(file)!r} without. "
            "Add problem = pinn.ode(...) or problem = pinn.pde(...)."
        )
    if not isinstance(problem, Problem):
        remedy = "Make it by pinn.ode, pinn.ivp or pinn.pde."
        raise TypeError(checks.message("be a problem", "problem", problem, remedy))
    if not isinstance(options, dict):
        raise TypeError(checks.message("be a dict", "options", options, 'Try options = {"tol": 1e-8}.'))
    return problem, options


def _finish(solution: Solution, plot: Path | None, save: Path | None, facts: dict[str, Any] | None) -> None:
    """Write and print what came out; `facts` are printed as JSON where they are given."""
    if plot is not None:
        solution.plot(plot)
    if save is not None:
        solution.save(save)
    typer.echo(repr(solution) if facts is None else json.dumps(facts))
    for path in (plot, save):
        if path is not None and facts is None:
            typer.echo(f"  wrote {path}")
    if not solution.status.converged:
        raise typer.Exit(1)


@app.command(name="compare")
def compare_styles(
    name: Annotated[str | None, typer.Argument(help="A model of the course; none: list them.")] = None,
    steps: Annotated[int, typer.Option(help="How many steps the losses are followed for.")] = 100,
    seed: Annotated[int, typer.Option(help="The same seed gives the same weights, data and losses.")] = 0,
    compiled: Annotated[bool, typer.Option(help="Measure the compiled forms too.")] = True,
    memory: Annotated[bool, typer.Option(help="Measure the peak memory too.")] = True,
    plot: Annotated[
        Path | None, typer.Option(help="Write the figure to this file (png, pdf or svg).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON instead of text.")] = False,
    progress: Annotated[bool, typer.Option(help="Show a progress bar.")] = True,
) -> None:
    """Train a model of the course as pure functions and as nn.Module, and compare numbers and costs."""
    if name is None:
        for known, twin in TWINS.items():
            typer.echo(f"{known:<13} {twin.title}")
        return
    if plot is not None:
        figure_path(plot=plot)
    found = compare(
        name, steps=steps, seed=seed, compiled=compiled, memory=memory, progress_bar=progress
    )  # fmt: skip
    if plot is not None:
        found.plot(plot)
    typer.echo(json.dumps(found.facts()) if as_json else repr(found))
    if plot is not None and not as_json:
        typer.echo(f"  wrote {plot}")


@app.command()
def examples() -> None:
    """List the scripts, the course's exercises first: name, number of the exercise, what it shows."""
    known = scripts.all_examples()
    width = max(len(one.name) for one in known)
    for one in known:
        typer.echo(f"{one.name:<{width}}  {one.number:<4}  {one.title}")


@app.command(context_settings={"ignore_unknown_options": True})
def run(
    name: Annotated[str, typer.Argument(help="As funcsci examples lists it; or an exercise, 4.1 or III.")],
    arguments: Annotated[list[str] | None, typer.Argument(help="Options of the script.")] = None,
) -> None:
    """Run a script in the current folder, and end as it ends.

    What follows the name is passed on: all scripts take --seed, --device and --smoke, a size that ends in
    seconds; `funcsci run NAME -- --help` tells the rest.
    """
    script = scripts.find(name)
    ended = subprocess.run([sys.executable, str(script.path), *(arguments or [])], check=False)
    raise typer.Exit(ended.returncode)


@app.command()
def info() -> None:
    """Print versions, devices and whether there is a compiler."""
    lines = {
        "funcsci": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "numpy", "scipy", "optree")},
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu (no CUDA device)",
        "threads": str(torch.get_num_threads()),
        "C++ compiler": compile.compiler() or "not found: programs run as traced graphs",
        "backend": compile.choose(),
    }
    for name, value in lines.items():
        typer.echo(f"{name:<13} {value}")


def main() -> None:
    """Run the command; an error in an argument is one line, not a traceback."""
    try:
        app()
    except (ValueError, TypeError, OSError, RuntimeError) as error:
        typer.echo(f"Error: {error}", err=True)
        sys.exit(2)


def _facts(solution: Solution) -> dict[str, Any]:
    known = solution.problem.reference is not None
    return {
        "fields": solution.fields,
        "domain": solution.problem.domain.ranges,
        "solved_by": solution.method,
        "backend": solution.backend,
        "hidden": solution.parts[0].stages[0].shape.hidden,
        "slabs": len(solution.parts),
        "converged": solution.status.converged,
        "reason": solution.status.reason,
        "error_estimate": solution.error_estimate,
        "estimate_trusted": solution.estimate_trusted,
        "residuals": solution.residuals,
        **({"relative_l2": solution.relative_l2, "max_error": solution.max_error} if known else {}),
        "steps": solution.steps,
        "seconds": solution.seconds,
    }
