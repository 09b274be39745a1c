"""Indices and slices, where in memory they lie, and what to do in place of writing into them.

Exercise 1.3. Prints the pieces of a tensor that counts its own entries. Nothing here is random.
"""

import torch

from funcsci import examples

options = examples.options(__doc__)

T = torch.arange(60, device=options.device).reshape(5, 4, 3)
third, vector, last = T[2], T[0, 1, :], T[:, :, -1]
print(f"T[2], shape {tuple(third.shape)}:\n{third.tolist()}")
print(f"T[0, 1, :], shape {tuple(vector.shape)}: {vector.tolist()}")
print(f"T[:, :, -1], shape {tuple(last.shape)}:\n{last.tolist()}")
assert third.shape == (4, 3) and vector.tolist() == [3, 4, 5] and last.shape == (5, 4)

# The entries lie in one row: T[i, j, k] is number 12 i + 3 j + k, and (12, 3, 1) are the strides of T.
i, j, k = torch.meshgrid(*(torch.arange(n, device=options.device) for n in T.shape), indexing="ij")
print(f"\nstrides of T: {T.stride()}, so T[i, j, k] = 12 i + 3 j + k")
assert torch.equal(T, 12 * i + 3 * j + k)

# A slice is a view: another start and other strides for the same numbers. A list of indices makes a copy.
pieces = {
    "T[2]": third,
    "T[:, :, -1]": last,
    "T[::2]": T[::2],
    "T[[2, 0]]": T[[2, 0]],
    "T[T > 50]": T[T > 50],
}
print(f"\n{'':<13}{'shape':<11}{'start':>6}  {'strides':<12}memory")
for name, piece in pieces.items():
    shares = piece.untyped_storage().data_ptr() == T.untyped_storage().data_ptr()
    where = "that of T" if shares else "its own"
    shape, strides = str(tuple(piece.shape)), str(piece.stride())
    print(f"{name:<13}{shape:<11}{piece.storage_offset():>6}  {strides:<12}{where}")
    assert shares == (name not in ("T[[2, 0]]", "T[T > 50]"))

# So a write into a slice is a write into T, and whoever else holds T sees it.
scratch = T.clone()
scratch[2][0, 0] = -1
print(f"\nafter scratch[2][0, 0] = -1, scratch.min() is {int(scratch.min())}")
assert int(scratch[2, 0, 0]) == -1

# Pure functions do not write. The new tensor is a result; the old one is as it was.
zeros = torch.zeros_like(third)
changed = {
    "one matrix": (torch.select_scatter(T, zeros, 0, 2), third.numel()),
    "what is above 50": (torch.where(T > 50, 0, T), 9),
    "single entries": (
        T.index_put(tuple(torch.tensor([[0, 1], [1, 1], [2, 2]], device=T.device)), T.new_tensor(0)),
        2,
    ),
}
for name, (new, count) in changed.items():
    print(f"{name:<17} set to 0: {int((new != T).sum()):>2} entries of {new.numel()} differ, T is unchanged")
    assert int((new != T).sum()) == count
assert torch.equal(T.flatten(), torch.arange(60, device=T.device))

# "The last column of each matrix" is a function of one matrix, mapped over all.
assert torch.equal(torch.func.vmap(lambda matrix: matrix[:, -1])(T), last)
