"""The forms in which the two programs of a twin can run."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from funcsci import tree
from funcsci.compare.pair import make_pair
from funcsci.compare.twin import Twin
from funcsci.compile import jit
from funcsci.random import Key
from funcsci.train import TrainState
from funcsci.train.loss import Metrics
from funcsci.tree import PyTree

MODULE, FUNCTIONAL = "nn.Module", "functional"
COMPILED = "compile"
"""In the name of a form, says that it needs a compiler."""


class Form(NamedTuple):
    """A program that is ready to run.

    Attributes:
        step: takes the next step on a batch.
        held: the tensors that it has between two steps.
        batches: the batches as it wants them.
    """

    step: Callable[[PyTree], object]
    held: Callable[[], Iterable[Tensor]]
    batches: Sequence[PyTree]


def form_names(twin: Twin, *, compiled: bool = True) -> list[str]:
    """The names of the forms: style, memory format where there is a choice, and what runs it.

    Args:
        twin: what is trained.
        compiled: whether those count that are compiled.

    Example:
        >>> from funcsci.compare import TWINS
        >>> form_names(TWINS["line"])  # doctest: +NORMALIZE_WHITESPACE
        ['nn.Module, eager', 'nn.Module, compile',
         'functional, eager', 'functional, trace', 'functional, compile']
    """
    formats = ("", " channels last") if twin.images else ("",)
    names = [f"{MODULE}, {way}{order}" for way in ("eager", COMPILED) for order in formats]
    names += [f"{FUNCTIONAL}, {backend}" for backend in ("eager", "trace", COMPILED)]
    return [name for name in names if compiled or COMPILED not in name]


def make_form(
    name: str, twin: Twin, batches: Sequence[PyTree], key: Key, dtype: torch.dtype, device: torch.device
) -> Form:
    """A form by its name, ready for its first step.

    Raises:
        RuntimeError: if `jit` would run something else here; it goes without a compiler where there is none.
    """
    style, way = name.split(", ")
    (_, now, pure_step), module = make_pair(twin, key, dtype, device)
    if style == FUNCTIONAL:
        program = jit(pure_step, backend=way)
        if program.backend != way:
            raise RuntimeError(
                f"The backend must be one that is there. Got {way!r}, in whose place jit runs "
                f"{program.backend!r}. Install a C++ compiler, and leave FUNCSCI_DISABLE_JIT unset."
            )
        return _functional(now, program, batches)
    network, optimizer, step = module
    if "channels last" in way:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        batches = [tree.map(_channels_last, batch) for batch in batches]

    def held() -> Iterator[Tensor]:
        yield from network.buffers()
        for parameter in network.parameters():
            yield from (parameter, *([] if parameter.grad is None else [parameter.grad]))
            yield from (one for one in optimizer.state[parameter].values() if isinstance(one, Tensor))

    return Form(torch.compile(step) if COMPILED in way else step, held, batches)


def _functional(
    now: TrainState, step: Callable[..., tuple[TrainState, Metrics]], batches: Sequence[PyTree]
) -> Form:
    def advance(batch: PyTree) -> None:
        nonlocal now
        now, _ = step(now, batch)

    return Form(advance, lambda: tree.leaves(now), batches)


def _channels_last(leaf: Tensor) -> Tensor:
    return leaf.contiguous(memory_format=torch.channels_last) if leaf.dim() == 4 else leaf
