"""Solutions in files: tensors for the networks, JSON for the rest, no code."""

import math
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from funcsci import tree
from funcsci.optim import Status
from funcsci.pinn.identity import differences, identity, ranges
from funcsci.pinn.interface import State
from funcsci.pinn.network import NetworkSettings
from funcsci.pinn.outcome import History, Tried
from funcsci.pinn.parts import Part, Stage, assemble
from funcsci.pinn.problem import RECIPES, Problem
from funcsci.pinn.settings import Settings
from funcsci.pinn.task import empty_params, make_task
from funcsci.pinn.verdict import NullFunction, Residual, Verdict
from funcsci.storage import Format

FILE = Format("funcsci.solution", 3, writer="Solution.save")


class Contents(NamedTuple):
    """What a solution is made of; fields as in `Solution`."""

    problem: Problem
    parts: tuple[Part, ...]
    history: History
    status: Status
    verdict: Verdict
    settings: Settings
    method: str
    backend: str
    steps: int
    seconds: float


def save(solution: Contents, path: str | Path) -> None:
    """Write a solution to one file, whole or not at all."""
    problem, settings = solution.problem, solution.settings
    params = [[stage.params for stage in part.stages] for part in solution.parts]
    tensors = dict(zip(tree.paths(params, "params"), tree.leaves(params), strict=True))
    tensors |= {"history.loss": solution.history.loss, "history.seconds": solution.history.seconds}
    tensors["key"] = settings.key
    tensors |= {f"states.{place}": state.coefficients for place, state in _states(solution.parts)}
    nulls = [one.params for one in solution.verdict.nulls]
    tensors |= dict(zip(tree.paths(nulls, "nulls"), tree.leaves(nulls), strict=True))
    along = problem.marches
    story = {
        "problem": None if problem.recipe is None else {"name": problem.recipe[0], **problem.recipe[1]},
        "identity": identity(problem),
        "spans": [list(part.problem.domain.ranges[along]) if along else [] for part in solution.parts],
        "stages": [
            [{"shape": stage.shape._asdict(), "amplitude": stage.amplitude} for stage in part.stages]
            for part in solution.parts
        ],
        "states": {str(place): state.error for place, state in _states(solution.parts)},
        "settings": {
            **settings._replace(network=settings.network._asdict())._asdict(),  # type: ignore[arg-type]
            "key": None,
            "dtype": str(settings.dtype).removeprefix("torch."),
            "device": None,
            "deadline": None,
        },
        "status": solution.status._asdict(),
        "verdict": {
            **solution.verdict._asdict(),
            "residuals": {name: one._asdict() for name, one in solution.verdict.residuals.items()},
            "nulls": [
                {
                    "shape": one.shape._asdict(),
                    "amplitude": one.trial.amplitude,
                    "singular_value": one.singular_value,
                    "description": one.description,
                }
                for one in solution.verdict.nulls
            ],
        },
        "candidates": [one._asdict() for one in solution.history.candidates],
        "method": solution.method,
        "backend": solution.backend,
        "steps": solution.steps,
        "seconds": solution.seconds,
    }
    FILE.write(path, tensors, story)


