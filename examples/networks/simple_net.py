"""A network of two linear layers: as a class, as two pure functions, and as what it is, one linear layer.

Exercise 3.1. Prints the table of its parameters and how many of them there need to be.
"""

import torch

from funcsci import examples, interop, nn, random, tree

options = examples.options(__doc__)
torch.set_default_dtype(torch.float64)
keys = random.split(random.key(options.seed, device=options.device), 3)
x = random.normal(keys[1], (4, 10))

# As pure functions: `init` makes parameters from a key, `apply` computes. Neither keeps anything.
model = nn.sequential(nn.linear(10, 5), nn.linear(5, 1))
params = model.init(keys[0])
y = model.apply(params, x)
print(nn.summary(model, keys[0], x))
assert y.shape == (4, 1) and tree.size(params) == 10 * 5 + 5 + 5 * 1 + 1


# As a class: the layers are attributes, and the object holds the parameters.
class SimpleNet(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer1 = torch.nn.Linear(10, 5)
        self.layer2 = torch.nn.Linear(5, 1)

    def forward(self, x):
        return self.layer2(self.layer1(x))


network = SimpleNet().to(options.device)
print(f"\n{network}")
named = {"layer1": params[0], "layer2": params[1]}
network.load_state_dict(interop.state_dict(named))
gap = float((network(x) - y).detach().abs().max())
print(f"with the same weights their outputs differ by {gap:.0e}")
assert gap < 1e-14

# The class as a pure function: its weights become an argument, under torch's names.
pure, taken, state = interop.from_module(network)
again, _ = pure.apply(taken, state, x, train=False)
print(f"from_module(network) holds {tree.size(taken)} numbers: {', '.join(tree.paths(taken))}")
torch.testing.assert_close(again, y)

# Two linear layers: y = W2 (W1 x + b1) + b2 is one, with the weight W2 W1 and the bias W2 b1 + b2.
first, second = params
joined = {
    "weight": second["weight"] @ first["weight"],
    "bias": second["weight"] @ first["bias"] + second["bias"],
}
gap = float((nn.linear(10, 1).apply(joined, x) - y).abs().max())
print(f"\n{tree.size(params)} parameters do what {tree.size(joined)} can do: outputs differ by {gap:.0e}")
assert gap < 1e-14

# Wide enough layers give any matrix, a narrow one in the middle only those of low rank.
W = random.normal(keys[2], (6, 6))
left, singular, right = torch.linalg.svd(W)
print(f"\na 6 x 6 matrix of norm {float(torch.linalg.matrix_norm(W)):.2f}, as two layers")
for width in (6, 2):
    best = left[:, :width] @ torch.diag(singular[:width]) @ right[:width]
    print(f"  with {width} in the middle: off by at least {float(torch.linalg.matrix_norm(W - best)):.2f}")
torch.testing.assert_close(torch.linalg.matrix_norm(W - best), singular[2:].square().sum().sqrt())
