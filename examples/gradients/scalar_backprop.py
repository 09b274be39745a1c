"""The chain rule on paper, on torch's tape, and as a transform of a function.

Exercise 2.1. Prints the derivatives in all ways, and what the tape asks for that the transform does not.
Nothing here is random.
"""

import torch

from funcsci import examples
from funcsci.autodiff import value_and_grad

options = examples.options(__doc__)
torch.set_default_dtype(torch.float64)

# Torch's way: tensors are marked, operations are recorded, and the result is sent back through the record.
a, w, b = (torch.tensor(x, requires_grad=True, device=options.device) for x in (2.0, 3.0, 4.0))
y = w * a + b
L = y**2
print(
    f"y = w a + b = {y.item():g} was made by {y.grad_fn.name()}, from {y.grad_fn.next_functions[0][0].name()}"
)
print("and b: the last operation is the sum. L = y^2 was made by " + L.grad_fn.name())
L.backward()


# As a transform: the loss is a function of what is learned, and its gradient is another function.
def loss(params):
    return (params["w"] * params["a"] + params["b"]) ** 2


params = {name: torch.tensor(x, device=options.device) for name, x in (("a", 2.0), ("w", 3.0), ("b", 4.0))}
value, gradient = value_and_grad(loss)(params)

# On paper: dL/dy = 2 y = 20, and dy/dw = a, dy/da = w, dy/db = 1.
paper = {"w": 2 * 10 * 2, "a": 2 * 10 * 3, "b": 2 * 10 * 1}
h = 1e-5
print(f"\n{'':<8}{'paper':>7}{'backward()':>12}{'value_and_grad':>16}{'difference over 2 h':>21}")
for (name, exact), leaf in zip(paper.items(), (w, a, b), strict=True):
    up, down = ({**params, name: params[name] + step} for step in (h, -h))
    slope = float(loss(up) - loss(down)) / (2 * h)
    print(f"dL/d{name:<4}{exact:>7}{float(leaf.grad):>12g}{float(gradient[name]):>16g}{slope:>21.9f}")
    assert float(leaf.grad) == float(gradient[name]) == exact and abs(slope - exact) < 1e-7
print(
    f"value_and_grad gave the loss as well, {float(value):g}. It left the parameters as they were: no flag,"
)
print(f"requires_grad {params['w'].requires_grad}, no record, grad_fn {loss(params).grad_fn}, and no .grad.")
assert not params["w"].requires_grad and params["w"].grad is None and loss(params).grad_fn is None

# The second derivative, d2L/dw2 = 2 a^2 = 8: on the tape a record of the way back, here the transform again.
(first,) = torch.autograd.grad((w * a + b) ** 2, w, create_graph=True)
(second,) = torch.autograd.grad(first, w)
curvature = torch.func.grad(torch.func.grad(lambda w: loss({**params, "w": w})))(params["w"])
print(f"\nd2L/dw2: create_graph=True gives {float(second):g}, grad(grad(loss)) gives {float(curvature):g}")
assert float(second) == float(curvature) == 8

# Must backward() be called on a scalar? No. A vector needs a cotangent v, and what comes is v^T J.
x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True, device=options.device)
try:
    (x**2).backward()
except RuntimeError as error:
    print(f"\nof a vector, backward() is refused: {error}.")
v = torch.tensor([1.0, 0.0, 10.0], device=options.device)
(x**2).backward(v)
_, pull_back = torch.func.vjp(torch.square, x.detach())
(pulled,) = pull_back(v)
print(f"with v = {v.tolist()}: backward(v) gives {x.grad.tolist()}, vjp {pulled.tolist()}, 2 x v on paper")
assert torch.equal(x.grad, pulled) and torch.equal(pulled, 2 * x.detach() * v)
print("For a scalar v is 1, and may be left out: that is all that is special about a loss.")
