"""An activation with its derivative written by hand, f(x) = x sin x, checked, composed and trained.

Challenge II. Writes custom_function.png to the current folder.
"""

import torch
from matplotlib.figure import Figure

from funcsci import nn, optim, random, train
from funcsci.autodiff import custom_function, x_sin_x

x = torch.linspace(-6, 6, 7, dtype=torch.float64, requires_grad=True)
print("first derivative against differences:", torch.autograd.gradcheck(x_sin_x, x, check_forward_ad=True))
print("second derivative against differences:", torch.autograd.gradgradcheck(x_sin_x, x))
points = x.detach()
second = torch.func.vmap(torch.func.grad(torch.func.grad(x_sin_x)))(points)
closed_form = 2 * points.cos() - points * points.sin()
print(f"f'' by nested grad and by hand differ by at most {float((second - closed_form).abs().max()):.1e}\n")

# The general tool: a function, and what multiplies a cotangent. This one passes its gradient cut to [-1, 1].
cut = custom_function(
    lambda x: x**2, vjp=lambda inputs, output, cotangent: cotangent * (2 * inputs[0]).clamp(-1, 1)
)
print("gradient of x^2, cut:", torch.func.vmap(torch.func.grad(cut))(points).tolist(), end="\n\n")

# A network with the activation learns a wave; its steps are one program.
t = torch.linspace(-2, 2, 100)[:, None]
wave = torch.sin(5 * t) * torch.exp(-(t**2) / 2)
model = nn.mlp((1, 32, 32, 1), activation=x_sin_x)
result = train.fit(
    lambda params: nn.mse(model.apply(params, t), wave), model.init(random.key(0)), optim.adam(3e-3),
    steps=1500, progress_bar=False,
)  # fmt: skip
print(result)

figure = Figure(figsize=(8, 3), layout="constrained")
left, right = figure.subplots(1, 2)
fine = torch.linspace(-10, 10, 401)
left.plot(fine, x_sin_x(fine), label="f(x) = x sin x")
left.plot(fine, torch.func.vmap(torch.func.grad(x_sin_x))(fine), label="f'(x)")
right.plot(t, wave, label="wave")
right.plot(t, model.apply(result.params, t), "--", label="network")
for panel in (left, right):
    panel.legend(frameon=False)
figure.savefig("custom_function.png", dpi=120)
assert result.loss[-1] < 1e-3
