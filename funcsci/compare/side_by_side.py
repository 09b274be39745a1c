"""A model of the course in both styles, compared in one call."""

import torch

from funcsci import checks, progress, random, tree
from funcsci.compare.comparison import Comparison
from funcsci.compare.forms import FUNCTIONAL, MODULE, form_names
from funcsci.compare.lines import program_lines
from funcsci.compare.measure import BLOCKS
from funcsci.compare.pair import make_pair, run
from funcsci.compare.registry import TWINS
from funcsci.compare.worker import measured


def compare(
    name: str,
    *,
    steps: int = 100,
    seed: int = 0,
    dtype: torch.dtype | None = None,
    device: str | torch.device | None = None,
    costs: bool = True,
    compiled: bool = True,
    memory: bool = True,
    progress_bar: bool = True,
) -> Comparison:
    """Train a model of the course in both styles, and measure what a step costs in each form.

    Both programs begin with the same weights and take the same batches, so their losses are equal to
    round-off. What a step costs is measured in a process of its own, in which all forms take turns.

    Args:
        name: one of `TWINS`.
        steps: how many steps the losses are followed for.
        seed: decides weights, data and their order; the same seed gives the same losses.
        dtype: the precision. None: float64 for the losses, float32 for the costs.
        device: where to compute. None: CUDA where there is one, else the CPU.
        costs: whether to measure what a step costs.
        compiled: whether to measure the compiled forms too, which have to be compiled.
        memory: whether to measure the peak memory too.
        progress_bar: whether to show one.

    Returns:
        A `Comparison`; print it, `plot()` it.

    Raises:
        TypeError: if an argument is of the wrong type.
        ValueError: if the name is unknown or a number out of its range.
        RuntimeError: if the device is not there.

    Example:
        >>> found = compare("line", steps=10, costs=False)
        >>> found.run.loss_difference < 1e-12, found.run.parameter_difference < 1e-12
        (True, True)
    """
    checks.one_of(TWINS, name=name)
    checks.integer(least=1, steps=steps)
    checks.integer(seed=seed)
    if dtype is not None:
        checks.floating(dtype=dtype)
    place = _place(device)
    twin, key = TWINS[name], random.key(seed)
    precise, quick = dtype or torch.float64, dtype or torch.float32
    forms = len(form_names(twin, compiled=compiled))
    turns = (forms * (1 + memory) + BLOCKS) if costs else 0
    threads = torch.get_num_threads()
    settings = {
        "name": name,
        "seed": seed,
        "dtype": str(quick).removeprefix("torch."),
        "device": str(place),
        "threads": threads,
        "compiled": compiled,
        "memory": memory,
    }
    with progress.bar(steps + turns, f"comparing {name}", shown=progress_bar) as bar:
        samples = twin.samples(key, precise, place)
        pair = make_pair(twin, key, precise, place)
        followed = run(twin, pair, samples, key, steps=steps, after_step=bar.update)

        def said(what: str) -> None:
            bar.set_postfix_str(what)
            bar.update()

        found = measured(settings, said) if costs else []
    size = tree.size(pair.functional.now.params)
    return Comparison(
        name,
        f"{twin.title}, {size:,} parameters, batches of {twin.batch_size} of {samples.source}",
        followed,
        precise,
        {FUNCTIONAL: program_lines(twin.functional), MODULE: program_lines(twin.module)},
        tuple(found),
        quick,
        f"{_called(place)}, {threads} thread{'' if threads == 1 else 's'}, torch {torch.__version__}",
    )


def _place(device: str | torch.device | None) -> torch.device:
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    checks.device(device=device)
    return torch.device(device)


def _called(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
