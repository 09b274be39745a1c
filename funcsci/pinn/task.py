"""One network's job: a trial function for a problem, what is asked of it, and where."""

import itertools
import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.func import jacrev, vmap

from funcsci import random, tree
from funcsci.compile import jit
from funcsci.pinn import sampling
from funcsci.pinn.domain import along, replaced
from funcsci.pinn.faces import Face, clash
from funcsci.pinn.hard import build
from funcsci.pinn.network import FAST, LAYER_SHARE, NetworkSettings, distances, network
from funcsci.pinn.problem import Problem
from funcsci.pinn.requirements import (
    Differentiated,
    Points,
    Requirement,
    all_residuals,
    of_equations,
    of_terms,
    residual_at_point,
    residuals_together,
)
from funcsci.pinn.settings import Settings
from funcsci.pinn.timescales import Timescales, affine, scales, slopes, timescales
from funcsci.pinn.trial import Trial
from funcsci.random import Key
from funcsci.tree import Params, Scalar

JUDGED_LINE, JUDGED_BOX, JUDGED_EDGE = 1_501, 4_096, 512
"""Points on which the residual is judged: of one coordinate, of several, and at each edge."""
TYPICAL = 16
"""Points at which the equations are linearized to find their scales."""
EDGE_SHARE = 0.2
"""Points at each edge, as a share of those inside."""
BALANCED_POINTS = 64
"""Points on which the pulls of requirements are compared."""
CANDIDATES = 8
"""Candidates for each point that is drawn by the residual."""
CLASH = 1e-6
"""How far, relative to their size, built-in conditions may miss each other where they meet."""

Training = tuple[tuple[Requirement, Points], ...]
"""Each requirement with its points."""


