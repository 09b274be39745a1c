"""Why gradients add up on torch's tape, when that is wanted, and how it is said without a tape.

Exercise 2.4. Prints `w.grad` after each call, and a gradient made of four micro-batches.
"""

import torch

from funcsci import data, examples, nn, optim, random, tree
from funcsci.autodiff import value_and_grad

options = examples.options(__doc__)
torch.set_default_dtype(torch.float64)


def squared(factor):
    return lambda w: ((w * factor) ** 2).sum()


first, second = squared(2), squared(3)


# Torch's way: backward() adds to what lies in .grad.
w = torch.tensor([5.0], requires_grad=True, device=options.device)
first(w).backward()
seen = [w.grad.item()]
L2 = second(w)
L2.backward()
seen.append(w.grad.item())
w.grad.zero_()
try:
    L2.backward()
except RuntimeError as error:
    print(f"the same L2.backward() once more is refused: {str(error).split(' (')[0]}.")
    print(
        "A record is used up on the way back: compute L2 anew, or keep it by backward(retain_graph=True).\n"
    )
second(w).backward()
seen.append(w.grad.item())
print(f"w.grad after L1.backward():            {seen[0]:g} = 8 w")
print(f"after L2.backward(), without zeroing:  {seen[1]:g} = 8 w + 18 w, the gradient of neither loss")
print(f"after zeroing and L2.backward() again: {seen[2]:g} = 18 w")
assert seen == [40.0, 130.0, 90.0]

# As functions: a gradient is a result. It lies nowhere, so nothing has to be cleared.
plain = w.detach()
values = [torch.func.grad(f)(plain).item() for f in (first, second, second)]
both = torch.func.grad(lambda w: first(w) + second(w))(plain).item()
print(f"\ngrad(L1), grad(L2), grad(L2) again: {values}. The sum, if it is wanted, is said: {both:g}")
assert values == [40.0, 90.0, 90.0] and both == 130.0

# When it is wanted: a batch too large for memory, in four parts. The mean of their gradients is the gradient.
points = data.noisy_line(random.key(options.seed, device=options.device), 64)
model = nn.linear(1, 1)
params = model.init(random.fold_in(random.key(options.seed, device=options.device), 1))


def loss(params, batch):
    return nn.mse(model.apply(params, batch["x"]), batch["y"])


parts = [tree.map(lambda leaf, i=i: leaf[16 * i : 16 * (i + 1)], points) for i in range(4)]
_, whole = value_and_grad(loss)(params, points)
gradients = [torch.func.grad(loss)(params, part) for part in parts]
mean = tree.map(lambda *leaves: sum(leaves) / 4, *gradients)
assert tree.allclose(mean, whole, rtol=0, atol=1e-13)

# The library's form is an optimizer around an optimizer: three updates of zero, then one for the mean.
optimizer = optim.accumulate(optim.sgd(0.1), every=4)
now, state = params, optimizer.init(params)
print("\nfour micro-batches of 16 points, optim.accumulate(optim.sgd(0.1), every=4)")
for number, gradient in enumerate(gradients, 1):
    updates, state = optimizer.update(gradient, state, now)
    now = optim.apply_updates(now, updates)
    print(f"  after part {number}: slope {now['weight'].item():.6f}")
once = tree.map(lambda leaf, slope: leaf - 0.1 * slope, params, whole)
print(f"  one step with all 64: {once['weight'].item():.6f}")
assert tree.allclose(now, once, rtol=0, atol=1e-13)
