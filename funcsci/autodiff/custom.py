"""Functions with a derivative of one's own, for every transform."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from funcsci import checks

VJP: TypeAlias = Callable[[tuple[Tensor, ...], Tensor, Tensor], Sequence[Tensor | None] | Tensor]
"""`vjp(inputs, output, cotangent)` gives a cotangent for each input; None for one that has none."""
JVP: TypeAlias = Callable[[tuple[Tensor, ...], Tensor, tuple[Tensor, ...]], Tensor]
"""`jvp(inputs, output, tangents)` gives the output's tangent."""


def custom_function(
    forward: Callable[..., Tensor], vjp: VJP, jvp: JVP | None = None
) -> Callable[..., Tensor]:
    r"""A function whose derivative is given, not found: $\bar x = J^\top \bar y$ and $\dot y = J \dot x$.

    For a derivative that is cheaper or safer than the one of the operations: an implicit solve, a limit at a
    removable singularity, a gradient that is cut. `grad`, `vmap`, `jvp`, `jacrev`, `hessian` and `jit` apply
    to the result in any order. Higher derivatives are those of the rules, which are functions of tensors
    themselves.

    Args:
        forward: `forward(*inputs) -> output`, tensors in and one tensor out; a pure function.
        vjp: `vjp(inputs, output, cotangent)`, the products of the cotangent, shape of the output, with the
            derivative by each input: one tensor of the input's shape for each, or None where it does not
            matter; for a single input the tensor alone. It is linear in the cotangent.
        jvp: `jvp(inputs, output, tangents)`, the derivative along the tangents. None: the transpose of
            `vjp`, at the cost of one more run of it.

    Returns:
        The function of the inputs.

    Raises:
        TypeError: if a rule is no function; when called, if an input or the output is no tensor.
        ValueError: when differentiated, if a rule returns another number of cotangents, or another shape.

    Example:
        The logarithm of 1 + e^x, with the derivative that does not overflow:

        >>> import torch
        >>> softplus = custom_function(
        ...     lambda x: torch.logaddexp(x, torch.zeros_like(x)),
        ...     vjp=lambda inputs, output, cotangent: cotangent * torch.sigmoid(inputs[0]),
        ... )
        >>> torch.func.grad(softplus)(torch.tensor(0.0))
        tensor(0.5000)
        >>> torch.func.jvp(softplus, (torch.tensor(0.0),), (torch.tensor(2.0),))[1]
        tensor(1.)

    Differs from: `torch.autograd.Function` in being made of pure functions that save nothing; in forward
    mode, which follows from `vjp`; and in the checks of what the rules return. JAX's `custom_vjp` has no
    forward mode. Taylor mode and the compiler see the operations of `forward`; the compiler also those of
    the rules.
    """
    given: dict[str, Any] = {"forward": forward, "vjp": vjp, **({} if jvp is None else {"jvp": jvp})}
    for name, rule in given.items():
        if not callable(rule):
            raise TypeError(checks.message("be a function", name, rule, f"Try {name}=lambda ...: ..."))

    class Rules(torch.autograd.Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(*inputs: Tensor) -> Tensor:
            output: Any = forward(*inputs)
            if not isinstance(output, Tensor):
                raise TypeError(checks.message("return one tensor", "forward", output, "Stack several."))
            return output

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            ctx.save_for_backward(*inputs, output)
            ctx.save_for_forward(*inputs, output)

        @staticmethod
        def backward(ctx: Any, cotangent: Tensor) -> tuple[Tensor | None, ...]:
            *inputs, output = ctx.saved_tensors
            return _cotangents(vjp, tuple(inputs), output, cotangent)

        @staticmethod
        def jvp(ctx: Any, *tangents: Tensor) -> Tensor:
            *inputs, output = ctx.saved_tensors
            along = (jvp or _transposed(vjp))(tuple(inputs), output, tangents)
            _check_shape("jvp", "a tangent", along, output)
            return along

    def function(*inputs: Tensor) -> Tensor:
        for place, x in enumerate(inputs):
            if not isinstance(x, Tensor):
                remedy = "Try torch.as_tensor, or close over what is no tensor."
                raise TypeError(checks.message("be a tensor", f"inputs[{place}]", x, remedy))
        output: Tensor = Rules.apply(*inputs)  # type: ignore[no-untyped-call]
        return output

    return function


def _x_sin_x_vjp(inputs: tuple[Tensor, ...], output: Tensor, cotangent: Tensor) -> Tensor:
    (x,) = inputs
    return cotangent * (torch.sin(x) + x * torch.cos(x))


_x_sin_x = custom_function(lambda x: x * torch.sin(x), _x_sin_x_vjp)


def x_sin_x(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    r"""The activation $f(x) = x \sin x$ with $f'(x) = \sin x + x \cos x$ given by hand.

    Args:
        x: any tensor, radians.

    Returns:
        $x \sin x$ of each entry.

    Raises:
        TypeError: if `x` is no tensor.

    Example:
        >>> import torch
        >>> x = torch.tensor(torch.pi / 2)
        >>> x_sin_x(x), torch.func.grad(x_sin_x)(x), torch.func.grad(torch.func.grad(x_sin_x))(x)
        (tensor(1.5708), tensor(1.0000), tensor(-1.5708))
    """
    return _x_sin_x(x)


def _transposed(vjp: VJP) -> JVP:
    """The forward rule that a backward rule implies: `J` is the transpose of `J^T`, which is linear."""

    def jvp(inputs: tuple[Tensor, ...], output: Tensor, tangents: tuple[Tensor, ...]) -> Tensor:
        def pull(cotangent: Tensor) -> tuple[Tensor, ...]:
            found = _cotangents(vjp, inputs, output, cotangent)
            return tuple(torch.zeros_like(x) if c is None else c for x, c in zip(inputs, found, strict=True))

        transpose = torch.func.vjp(pull, torch.zeros_like(output))[1]
        along: Tensor = transpose(tangents)[0]
        return along

    return jvp


def _cotangents(
    vjp: VJP, inputs: tuple[Tensor, ...], output: Tensor, cotangent: Tensor
) -> tuple[Tensor | None, ...]:
    found = vjp(inputs, output, cotangent)
    each = (found,) if isinstance(found, Tensor) else tuple(found)
    if len(each) != len(inputs):
        raise ValueError(
            f"vjp must return a cotangent for each of the {len(inputs)} inputs. Got {len(each)}. "
            "Return None for an input whose derivative does not matter."
        )
    for place, (one, x) in enumerate(zip(each, inputs, strict=True)):
        if one is not None:
            _check_shape("vjp", f"a cotangent for inputs[{place}]", one, x)
    return each


def _check_shape(rule: str, what: str, found: Tensor, like: Tensor) -> None:
    if found.shape != like.shape:
        raise ValueError(
            f"{rule} must return {what} of shape {tuple(like.shape)}. Got {tuple(found.shape)}. "
            "Sum over the dimensions that were broadcast."
        )
