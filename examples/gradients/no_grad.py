"""What `no_grad` switches off, what that saves, where it bites, and why pure functions have no such switch.

Exercise 2.3. Prints flags, the bytes that a record keeps, and an update that loses its flag.
"""

import torch

from funcsci import examples, nn, random, tree
from funcsci.autodiff import value_and_grad

options = examples.options(__doc__)
keys = random.split(random.key(options.seed, device=options.device))

a = torch.tensor(3.0, requires_grad=True)
flags = set()
for _ in range(10):
    with torch.no_grad():
        b = a * 2
    c = a * 2
    flags.add((b.requires_grad, c.requires_grad))
print(f"ten times: inside no_grad b requires a gradient: {b.requires_grad}; outside, c: {c.requires_grad}")
print(f"b was made by {b.grad_fn}, c by {c.grad_fn.name()}; the numbers are the same: {bool(b == c)}\n")
assert flags == {(False, True)}

# What it saves is memory: the record keeps what the way back will need. A hook counts it.
model = nn.mlp((100, 200, 200, 1))
params, x = model.init(keys[0]), random.normal(keys[1], (1000, 100))
marked = tree.map(lambda leaf: leaf.clone().requires_grad_(), params)


def kept(params):
    """Bytes that autograd's record of one evaluation holds, each piece of memory counted once."""
    pieces = {}

    def note(tensor):
        pieces[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        y = model.apply(params, x)
    return sum(pieces.values()) if y.requires_grad else 0


recorded, plain = kept(marked), kept(params)
with torch.no_grad():
    switched_off = kept(marked)
print("1,000 samples through a network of widths 100, 200, 200, 1 keep")
print(f"  with parameters that require a gradient {recorded:>10,} bytes")
print(f"  the same inside no_grad                 {switched_off:>10,} bytes")
print(f"  with plain tensors, and no switch       {plain:>10,} bytes\n")
assert recorded > 2 * 1000 * 200 * 4 and switched_off == plain == 0  # two hidden layers at the least

# The trap: w = w - ... is a new tensor, and one made inside no_grad requires nothing.
w = torch.tensor(5.0, requires_grad=True)
(w**2).backward()
with torch.no_grad():
    w = w - 0.1 * w.grad
print(f"after w = w - 0.1 * w.grad inside no_grad: requires_grad {w.requires_grad}, w.grad {w.grad}")
try:
    (w**2).backward()
except RuntimeError as error:
    print(f"the second step is refused: {error}")
assert not w.requires_grad and w.grad is None

# In place it is the same tensor. In a function a new value is just what is wanted: nothing was switched on.
w, value = torch.tensor(5.0, requires_grad=True), torch.tensor(5.0)
for _ in range(2):
    (w**2).backward()
    with torch.no_grad():
        w -= 0.1 * w.grad
        w.grad = None
    value = value - 0.1 * value_and_grad(torch.square)(value)[1]
print(f"two steps in place: {w.item():.4f}; two steps of a function: {float(value):.4f}\n")
assert torch.equal(value, w.detach())

# What is to count as a constant says so where it is used: `detach` inside the function.
whole, half = (torch.func.grad(f)(torch.tensor(3.0)) for f in (lambda x: x * x, lambda x: x.detach() * x))
print(f"derivative of x * x at 3: {float(whole):g}; of x.detach() * x: {float(half):g}")
assert (float(whole), float(half)) == (6, 3)
