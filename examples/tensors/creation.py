"""Tensors from a list and from a key, and the three things that each one knows about itself.

Exercise 1.1. Prints shape, dtype and device of each, and what the dtype decides. Writes no file.
"""

import torch

from funcsci import examples, random

options = examples.options(__doc__)
key = random.key(options.seed, device=options.device)

matrix = torch.tensor([[1, 5, 9], [2, 6, 10]], device=options.device)
noise = random.normal(key, (4, 2, 5))
ones = torch.ones_like(noise, dtype=torch.float64)  # shape and device from `noise`, the dtype by name
made = {"from a list": matrix, "standard normal": noise, "ones of that shape": ones}

print(f"{'':<20}{'shape':<12}{'dtype':<15}{'device':<8}{'rank':>5}{'entries':>9}{'bytes':>7}")
for name, x in made.items():
    shape, size = str(tuple(x.shape)), x.numel() * x.element_size()
    print(f"{name:<20}{shape:<12}{x.dtype!s:<15}{x.device!s:<8}{x.dim():>5}{x.numel():>9}{size:>7}")
assert matrix.shape == (2, 3) and matrix.dtype == torch.int64
assert noise.shape == ones.shape == (4, 2, 5) and noise.device == ones.device == key.device
assert noise.dtype == torch.float32 and ones.dtype == torch.float64 and bool((ones == 1).all())

# The dtype is inferred: whole numbers give integers, and with those many a formula has no meaning.
print(f"\none point makes the difference: [1, 5] gives int64, [1.0, 5] {torch.tensor([1.0, 5]).dtype}")
try:
    matrix.mean()
except RuntimeError as error:
    print(f"matrix.mean() is refused: {str(error).split('. ')[0]}.")
print(f"matrix.double().mean() = {float(matrix.double().mean())}")
assert float(matrix.double().mean()) == 5.5

# float32 has 7 digits, float64 has 16. Differences of nearly equal numbers show it.
print("\ndtype     spacing at 1   derivative of sin at 1 by a difference over h = 1e-6")
for dtype in (torch.float32, torch.float64):
    x = torch.ones((), dtype=dtype, device=options.device)
    slope = (torch.sin(x + 1e-6) - torch.sin(x - 1e-6)) / 2e-6
    error = abs(float(slope - torch.cos(x)))
    print(f"{str(dtype)[6:]:<10}{torch.finfo(dtype).eps:<15.1e}{float(slope):.10f}, wrong by {error:.0e}")
    assert error > 1e-3 if dtype == torch.float32 else error < 1e-9
mixed = noise + ones
print(f"{noise.dtype} + {ones.dtype} gives {mixed.dtype}: what is mixed takes the wider dtype")
assert mixed.dtype == torch.float64

# torch.randn changes a generator that no one sees; here the key is an argument, as the shape is.
first, second = (random.normal(one, (2,)) for one in random.split(key))
print(f"\nthe same key, the same numbers: {torch.equal(noise, random.normal(key, (4, 2, 5)))}")
print(f"two keys split from it: {first.tolist()} and {second.tolist()}")
assert torch.equal(noise, random.normal(key, (4, 2, 5))) and not torch.equal(first, second)
