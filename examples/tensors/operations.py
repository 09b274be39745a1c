"""The two products of matrices, and the rule by which tensors of unlike shapes are added.

Exercise 1.2. Prints shapes, what is refused, and where broadcasting goes wrong silently. Writes no file.
"""

import torch

from funcsci import examples, nn, random

options = examples.options(__doc__)
torch.set_default_dtype(torch.float64)
keys = random.split(random.key(options.seed, device=options.device), 4)

A, B = random.normal(keys[0], (5, 3)), random.normal(keys[1], (3, 7))
C = A @ B
D = random.normal(keys[2], (5, 3))
E = A * D
v = random.normal(keys[3], (7,))
print(f"C = A @ B   (5, 3) @ (3, 7) gives {tuple(C.shape)}: C_ij is the sum of A_ik B_kj over k")
print(f"E = A * D   (5, 3) * (5, 3) gives {tuple(E.shape)}: E_ij is A_ij D_ij, nothing is summed")
print(f"C + v       (5, 7) + (7,)   gives {tuple((C + v).shape)}")
sums = [[sum(A[i, k] * B[k, j] for k in range(3)) for j in range(7)] for i in range(5)]
torch.testing.assert_close(C, torch.stack([torch.stack(row) for row in sums]))
assert all(E[i, j] == A[i, j] * D[i, j] for i in range(5) for j in range(3))


def refused(operation, x, y):
    """What torch says of two tensors that do not fit."""
    try:
        operation(x, y)
    except RuntimeError as error:
        return str(error)
    raise AssertionError("nothing was refused")


print(f"\nA @ D is refused: {refused(torch.matmul, A, D)}")
print(f"A * B is refused: {refused(torch.mul, A, B)}")

# Which rule makes C + v possible: shapes are compared from the right, a missing or a 1 is as good as equal.
print("\n(5, 7) and (7,), from the right: 7 = 7, then 5 beside nothing: v counts for each of the five rows")
rows = v.expand(5, 7)
print(f"v.expand(5, 7) has strides {rows.stride()}: five rows, and {v.numel()} numbers in memory; no copies")
assert torch.equal(C + v, C + rows) and rows.stride(0) == 0 and rows.data_ptr() == v.data_ptr()
# vmap says which argument has the rows, in words that can be read: C along its first dimension, v not at all.
assert torch.equal(torch.func.vmap(torch.add, (0, None))(C, v), C + v)

# What the rule allows is not always what was meant: a column and a vector make a table.
prediction, target = torch.zeros(100, 1), torch.ones(100)
table = (prediction - target) ** 2
print(f"\nprediction (100, 1) minus target (100,) has the shape {tuple(table.shape)}; its mean is no error")
assert table.shape == (100, 100)
try:
    nn.mse(prediction, target)
except ValueError as error:
    print(f"nn.mse refuses it: {error}")
assert nn.mse(prediction, target[:, None]) == 1
