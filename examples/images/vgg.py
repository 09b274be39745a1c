"""The VGG, built block by block: its sizes, its parameters, the gradient of each, and its two modes.

Exercise 5.3. Nothing is trained, and the pictures are drawn at random. Writes no file; `--smoke` takes fewer.
"""

import itertools
import math

import torch

from funcsci import examples, models, nn, random, tree

options = examples.options(__doc__)
torch.set_default_dtype(torch.float64)  # what is equal on paper is equal to fourteen digits
count = 8 if options.smoke else 32
keys = random.split(random.key(options.seed, device=options.device), 3)
pictures = random.normal(keys[0], (count, 1, 28, 28))
labels = random.randint(keys[1], (count,), 0, 10)

# The size that the classifier needs is known before there is a tensor.
channels = (1, 32, 64, 128)
sizes = [nn.conv_output_size((28, 28), *models.VGG_BLOCK * blocks) for blocks in range(4)]
flat = channels[-1] * math.prod(sizes[-1])
blocks = [
    nn.sequential(nn.conv2d(*pair, 3, padding=1), nn.batch_norm(pair[1]), torch.relu, nn.max_pool2d(2))
    for pair in itertools.pairwise(channels)
]
model = nn.stateful(nn.sequential(*blocks, nn.sequential(nn.flatten(), nn.linear(flat, 10))))
params, state = model.init(keys[2])

print(f"{'':<12}{'channels x cells':<18}{'numbers':>8}{'a cell sees':>14}{'parameters':>12}")
print(f"{'a picture':<12}{'1 x 28 x 28':<18}{28 * 28:>8}")
x = pictures
for place, (one, depth, size) in enumerate(zip(blocks, channels[1:], sizes[1:], strict=True)):
    x, _ = one.apply(params[place], state[place], x, train=True)
    seen = nn.receptive_field(*models.VGG_BLOCK * (place + 1)).size[0]
    shape, total = " x ".join(map(str, x.shape[1:])), tree.size(params[place])
    print(f"{f'block {place + 1}':<12}{shape:<18}{x[0].numel():>8}{f'{seen} x {seen}':>14}{total:>12,}")
    assert x.shape == (count, depth, *size)
print(f"{'classifier':<12}{'10':<18}{10:>8}{'all':>14}{tree.size(params[3]):>12,}")
print(f"{'in all':<52}{tree.size(params):>12,}")
print(f"{flat} = {channels[-1]} x 3 x 3 numbers enter it: the last pooling drops a row and a column.\n")
assert sizes == [(28, 28), (14, 14), (7, 7), (3, 3)] and flat == x[0].numel() == 1152
assert tree.size(params) == 104_650

# `models.vgg` is the same network with its layers in one list, and the channels innermost in memory.
short = models.vgg()
pairs = zip(short.init(keys[2]), (params, state), strict=True)
listed = [tree.unflatten(tree.flatten(one)[1], tree.leaves(ours)) for one, ours in pairs]
logits, _ = model.apply(params, state, pictures, train=True)
assert logits.shape == (count, 10) and bool(logits.isfinite().all())
assert float((short.apply(*listed, pictures, train=True)[0] - logits).abs().max()) < 1e-10


def loss(params, train):
    return nn.cross_entropy(model.apply(params, state, pictures, train=train)[0], labels)


gradients = [tree.leaves(torch.func.grad(loss)(params, train)) for train in (True, False)]
print(f"{'largest entry of the gradient':<36}{'shape':<20}{'in training':>12}{'in evaluation':>15}")
for path, *leaves in zip(tree.paths(params, "params"), tree.leaves(params), *gradients, strict=True):
    shape, (trained, judged) = str(tuple(leaves[0].shape)), (float(one.abs().max()) for one in leaves[1:])
    print(f"{path:<36}{shape:<20}{trained:>12.1e}{judged:>15.1e}")
    idle = path.endswith("[0]['bias']")  # of a convolution
    assert judged > 1e-6 and (trained < 1e-12 if idle else trained > 1e-6)
print("In training normalisation subtracts what a convolution's bias adds: no gradient reaches the three.\n")

# In training a picture is judged by the statistics of its batch, and those in the state move towards them.
for train in (True, False):
    together, after = model.apply(params, state, pictures, train=train)
    half, _ = model.apply(params, state, pictures[: count // 2], train=train)
    apart = float((together[: count // 2] - half).abs().max())
    print(f"train={train!s:<6} without half of the pictures the logits of the others change by {apart:.1e}")
    assert apart > 1e-3 if train else apart < 1e-12
    assert tree.allclose(state, after) != train
gaps = []
for passes in range(101):
    if passes in (0, 10, 100):
        together, judged = (model.apply(params, state, pictures, train=train)[0] for train in (True, False))
        gaps.append(float((together - judged).abs().max()))
        print(f"after {passes:>3} passes over the same pictures the two modes differ by {gaps[-1]:.4f}")
    state = model.apply(params, state, pictures, train=True)[1]
assert gaps[2] < gaps[0] / 50
