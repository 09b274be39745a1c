"""What a solver returns: fields that can be evaluated, differentiated, judged, drawn and kept."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor
from torch.func import vmap

from funcsci import checks, tree
from funcsci.autodiff import partials
from funcsci.compile import inside_transform
from funcsci.optim import Status
from funcsci.pinn import storage
from funcsci.pinn.coordinates import Given, answer, given_points
from funcsci.pinn.field import Field, Operator, Recorder
from funcsci.pinn.figures import Drawn, figure_of
from funcsci.pinn.functions import NamedFunction
from funcsci.pinn.outcome import History
from funcsci.pinn.parts import Part
from funcsci.pinn.problem import Problem, Reference
from funcsci.pinn.requirements import Differentiated
from funcsci.pinn.settings import Settings
from funcsci.pinn.verdict import Verdict
from funcsci.plot import figure_path

JUDGED = {1: 1_000, 2: 101, 3: 31}
"""Equally spaced points along each coordinate on which errors are measured; 9 where there are more."""


@dataclass(frozen=True, repr=False, eq=False)
class Solution:
    """The solution of a problem: functions of the coordinates, and the story of how they were found.

    Attributes:
        problem: what was solved.
        parts: the networks, in slabs of time and stages.
        history: the loss and the time after each step, CPU tensors of shape `(entries,)`.
        status: whether `tol` was met, and the reason; `print(solution.status)` reads as a sentence.
        verdict: what is known of its quality.
        settings: how it was solved.
        method: the name of the method that the solution comes from.
        backend: what the steps ran on.
        steps: how many steps were taken on all parameters; 0 where the last layer alone was enough.
        seconds: how long it took.

    Example:
        >>> from funcsci import pinn
        >>> solution = pinn.solve_ode(lambda u: u.tt + u, t_span=(0.0, 3.0), u0=1.0, du0=0.0, progress=False)
        >>> round(solution(0.0), 12), abs(solution.derivative("t", 0.0)) < 1e-12
        (1.0, True)
    """

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

    def __post_init__(self) -> None:
        tree.check_tensors(params=self.params)

    def __call__(self, *coordinates: Given, **by_name: Given) -> Any:
        """The fields at points.

        Args:
            *coordinates: one number, NumPy array, list or tensor for each coordinate, in the order of the
                domain; shapes are broadcast.
            **by_name: the same by name.

        Returns:
            The field there, of the kind that the coordinates are: a number, a tensor, or a NumPy array for
            arrays and lists. A tuple of them where there are several fields.

        Raises:
            TypeError: if a coordinate is something else, complex, missing or unknown.
        """
        return self._at(vmap(self.function), coordinates, by_name)

    @property
    def params(self) -> list[list[Any]]:
        """The parameters of every network, by part and stage."""
        return [[stage.params for stage in part.stages] for part in self.parts]

    @property
    def error_estimate(self) -> dict[str, float]:
        """The estimated relative error of each field, root mean square over that of the field.

        Empty after a solve with `estimate=False`. `estimate_trusted` tells whether it explains the residual.
        """
        return dict(self.verdict.errors)

    @property
    def estimate_trusted(self) -> bool:
        """Whether the estimate of the error explains the residual; if not, `verdict.doubt` says why."""
        return self.verdict.trusted

    @property
    def residuals(self) -> dict[str, float]:
        """The relative residual of each equation and each condition on held-out points, by name.

        Each is the root mean square of what is left over that of its own terms, or over their size for a
        smooth solution of the size that its fields have, whichever is larger.
        """
        return {name: one.relative for name, one in self.verdict.residuals.items()}

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the fields."""
        return self.problem.fields

    def function(self, x: Tensor) -> Tensor:
        """All fields at one point: a pure function, `(dimensions,)` to `(fields,)`, to be transformed."""
        values = self.parts[-1].function(x)
        for part in self.parts[-2::-1]:
            index = part.problem.domain.index(self.problem.marches or "")
            values = torch.where(x[index] <= part.problem.domain.upper[index], part.function(x), values)
        return values

    def derivative(self, name: str, *coordinates: Given, field: str | None = None, **by_name: Given) -> Any:
        """A derivative of a field.

        Args:
            name: as in an equation, one letter for each order, `"tt"` or `"xt"`; names of several letters
                are separated by spaces, `"theta theta"`.
            *coordinates: as in a call.
            field: which; may be left out where there is one.
            **by_name: as in a call.

        Returns:
            The derivative, of the kind that the coordinates are.

        Raises:
            ValueError: if the name holds no coordinate's, or there are several fields and none is named.
        """
        which = self._field(field)
        operator = self._operator(name)

        mode, units = self.settings.derivatives, self.problem.domain.units
        found = partials(self.function, (operator,), derivatives=mode, units=units)
        return self._at(vmap(lambda x: found(x)[0][which : which + 1]), coordinates, by_name)

    def residual(self, *coordinates: Given, **by_name: Given) -> Any:
        """What is left of the equations at points, in their own units; zero for the exact solution.

        Args:
            *coordinates: as in a call.
            **by_name: as in a call.

        Returns:
            The residual, of the kind that the coordinates are; a tuple where there are several equations.
        """
        return self._at(vmap(lambda x: self._residual_of(self.function, x)), coordinates, by_name)

    def _residual_of(self, function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """What is left of the equations at a point, for all fields as a function."""
        equations = self.problem.equations
        needed = Differentiated(
            self.fields, equations.requests, self.settings.derivatives, self.problem.domain.units
        )
        return equations.residuals(needed.values(function, x), x)

    def exact(self, *coordinates: Given, **by_name: Given) -> Any:
        """The exact solution that the problem came with.

        Args:
            *coordinates: as in a call.
            **by_name: as in a call.

        Raises:
            ValueError: if it came with none.
        """
        return self._at(self._reference(None), coordinates, by_name)

    def to_numpy(self, count: int | None = None) -> dict[str, NDArray[np.float64]]:
        """Coordinates and fields on an equally spaced grid, edges included.

        Args:
            count: points along each coordinate; None is 1,000 on a line, 101 in the plane, 31 in space.

        Returns:
            Arrays by name: each coordinate's, of shape `(count,)`, and each field's, of one dimension for
            each coordinate, in their order.
        """
        axes, points = self._grid(count)
        with torch.no_grad():
            values = vmap(self.function)(points).T.reshape(len(self.fields), *[len(axis) for axis in axes])
        named = dict(zip(self.problem.domain.names, (axis.numpy() for axis in axes), strict=True))
        found = {one: value.double().cpu().numpy() for one, value in zip(self.fields, values, strict=True)}
        return named | found

    def errors(self, reference: Reference | None = None, count: int | None = None) -> dict[str, float]:
        """How far the solution is from a reference on an equally spaced grid.

        Args:
            reference: the exact solution by names of coordinates, `lambda x, t: ...`, a tuple for several
                fields; None is the one that the problem came with. One that is written with functions of
                NumPy or math is called for one point after the other.
            count: as in `to_numpy`.

        Returns:
            `relative_l2`, the norm of the error over that of the reference (over one, where that is zero),
            `rms` and `max`, over all fields.

        Raises:
            ValueError: if there is no reference.
        """
        exact = self._reference(reference)
        _, points = self._grid(count)
        with torch.no_grad():
            wanted = exact(points).double()
            error = vmap(self.function)(points).double() - wanted
        rms, size = (float(one.square().mean().sqrt()) for one in (error, wanted))
        return {"relative_l2": rms / size if size > 0 else rms, "rms": rms, "max": float(error.abs().max())}

    @cached_property
    def relative_l2(self) -> float:
        """The L2 norm of the error over that of the exact solution; absolute where that is zero."""
        return self._judged["relative_l2"]

    @property
    def max_error(self) -> float:
        """The largest absolute error against the exact solution, on the same points."""
        return self._judged["max"]

    @cached_property
    def _judged(self) -> dict[str, float]:
        return self.errors()

    def plot(
        self,
        path: str | Path | None = None,
        *,
        field: str | None = None,
        slices: int = 0,
        null: int | None = None,
        reference: Reference | None = None,
    ) -> Figure:
        """Draw the solution, its error or residual, and the history of the loss.

        One coordinate gives curves of all fields; two give maps of one; with more, the others are in the
        middle of their ranges.

        Args:
            path: where to write the figure, in the format its ending names; None writes nothing.
            field: which of several fields to map; None is the first.
            slices: instead of a map, curves at so many values of the last coordinate.
            null: instead of the solution, the null function of this number, of which any multiple can be
                added to it, and what it adds to the residual.
            reference: as in `errors`.

        Returns:
            The figure.

        Raises:
            OSError: if the path cannot be written; said before anything is drawn.
            ValueError: if its ending names no format of figures, or there is no null function of that number.
        """
        if path is not None:
            figure_path(path=path)
        checks.integer(slices=slices, least=0)
        if null is not None:
            return self._drawn(self._null(null), path, field, slices, None)
        exact = None if reference is None and self.problem.reference is None else self._reference(reference)
        known = self.problem.reference is not None
        story = f"L2 error {self.relative_l2:.1e}" if known else f"residual {self.verdict.worst_residual:.1e}"
        drawn = Drawn(
            self.problem,
            self.history,
            self.settings,
            self.function,
            self.residual,
            f"{self.method}  ·  relative {story}",
        )
        return self._drawn(drawn, path, field, slices, exact)

    def _drawn(
        self,
        drawn: Drawn,
        path: str | Path | None,
        field: str | None,
        slices: int,
        exact: Callable[[Tensor], Tensor] | None,
    ) -> Figure:
        figure = figure_of(drawn, self._field(field or self.fields[0]), slices, exact)
        if path is not None:
            figure.savefig(path, dpi=150)
        return figure

    def _null(self, number: int) -> Drawn:
        """What is drawn of a null function."""
        nulls = self.verdict.nulls
        checks.integer(null=number, least=0)
        if number >= len(nulls):
            must = f"be less than {len(nulls)}, the number of null functions" if nulls else "be left out"
            raise ValueError(checks.message(must, "null", number, "Look at solution.verdict.nulls."))
        one = nulls[number]

        def function(x: Tensor) -> Tensor:
            return one.trial.apply(one.params, x)

        def added(*coordinates: Given) -> Any:
            left, both = self._residual_of, lambda x: self.function(x) + function(x)
            return self._at(vmap(lambda x: left(both, x) - left(self.function, x)), coordinates, {})

        story = f"null function {number}: {one.description}"
        return Drawn(self.problem, self.history, self.settings, function, added, story)

    def save(self, path: str | Path) -> None:
        """Write the whole solution to one safetensors file: tensors and JSON, no code.

        Args:
            path: the file; it is replaced whole or not at all.

        Raises:
            OSError: if the path cannot be written.
        """
        storage.save(storage.Contents(*(getattr(self, name) for name in storage.Contents._fields)), path)

    @classmethod
    def load(
        cls, path: str | Path, *, problem: Problem | None = None, device: str | torch.device = "cpu"
    ) -> "Solution":
        """Read a solution that `save` wrote.

        Args:
            path: the file.
            problem: what it solves, with the equations and conditions of the file: it holds no code. May be
                left out for the problems the library knows by name, such as the oscillator.
            device: where its tensors go.

        Returns:
            The solution, equal to the one that was saved to the last bit.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if the file is not a saved solution, is cut short or was changed, or the problem is
                missing or another one: the message says what differs.
        """
        checks.device(device=device)
        return cls(**storage.load(path, problem, device)._asdict())

    def __repr__(self) -> str:
        domain = self.problem.domain
        ranges = ", ".join(f"{name} in [{a:g}, {b:g}]" for name, (a, b) in domain.ranges.items())
        first = self.parts[0].stages[0]
        leaf = tree.leaves(first.params)[0]
        lines = [f"Solution of {self.problem.text or ', '.join(self.fields)}", f"  {ranges}"]
        lines += [f"  {one}" for one in self.problem.told]
        lines.append(f"  {self.status}")
        if self.problem.reference is not None:
            kind = "relative" if self._judged["relative_l2"] != self._judged["rms"] else "absolute"
            lines.append(
                f"  {kind} L2 error {self.relative_l2:.1e}, largest error {self.max_error:.1e} (closed form)"
            )
        lines.append(
            f"  method {self.method}, backend {self.backend}, steps {self.steps}, {self.seconds:.2f} s"
        )
        widths = "-".join(map(str, (domain.dimensions, *first.shape.hidden, len(self.fields))))
        many = sum(len(part.stages) for part in self.parts)
        size = sum(tree.size(params) for part in self.params for params in part)
        lines.append(
            f"  {f'{many} networks such as' if many > 1 else 'network'} {widths}, {first.shape.activation}, "
            f"{self._met()}, {size:,} parameters, {str(leaf.dtype).removeprefix('torch.')} on {leaf.device}"
        )
        return "\n".join(lines)

    def _met(self) -> str:
        edges = self.problem.edges
        soft = len(edges.soft) + len(self.problem.places)
        return f"conditions {'hard' if not soft else 'soft' if not edges.hard else 'hard and soft'}"

    def _at(
        self,
        function: Callable[[Tensor], Tensor],
        coordinates: tuple[Given, ...],
        by_name: Mapping[str, Given],
    ) -> Any:
        """A function of points, `(n, dimensions)` to `(n, count)`, at whatever came; `count` results."""
        domain = self.problem.domain
        leaf = tree.leaves(self.parts[0].stages[0].params)[0]
        points, shape = given_points(domain, coordinates, by_name, leaf)
        if not inside_transform():
            self._warn_outside(points)
        if points.numel():
            values = function(points).T
        else:  # vmap cannot map over nothing
            values = function(points.new_zeros(1, domain.dimensions))[:0].T
        answers = tuple(answer(value.reshape(shape), (*coordinates, *by_name.values())) for value in values)
        return answers[0] if len(answers) == 1 else answers

    def _warn_outside(self, x: Tensor) -> None:
        domain = self.problem.domain
        for place, (name, (start, end)) in enumerate(domain.ranges.items()):
            slack = 1e-6 * (end - start)
            if bool(((x[:, place] < start - slack) | (x[:, place] > end + slack)).any()):
                warnings.warn(
                    f"{name} goes beyond [{start:g}, {end:g}], where the solution was found. It knows "
                    f"nothing out there. Solve again on a larger range of {name}.",
                    RuntimeWarning,
                    stacklevel=4,
                )

    def _field(self, field: str | None) -> int:
        if field is None:
            if len(self.fields) > 1:
                must = f"name one of {', '.join(self.fields)}"
                raise ValueError(checks.message(must, "field", field, f"Try field='{self.fields[0]}'."))
            return 0
        checks.one_of(self.fields, field=field)
        return self.fields.index(field)

    def _operator(self, name: str) -> Operator:
        """The derivative of a name, as an equation's field reads it."""
        names = self.problem.domain.names
        recorder = Recorder(torch.zeros(()))
        one = Field(self.fields[0], names, recorder)
        if not isinstance(name, str) or not name.strip():
            must = f"be made of the coordinates {', '.join(names)}"
            raise ValueError(checks.message(must, "name", name, f"Try name='{2 * names[0][:1]}'."))
        try:
            letters = name.split() if " " in name or name in names else list(name)
            one.d(*letters)
        except ValueError as error:
            must = f"be made of the coordinates {', '.join(names)}"
            remedy = f"Try name='{names[0] if len(names[0]) > 1 else 2 * names[0]}'."
            raise ValueError(checks.message(must, "name", name, remedy)) from error
        (request,) = recorder.requests
        return request.operator

    def _reference(self, reference: Reference | None) -> Callable[[Tensor], Tensor]:
        """The exact solution as a function of points, `(n, dimensions)` to `(n, fields)`."""
        found = self.problem.reference if reference is None else reference
        if found is None:
            must = "be given, as a function of the coordinates"
            names = ", ".join(self.problem.domain.names)
            raise ValueError(checks.message(must, "reference", None, f"Try reference=lambda {names}: ..."))
        several = len(self.fields)
        return NamedFunction.of(found, self.problem.domain, "the reference", several=several).at_points

    def _grid(self, count: int | None) -> tuple[list[Tensor], Tensor]:
        """Equally spaced coordinates, on the CPU, and all points that they make, where the parameters are."""
        domain = self.problem.domain
        if count is None:
            count = JUDGED.get(domain.dimensions, 9)
        checks.integer(count=count, least=2)
        leaf = tree.leaves(self.parts[0].stages[0].params)[0]
        axes = [torch.linspace(a, b, count, dtype=torch.float64) for a, b in domain.ranges.values()]
        points = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).reshape(-1, domain.dimensions)
        return axes, points.to(leaf)
