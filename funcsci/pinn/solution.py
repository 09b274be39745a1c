"""What a solver returns: a function that can be evaluated, differentiated, judged, drawn and kept."""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor
from torch.func import vmap

from funcsci import checks, tree
from funcsci.autodiff import derivative
from funcsci.compile import inside_transform
from funcsci.nn import Model
from funcsci.optim import Status
from funcsci.pinn.problem import Oscillator, closed_form, equation
from funcsci.pinn.settings import History
from funcsci.pinn.trial import TRIALS
from funcsci.plot import figure_path, solution_figure
from funcsci.storage import Format
from funcsci.tree import Params, Scalar

Times = TypeVar("Times", Tensor, float, NDArray[np.floating])
"""A number, an array or a tensor: what comes in is what goes out."""

FILE = Format("funcsci.solution", 1, writer="Solution.save")

JUDGED_POINTS = 1_000
"""Equally spaced points on which errors against the closed form are measured."""


@dataclass(frozen=True, repr=False, eq=False)
class Solution:
    """The solution of an oscillator: a trained function of time and the story of how it was found.

    Attributes:
        problem: the oscillator that was solved.
        params: the network's parameters, a pytree of tensors.
        history: `loss` and `seconds` after each step, CPU tensors of shape `(steps,)`.
        status: whether `tol` was met, and the reason; `print(solution.status)` reads as a sentence.
        method: the name of the method.
        hidden: the network's hidden widths.
        conditions: how the initial conditions are met, `"hard"` or `"soft"`.
        backend: what the steps ran on.
        steps: how many steps the iteration took; 0 where the last layer alone was enough.

    Example:
        >>> from funcsci.pinn import solve_oscillator
        >>> solution = solve_oscillator(omega=2.0, progress=False)
        >>> round(solution(0.0), 12), round(solution.derivative("t", 0.0), 12)
        (1.0, 0.0)
    """

    problem: Oscillator
    params: Params
    history: History
    status: Status
    method: str
    hidden: tuple[int, ...]
    conditions: str
    backend: str
    steps: int

    def __post_init__(self) -> None:
        tree.check_tensors(params=self.params)

    def __call__(self, t: Times) -> Times:
        """The solution u(t).

        Args:
            t: times: a number, a NumPy array or a tensor, of any shape.

        Returns:
            u at those times: of the same kind and shape as `t`.

        Raises:
            TypeError: if `t` is something else, or complex.
        """
        return self._at(self._function.apply, t)

    def derivative(self, name: str, t: Times) -> Times:
        """A derivative of the solution, by nested `torch.func.grad`.

        Args:
            name: one letter t for each order: `"t"` is u', `"tt"` is u''.
            t: times: a number, a NumPy array or a tensor, of any shape.

        Returns:
            The derivative at those times: of the same kind and shape as `t`.

        Raises:
            ValueError: if the name holds another letter than t, or none.
        """
        if not isinstance(name, str) or not name or set(name) != {"t"}:
            raise ValueError(checks.message("be made of the letter t", "name", name, "Try name='tt'."))
        return self._at(derivative(self._function.apply, len(name), argnum=1), t)

    def residual(self, t: Times) -> Times:
        r"""What is left of the equation, $u'' + 2 \zeta \omega u' + \omega^2 u$; zero for the exact solution.

        Args:
            t: times: a number, a NumPy array or a tensor, of any shape.

        Returns:
            The residual at those times: of the same kind and shape as `t`.
        """
        scale = self.problem.rate**2
        return self._at(lambda params, t: scale * equation(self.problem, self._function, params, t), t)

    def exact(self, t: Times) -> Times:
        """The closed form, in float64.

        Args:
            t: times: a number, a NumPy array or a tensor, of any shape.

        Returns:
            The exact solution at those times: of the same kind and shape as `t`.
        """
        return _as(t, closed_form(self.problem, _tensor(t)))

    @cached_property
    def relative_l2(self) -> float:
        """The L2 norm of the error over that of the closed form, on 1,000 equally spaced points.

        Where the closed form is zero everywhere, the absolute L2 norm (root mean square) instead.
        """
        error, exact = self._errors
        norm = float(torch.linalg.vector_norm(exact))
        size = float(torch.linalg.vector_norm(error))
        return size / norm if norm > 0 else size / math.sqrt(JUDGED_POINTS)

    @cached_property
    def max_error(self) -> float:
        """The largest absolute error against the closed form, on 1,000 equally spaced points."""
        return float(self._errors[0].abs().max())

    @property
    def seconds(self) -> float:
        """How long the solution took, up to the last entry of its history."""
        return float(self.history.seconds[-1]) if len(self.history.seconds) else 0.0

    def plot(self, path: str | Path | None = None) -> Figure:
        """Draw the solution on its closed form, the pointwise error and the history of the loss.

        Args:
            path: where to write the figure, in the format its ending names; None writes nothing.

        Returns:
            The figure.

        Raises:
            OSError: if the path cannot be written; said before anything is drawn.
            ValueError: if its ending names no format of figures.
        """
        if path is not None:
            figure_path(path=path)
        times = self._times.cpu()
        error, exact = (tensor.cpu() for tensor in self._errors)
        figure = solution_figure(
            times.numpy(),
            (exact + error).numpy(),
            exact.numpy(),
            _positive(error.abs()).numpy(),
            _positive(self.history.loss).numpy(),
            self.history.seconds.numpy(),
            title=f"{_equation(self.problem)}  ·  {self.method}  ·  relative L2 error {self.relative_l2:.1e}",
        )
        if path is not None:
            figure.savefig(path, dpi=150)
        return figure

    def save(self, path: str | Path) -> None:
        """Write the whole solution to one safetensors file: tensors and JSON, no code.

        Args:
            path: the file; it is replaced whole or not at all.

        Raises:
            OSError: if the path cannot be written.
        """
        tensors = dict(zip(tree.paths(self.params, "params"), tree.leaves(self.params), strict=True))
        tensors |= {"history.loss": self.history.loss, "history.seconds": self.history.seconds}
        story = {
            "problem": self.problem._asdict(),
            "status": self.status._asdict(),
            "method": self.method,
            "hidden": self.hidden,
            "conditions": self.conditions,
            "backend": self.backend,
            "steps": self.steps,
        }
        FILE.write(path, tensors, story)

    @classmethod
    def load(cls, path: str | Path, *, device: str | torch.device = "cpu") -> "Solution":
        """Read a solution that `save` wrote.

        Args:
            path: the file.
            device: where its tensors go.

        Returns:
            The solution, equal to the one that was saved to the last bit.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if the file is not a saved solution, is cut short or was changed.
        """
        checks.device(device=device)
        tensors, story = FILE.read(path, device)
        try:
            problem = Oscillator(**{**story["problem"], "t_span": tuple(story["problem"]["t_span"])})
            hidden, conditions = tuple(story["hidden"]), story["conditions"]
            function = TRIALS[conditions](problem, hidden)
            example = function.init(torch.zeros(2, dtype=torch.int64, device="meta"))
            params = tree.combine(
                example,
                {name.removeprefix("params"): tensors[name] for name in tree.paths(example, "params")},
            )
            return cls(
                problem=problem,
                params=params,
                history=History(tensors["history.loss"].cpu(), tensors["history.seconds"].cpu()),
                status=Status(**story["status"]),
                method=story["method"],
                hidden=hidden,
                conditions=conditions,
                backend=story["backend"],
                steps=story["steps"],
            )
        except (KeyError, TypeError) as error:
            raise FILE.damaged(path, f"it lacks {error}") from error

    def __repr__(self) -> str:
        p = self.problem
        first = tree.leaves(self.params)[0]
        dtype = str(first.dtype).removeprefix("torch.")
        kind = "absolute" if p.u0 == p.du0 == 0 else "relative"
        return "\n".join(
            (
                f"Solution of {_equation(p)}",
                f"  u({p.t_span[0]:g}) = {p.u0:g}, u'({p.t_span[0]:g}) = {p.du0:g}, "
                f"t in [{p.t_span[0]:g}, {p.t_span[1]:g}]",
                f"  {self.status}",
                f"  {kind} L2 error {self.relative_l2:.1e}, largest error {self.max_error:.1e} (closed form)",
                f"  method {self.method}, backend {self.backend}, steps {self.steps}, {self.seconds:.2f} s",
                f"  network 1-{'-'.join(map(str, self.hidden))}-1, {self.conditions} initial conditions, "
                f"{tree.size(self.params):,} parameters, {dtype} on {first.device}",
            )
        )

    @cached_property
    def _function(self) -> Model:
        return TRIALS[self.conditions](self.problem, self.hidden)

    @property
    def _times(self) -> Tensor:
        start, end = self.problem.t_span
        device = tree.leaves(self.params)[0].device
        return torch.linspace(start, end, JUDGED_POINTS, dtype=torch.float64, device=device)

    @cached_property
    def _errors(self) -> tuple[Tensor, Tensor]:
        """The error on the judged points, and the closed form there."""
        exact = self.exact(self._times)
        return self(self._times).to(torch.float64) - exact, exact

    def _at(self, function: Callable[[Params, Scalar], Scalar], t: Times) -> Times:
        """Map a function of the parameters and one time over whatever times came."""
        first = tree.leaves(self.params)[0]
        times = _tensor(t).to(first.dtype).to(first.device)
        if not inside_transform():
            self._warn_outside(times)
        values = times  # vmap cannot map over nothing
        if times.numel():
            values = vmap(lambda s: function(self.params, s))(times.reshape(-1)).reshape(times.shape)
        return _as(t, values)

    def _warn_outside(self, times: Tensor) -> None:
        start, end = self.problem.t_span
        slack = 1e-6 * (end - start)
        if bool(((times < start - slack) | (times > end + slack)).any()):
            warnings.warn(
                f"t goes beyond [{start:g}, {end:g}], where the solution was found. It knows nothing "
                "out there. Solve again with a longer t_span.",
                RuntimeWarning,
                stacklevel=4,
            )