def load(path: str | Path, problem: Problem | None, device: str | torch.device) -> Contents:
    """What a solution is made of, from a file."""
    tensors, story = FILE.read(path, device)
    try:
        problem = _problem(path, problem, story)
        told = story["settings"]
        settings = Settings(
            **{
                **told,
                "methods": tuple(told["methods"]),
                "steps": tuple(told["steps"]),
                "breakpoints": tuple(told["breakpoints"]),
                "network": _shape(told["network"]),
                "key": tensors["key"],
                "dtype": getattr(torch, told["dtype"]),
                "device": torch.device(device),
                "deadline": math.inf,
            }
        )
        shapes = [[_shape(stage["shape"]) for stage in stages] for stages in story["stages"]]
        params = _params(problem, settings, shapes, tensors, "params")
        stages = [
            [
                Stage(_shape(stage["shape"]), tuple(stage["amplitude"]), own)
                for stage, own in zip(those, owns, strict=True)
            ]
            for those, owns in zip(story["stages"], params, strict=True)
        ]
        spans = [(span[0], span[1]) for span in story["spans"] if span]
        errors = story["states"]
        states = [
            State(tensors[f"states.{place}"], errors[str(place)]) if str(place) in errors else None
            for place in range(len(stages))
        ]
        told_verdict = story["verdict"]
        residuals = {name: Residual(**one) for name, one in told_verdict["residuals"].items()}
        nulls = _nulls(problem, settings, told_verdict["nulls"], tensors)
        candidates = tuple(Tried(**{**one, "hidden": tuple(one["hidden"])}) for one in story["candidates"])
        return Contents(
            problem,
            assemble(problem, settings, spans, stages, states),
            History(tensors["history.loss"].cpu(), tensors["history.seconds"].cpu(), candidates),
            Status(**story["status"]),
            Verdict(**{**told_verdict, "residuals": residuals, "nulls": nulls}),
            settings,
            story["method"],
            story["backend"],
            story["steps"],
            story["seconds"],
        )
    except (KeyError, TypeError) as error:
        raise FILE.damaged(path, f"it lacks {error}") from error


def _params(problem: Problem, settings: Settings, shapes: Any, tensors: dict[str, Tensor], name: str) -> Any:
    """The parameters of networks of some shapes, a list of them or of lists, from tensors by their paths."""

    def empty(shape: Any) -> Any:
        if isinstance(shape, NetworkSettings):
            return empty_params(problem, shape, settings.dtype)
        return [empty(one) for one in shape]

    example = empty(shapes)
    named = {path.removeprefix(name): tensors[path] for path in tree.paths(example, name)}
    return tree.combine(example, named)


def _nulls(
    problem: Problem, settings: Settings, told: list[dict[str, Any]], tensors: dict[str, Tensor]
) -> tuple[NullFunction, ...]:
    """The null functions that a file tells of."""
    shapes = [_shape(one["shape"]) for one in told]
    found = []
    for one, shape, params in zip(
        told, shapes, _params(problem, settings, shapes, tensors, "nulls"), strict=True
    ):
        task = make_task(problem, settings, shape, amplitude=tuple(one["amplitude"]))
        size, description = one["singular_value"], one["description"]
        found.append(NullFunction(shape, task.trial.homogeneous(), params, size, description))
    return tuple(found)


def _states(parts: tuple[Part, ...]) -> list[tuple[int, State]]:
    """The states that parts begin with, by the number of the part."""
    return [(place, part.state) for place, part in enumerate(parts) if part.state is not None]


def _shape(told: dict[str, Any]) -> NetworkSettings:
    return NetworkSettings(**{**told, "hidden": tuple(told["hidden"])})


def _problem(path: str | Path, problem: Problem | None, story: dict[str, Any]) -> Problem:
    """The problem that was passed, if it is the one that was solved, or the one that the file tells of."""
    told = story["identity"]
    if problem is None:
        if story["problem"] is None:
            raise ValueError(
                f"problem must be given: {path} holds no code, and so no equation of {told['fields']} on "
                f"{ranges(told)}. Try Solution.load(path, problem=pinn.pde(...)) as it was solved."
            )
        recipe = dict(story["problem"])
        make = RECIPES[recipe.pop("name")]
        return make(**{name: tuple(one) if isinstance(one, list) else one for name, one in recipe.items()})
    now, torch_now = identity(problem), str(torch.__version__)
    alike = story["torch"] == torch_now
    found = differences(told, now, traced=alike)
    if found:
        raise ValueError(
            "problem must be the one that the file was solved for. "
            f"Got one in which {'; '.join(found)}. Pass the problem as it was solved; from its solution, "
            "pinn.solve(problem, start=solution) goes on to another."
        )
    if not alike and differences(told, now):
        warnings.warn(
            f"The functions of the problem cannot be compared with those of {path}, which were traced by "
            f"torch {story['torch']}, not {torch_now}. See that they are the same.",
            RuntimeWarning,
            stacklevel=4,
        )
    return problem
