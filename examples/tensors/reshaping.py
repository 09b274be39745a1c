"""New shapes for the same numbers, when that costs a copy, and how tensors move between devices.

Exercise 1.4. Prints shapes, memory and devices. Writes no file.
"""

import torch

from funcsci import examples, nn, random

options = examples.options(__doc__)


def same_memory(one, other):
    """Whether both begin at the same number in memory."""
    return one.data_ptr() == other.data_ptr()


x = torch.arange(100.0)
x_2d = x.reshape(20, 5)
x_flat = x_2d.reshape(-1)
batch = x_2d.unsqueeze(0)
print(
    f"x {tuple(x.shape)}, x_2d {tuple(x_2d.shape)}, x_flat {tuple(x_flat.shape)}, batch {tuple(batch.shape)}"
)
print("x_flat is x_2d.reshape(-1); x.reshape(-1) would show nothing, for x is flat already")
assert torch.equal(x_flat, x) and batch.shape == (1, 20, 5) and torch.equal(batch.squeeze(0), x_2d)
print(f"all four are one piece of memory: {all(same_memory(x, one) for one in (x_2d, x_flat, batch))}")
assert all(same_memory(x, one) for one in (x_2d, x_flat, batch))

# reshape reads row by row. Of a transposed matrix the rows are no longer neighbours in memory.
turned = x_2d.T
print(f"\nx_2d has strides {x_2d.stride()}, x_2d.T {turned.stride()}: the same memory, read by columns")
try:
    turned.view(-1)
except RuntimeError as error:
    print(f"x_2d.T.view(-1) is refused: {str(error).split('. ')[0]}.")
print(f"x_2d.T.reshape(-1) is a copy: {not same_memory(turned, turned.reshape(-1))}")
assert same_memory(turned, x_2d) and not same_memory(turned, turned.reshape(-1))
print(f"x.reshape(5, 20) is not x_2d.T: {not torch.equal(x.reshape(5, 20), turned)}")
assert not torch.equal(x.reshape(5, 20), turned)

# What the dimension of size one is for: a model treats all but the last dimension as batches, here also none.
model = nn.linear(5, 2)
params = model.init(random.key(options.seed))
print("\na linear layer from 5 to 2 features maps")
for name, one in {"x_2d[0]": x_2d[0], "x_2d": x_2d, "batch": batch}.items():
    print(f"  {name:<8} {tuple(one.shape)!s:<11} to {tuple(model.apply(params, one).shape)}")
each = torch.func.vmap(model.apply, (None, 0))(params, x_2d)
torch.testing.assert_close(each, model.apply(params, x_2d))

# The device is a name, known before there is a tensor. `meta` has shapes and no numbers, on every computer.
moved = batch.to(options.device)
print(f"\nCUDA is {'here' if torch.cuda.is_available() else 'not here'}; batch moved to {moved.device}")
print(f".to made a new tensor: {moved is not batch}. It does so only if device or dtype differ.")
assert moved.device.type == options.device.type and (moved is batch) == (options.device.type == "cpu")
params = model.init(random.key(options.seed), device=options.device)
print(f"parameters made there, output there: {model.apply(params, moved).device}")
there = model.init(random.key(options.seed), device="meta")
print(f"on meta: {tuple(model.apply(there, batch.to('meta')).shape)}, and nothing was computed")
try:
    model.apply(there, batch)
except (RuntimeError, NotImplementedError) as error:
    print(f"two devices in one product are refused: {str(error).splitlines()[0]}")
else:
    raise AssertionError("two devices in one product")