def _tensor(t: Tensor | float | NDArray[np.floating]) -> Tensor:
    """Times of any kind as a real tensor."""
    if isinstance(t, bool) or not isinstance(t, (Tensor, np.ndarray, np.generic, int, float)):
        raise TypeError(checks.message("be a number, an array or a tensor", "t", t, "Try t=0.5."))
    if t.is_complex() if isinstance(t, Tensor) else np.iscomplexobj(t):
        raise TypeError("t must be real. Got complex times. Pass their real part.")
    # The copy is contiguous, writable and of native byte order, as torch wants it.
    return t if isinstance(t, Tensor) else torch.from_numpy(np.array(t, dtype=np.float64, order="C"))


def _as(t: Times, values: Tensor) -> Times:
    """Values as the kind of thing that the times were."""
    if isinstance(t, Tensor):
        return values.to(t.device)
    return values.cpu().numpy() if isinstance(t, np.ndarray) else float(values)


def _positive(values: Tensor) -> Tensor:
    """What a logarithmic axis can show: a gap in place of each zero."""
    return torch.where(values > 0, values, torch.nan)


def _equation(problem: Oscillator) -> str:
    """The equation with its numbers, as one writes it."""
    friction = 2 * problem.damping * problem.omega
    terms = ["u''"]
    if friction:
        terms.append("u'" if friction == 1 else f"{friction:g} u'")
    if problem.omega:
        terms.append("u" if problem.omega == 1 else f"{problem.omega**2:g} u")
    return " + ".join(terms) + " = 0"
