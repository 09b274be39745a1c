"""An activation with its derivative written by hand, f(x) = x sin x, checked, composed and trained.

Challenge II. As torch's class, which `backward` alone can use, and as a pair of functions, to which every
transform applies. Writes custom_function.png to the current folder: f and f', and the wave that a
network with it has learned. `--smoke` takes a fifth of the steps.
"""

import warnings

import torch
from matplotlib.figure import Figure

from funcsci import examples, nn, optim, random, train
from funcsci.autodiff import custom_function, x_sin_x
from funcsci.plot.style import BLUE, ORANGE, name_axes

options = examples.options(__doc__)
warnings.filterwarnings("ignore", "Input #0 requires gradient")  # in single precision: that it fails is shown


class XSinX(torch.autograd.Function):
    """The form that the exercise asks for."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * torch.sin(x)

    @staticmethod
    def backward(ctx, cotangent):
        (x,) = ctx.saved_tensors
        return cotangent * (torch.sin(x) + x * torch.cos(x))


# `autodiff.x_sin_x` has the same two formulas by `custom_function`.
points = torch.linspace(-6, 6, 7, dtype=torch.float64, device=options.device)
x = points.clone().requires_grad_()
for name, function in (("the class", XSinX.apply), ("x_sin_x", x_sin_x)):
    checked = torch.autograd.gradcheck(function, x) and torch.autograd.gradgradcheck(function, x)
    single = torch.autograd.gradcheck(function, x.float().detach().requires_grad_(), raise_exception=False)
    print(f"{name}: gradcheck in float64 {checked}, in float32, whose differences are round-off, {single}")
    assert checked and not single

try:
    torch.func.grad(XSinX.apply)(points[0])
except RuntimeError as error:
    print(f"grad of the class is refused: {str(error).split('. ')[0]}")
second = torch.func.vmap(torch.func.grad(torch.func.grad(x_sin_x)))(points)
wrong = float((second - (2 * points.cos() - points * points.sin())).abs().max())
print(f"vmap of grad of grad of x_sin_x differs from f'' = 2 cos x - x sin x by at most {wrong:.0e}\n")
assert wrong < 1e-12

# The rule need not be the true one. This one passes its gradient cut to [-1, 1].
cut = custom_function(
    lambda x: x**2, vjp=lambda inputs, output, cotangent: cotangent * (2 * inputs[0]).clamp(-1, 1)
)
slopes = torch.func.vmap(torch.func.grad(cut))(points)
print("gradient of x^2, cut:", slopes.tolist(), end="\n\n")
assert torch.equal(slopes, (2 * points).clamp(-1, 1))

# A network with the activation learns a wave.
t = torch.linspace(-2, 2, 100, device=options.device)[:, None]
wave = torch.sin(5 * t) * torch.exp(-(t**2) / 2)
model = nn.mlp((1, 32, 32, 1), activation=x_sin_x)
result = train.fit(
    lambda params, batch: nn.mse(model.apply(params, batch["t"]), batch["wave"]),
    model.init(random.key(options.seed, device=options.device)), optim.adam(3e-3), {"t": t, "wave": wave},
    steps=300 if options.smoke else 1500, backend="trace", progress_bar=False,
)  # fmt: skip
print(result)
assert result.best.value < (1e-2 if options.smoke else 1e-4)

figure = Figure(figsize=(9, 3.4), layout="constrained")
left, right = figure.subplots(1, 2)
fine = torch.linspace(-10, 10, 401)
left.plot(fine, x_sin_x(fine), color=BLUE, label="f(x) = x sin x")
left.plot(fine, torch.func.vmap(torch.func.grad(x_sin_x))(fine), color=ORANGE, label="f'(x)")
name_axes(left, "The activation", "x", "")
right.plot(t.cpu(), wave.cpu(), color="0.8", linewidth=5, label="wave")
right.plot(t.cpu(), model.apply(result.best.params, t).cpu(), color=BLUE, label="network")
name_axes(right, "What a network with it has learned", "t", "")
for panel in (left, right):
    panel.legend(frameon=False)
figure.savefig("custom_function.png", dpi=120)