class Task(NamedTuple):
    """A trial function and what is asked of it.

    Attributes:
        problem: the problem, on the whole domain or on a slab of it.
        settings: how to solve it.
        shape: of the network.
        trial: the function.
        requirements: the equations, then the conditions that are not built in.
        soft: the edges that belong to those conditions, in order.
        balance: what the weight of each requirement is multiplied by.
    """

    problem: Problem
    settings: Settings
    shape: NetworkSettings
    trial: Trial
    requirements: tuple[Requirement, ...]
    soft: tuple[Face, ...]
    balance: tuple[float, ...] = ()

    def balanced(self, params: Params) -> "Task":
        r"""The task with weights for which all requirements pull at the parameters alike.

        The weight of a condition that was given none is the equations' $\sum_i \lVert \partial r_i / \partial
        \theta \rVert^2$ over its own, per point.

        Source: Wang, Yu and Perdikaris (2022), arXiv:2007.14527.
        """
        if len(self.requirements) == 1:
            return self
        even = self._replace(balance=())
        training = even.training(BALANCED_POINTS, random.fold_in(self.settings.key, 2), "sobol")
        pulls = [_pull(self.residual(one), params, points) for one, points in training]
        given = [1.0, *(face.source.weight for face in self.soft)]
        given += [condition.weight for condition, _ in self.problem.places]
        return self._replace(
            balance=tuple(
                pulls[0] / pull if weight is None and pull > 0 and pulls[0] > 0 else 1.0
                for weight, pull in zip(given, pulls, strict=True)
            )
        )

    def loss(self, params: Params, training: tuple[Points, ...]) -> Scalar:
        """The weighted sum of squares of all requirements at their points, shape ()."""
        (equations, *conditions), (inside, *others) = self.requirements, training
        total: Scalar = all_residuals(self.residual(equations), params, inside).square().sum()
        if conditions:
            apply, mode = partial(self.trial.apply, params), self.settings.derivatives
            missed = residuals_together(conditions, apply, self.problem.fields, mode, others)
            total = total + missed.square().sum()
        return total

    @property
    def fixed(self) -> tuple[bool, ...]:
        """For each requirement, whether its points are given, by data or because there is only one."""
        line = self.problem.domain.dimensions == 1
        edges = [line or face.data is not None for face in self.soft]
        return (False, *edges, *(True for _ in self.problem.places))

    @property
    def affine(self) -> bool:
        """Whether the equations are affine in the fields, as far as two random states can tell."""
        return affine(self.problem.equations, self.settings.key)

    def training(self, count: int, key: Key, sampling_name: str) -> Training:
        """Collocation points: `count` inside, and some at each edge with a condition that is not built in."""
        inside = self._inside(sampling.sample(sampling_name, key, count, self.problem.domain.dimensions))
        return self._all(inside, max(2, int(EDGE_SHARE * count)), key, sampling_name)

    def refined(self, training: Training, params: Params, key: Key) -> Training:
        r"""As many points inside, drawn anew: half of them evenly, half where the equations are missed.

        The density of those is that of $|r|$, among eight times as many candidates; weights of one over the
        density keep the sum the mean over the domain, which it then measures better.

        Source: Wu, Zhu, Tan, Kartha and Lu (2023), arXiv:2207.10289 (the density); any text on importance
        sampling (the weights).
        """
        (equations, points), *others = training
        count, dimensions = len(points.x), self.problem.domain.dimensions
        keys = random.split(key, 3)

        def missed(x: Tensor) -> Tensor:
            with torch.no_grad():
                even = _even(x, x.new_zeros(len(x)))
                return self.unweighted(equations, params, even).abs().amax(1).double()

        spread = self._inside(sampling.sample("sobol", keys[0], count - count // 2, dimensions))
        drawn = self._inside(sampling.sample("sobol", keys[1], CANDIDATES * count, dimensions))
        sizes = missed(drawn).clamp(min=torch.finfo(torch.float64).tiny)
        # The largest of log-weights with Gumbel's noise are a sample without replacement.
        uniform = random.uniform(keys[2], (len(drawn),), dtype=torch.float64).to(drawn.device)
        chosen = (torch.log(sizes) - torch.log(-torch.log(uniform))).topk(count // 2).indices
        x = torch.cat([spread, drawn[chosen]])
        density = 0.5 + 0.5 * torch.cat([missed(spread), sizes[chosen]]) / sizes.mean()
        weight = points.weight.sum() / density / (1 / density).sum()
        return ((equations, Points(x, x.new_zeros(count), weight.to(x))), *others)

    def held_out(self, count: int = JUDGED_BOX) -> Training:
        """Points on which no method trains; `count` of them where there are several coordinates."""
        dimensions = self.problem.domain.dimensions
        key = random.fold_in(self.settings.key, 0x4E1D)
        name, count = ("chebyshev", JUDGED_LINE) if dimensions == 1 else ("sobol", count)
        return self._all(
            self._inside(sampling.sample(name, key, count, dimensions)), JUDGED_EDGE, key, "sobol"
        )

    def residual(self, requirement: Requirement) -> Any:
        """The numbers of a requirement at a point, `residual(params, point)`."""
        return residual_at_point(
            requirement, self.trial.apply, self.problem.fields, self.settings.derivatives
        )

    def judge(self, count: int = JUDGED_BOX, *, backend: str = "eager") -> Callable[[Params], float]:
        """What measures the root mean square of the worst requirement, over that of the solution.

        Args:
            count: of held-out points, as in `held_out`.
            backend: as in `jit`; a program pays where many parameters are judged.
        """
        held_out = self.held_out(count)

        def squares(params: Params, sets: tuple[Points, ...]) -> tuple[Tensor, list[Tensor]]:
            values = vmap(partial(self.trial.apply, params))(sets[0].x)
            found = [
                self.unweighted(one, params, points).square().mean()
                for (one, _), points in zip(held_out, sets, strict=True)
            ]
            return values.square().mean(), found

        program = jit(squares, backend=backend)

        def error(params: Params) -> float:
            with torch.no_grad():
                size, found = program(params, tuple(points for _, points in held_out))
            worst, whole = math.sqrt(max(map(float, found))), math.sqrt(float(size))
            worst = worst / max(whole, torch.finfo(size.dtype).tiny)
            return worst if math.isfinite(worst) else math.inf

        return error

    def error(self, params: Params) -> float:
        """The relative residual on held-out points."""
        return self.judge()(params)

    def size(self, params: Params) -> float:
        """The root mean square of the fields inside."""
        dimensions = self.problem.domain.dimensions
        x = self._inside(sampling.sample("sobol", self.settings.key, JUDGED_EDGE, dimensions))
        with torch.no_grad():
            return _rms(vmap(partial(self.trial.apply, params))(x))

    def unweighted(self, requirement: Requirement, params: Params, points: Points) -> Tensor:
        """The numbers of a requirement at points, shape `(n, count)`, without weights."""
        even = points._replace(weight=torch.ones_like(points.weight))
        return all_residuals(self.residual(requirement), params, even)

    def _inside(self, unit: Tensor) -> Tensor:
        """Points of the domain from those of the unit cube; some go where a transient is."""
        domain, transient = self.problem.domain, self.trial.transient
        if transient > FAST and domain.dimensions == 1:
            graded = int(LAYER_SHARE * len(unit))
            share = (torch.arange(graded, dtype=unit.dtype)[:, None] + 0.5) / max(graded, 1)
            s = 2 * sampling.chebyshev(self.settings.key, len(unit) - graded, 1) - 1
            unit = 0.5 * (torch.cat([-1 + distances(transient, share), s]) + 1)
        return domain.unscaled(unit).to(**self.settings.where)

    def _all(self, inside: Tensor, at_edges: int, key: Key, name: str) -> Training:
        equations, *others = self.requirements
        found = [(equations, _even(inside, inside.new_zeros(len(inside))))]
        for place, face in enumerate(self.soft):
            points, target = self._edge(face, at_edges, random.fold_in(key, place), name)
            found.append((others[place], _even(points, target, face.source.weight or 1.0)))
        for place, (condition, (x, values)) in enumerate(self.problem.places, len(self.soft)):
            moved = (x.to(**self.settings.where), values.to(**self.settings.where))
            found.append((others[place], _even(*moved, condition.weight or 1.0)))
        factors = self.balance or (1.0,) * len(found)
        return tuple(
            (one, points._replace(weight=points.weight * factor))
            for (one, points), factor in zip(found, factors, strict=True)
        )

    def _edge(self, face: Face, count: int, key: Key, name: str) -> tuple[Tensor, Tensor]:
        """Points at an edge, and what is asked there."""
        where = self.settings.where
        if face.data is not None:
            return face.data[0].to(**where), face.data[1].to(**where)
        domain = self.problem.domain
        others = sampling.sample(name, key, count, domain.dimensions - 1)
        ends = others.new_full((len(others), 1), 0.0)
        unit = torch.cat([others[:, : face.index], ends, others[:, face.index :]], 1)
        x = domain.unscaled(unit).to(**where)
        x[:, face.index] = face.end(domain)
        return x, vmap(face.at)(x)


def make_task(
    problem: Problem,
    settings: Settings,
    shape: NetworkSettings,
    *,
    before: Any = None,
    amplitude: float = 1.0,
) -> Task:
    """The task of one network.

    Args:
        problem: on its domain.
        settings: how to solve it.
        shape: of the network.
        before: an earlier stage whose error it corrects.
        amplitude: the size of the correction.

    Raises:
        ValueError: if built-in conditions contradict each other where they meet.
    """
    domain, fields, edges = problem.domain, problem.fields, problem.edges
    made = network(shape, domain.dimensions, len(fields), problem.periodic)
    rates = [1 / length for length in domain.lengths]
    built = tuple(build([face for face in edges.hard if face.field == one], domain, rates) for one in fields)
    trial = Trial(domain, made, built)
    linear = _linearized(problem, trial, settings)
    found = timescales(problem.equations, linear[0]) if domain.dimensions == 1 else Timescales(0.0, 0.0)
    if domain.dimensions == 1:
        rates = [found.rate]
        built = tuple(
            build([face for face in edges.hard if face.field == one], domain, rates) for one in fields
        )
    transient = found.decay * domain.lengths[0] if domain.dimensions == 1 else 0.0
    trial = trial._replace(built=built, before=before, amplitude=amplitude, transient=transient)
    sizes = scales(problem.equations, linear)
    requirements = [of_equations(problem.equations, sizes)]
    for face in edges.soft:
        rate = rates[face.index]
        size = max(abs(factor) * rate**order for factor, order in face.terms)
        requirements.append(of_terms(face.describe(domain), face.field, face.index, face.terms, size))
    for condition, _ in problem.places:
        requirements.append(of_terms(str(condition), problem.field_of(condition), 0, ((1.0, 0),), 1.0))
    task = Task(problem, settings, shape, trial, tuple(requirements), edges.soft)
    if before is None:
        _check_built(task)
        _check_periodic(task)
    return task


def empty_params(problem: Problem, shape: NetworkSettings, dtype: torch.dtype) -> Params:
    """The parameters that a network has for a problem, as tensors that hold no numbers."""
    made = network(shape, problem.domain.dimensions, len(problem.fields), problem.periodic)
    return made.init(torch.zeros(2, dtype=torch.int64, device="meta"), dtype=dtype)


def _linearized(problem: Problem, trial: Trial, settings: Settings) -> list[Tensor]:
    """The slopes of the equations at the start and at some points, for the fields that conditions give."""
    domain, equations = problem.domain, problem.equations
    unit = sampling.sample("sobol", settings.key, TYPICAL, domain.dimensions)
    points = domain.unscaled(torch.cat([torch.zeros_like(unit[:1]), unit])).to(settings.device)
    differentiated = Differentiated(problem.fields, equations.requests, "nested")

    def at_point(x: Tensor) -> Tensor:
        return slopes(equations, differentiated.values(trial.known, x), x)

    return list(vmap(at_point)(points))


def _check_built(task: Task) -> None:
    """The built-in conditions hold together; where two meet and disagree, none of them can."""
    domain = task.problem.domain
    if domain.dimensions == 1:
        return
    for face in task.problem.edges.hard:
        term = of_terms("", face.field, face.index, face.terms, 1.0)
        x, wanted = task._edge(face, 64, task.settings.key, "sobol")
        differentiated = Differentiated(task.problem.fields, term.requests, "nested")

        def miss(x: Tensor, target: Tensor) -> Tensor:
            return term.evaluate(differentiated.values(task.trial.known, x), x, target)  # noqa: B023

        missed = vmap(miss)(x, wanted)[:, 0].abs()
        worst = int(missed.argmax())
        size = max(float(wanted.abs().max()), 1.0)
        off = float(missed[worst])
        if off > max(CLASH, 1e3 * torch.finfo(x.dtype).eps) * size:
            others = [one for one in task.problem.edges.hard if one.field == face.field]
            raise ValueError(
                f"Conditions must agree where they meet. Got {clash(face, others, x[worst], domain, off)}. "
                "Mend the values there, or pass hard=False to one."
            )


def _check_periodic(task: Task) -> None:
    """What built-in conditions give to a periodic field is periodic, as smoothly as its equations need."""
    problem, domain = task.problem, task.problem.domain
    unit = sampling.sample("sobol", task.settings.key, 64, domain.dimensions)
    x = domain.unscaled(unit).to(**task.settings.where)

    def at_end(x: Tensor, place: int, index: int, end: float, order: int) -> Scalar:
        return along(lambda x: task.trial.known(x)[place], replaced(x, index, end), index, order)

    curved = [place for place, one in enumerate(task.trial.built) if one.extension is not None]
    for place, index in itertools.product(curved, problem.periodic):
        field, name = problem.fields[place], domain.names[index]
        for order in range(max(1, problem.equations.order(field, name))):
            lower, upper = (
                vmap(partial(at_end, place=place, index=index, end=end, order=order))(x)
                for end in (domain.lower[index], domain.upper[index])
            )
            jump, size = float((upper - lower).abs().max()), max(float(upper.abs().max()), 1.0)
            if jump > max(CLASH, 1e3 * torch.finfo(x.dtype).eps) * size:
                raise ValueError(
                    f"Conditions must agree where they meet. Got periodic({name}), but by the others of "
                    f"{field} its derivative of order {order} by {name} jumps by {jump:.2g}. "
                    "Mend their values, or pass hard=False to them."
                )


def _even(x: Tensor, target: Tensor, weight: float = 1.0) -> Points:
    """Points of one weight, whose sum is `weight`."""
    return Points(x, target, x.new_full((len(x),), weight / len(x)))


def _pull(residual: Any, params: Params, points: Points) -> float:
    """The mean square of the residuals' derivatives by the parameters."""
    even = points._replace(weight=torch.ones_like(points.weight))
    jacobian = vmap(jacrev(residual), in_dims=(None, 0))(params, even)
    squares = [leaf.double().square().sum() for leaf in tree.leaves(jacobian)]
    return float(torch.stack(squares).sum()) / len(points.x)


def _rms(values: Tensor) -> float:
    return float(values.double().square().mean().sqrt())
