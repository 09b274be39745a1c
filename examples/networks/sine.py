"""A dataset is `len` and `[i]`: a noisy sine as one of torch's datasets, and as a plain tree of tensors.

Exercise 4.2. Prints its samples, and the batches that are made of both.
"""

import itertools

import torch

from funcsci import data, examples, random, tree

options = examples.options(__doc__)
keys = random.split(random.key(options.seed, device="cpu"))  # a dataset lives there; batches are moved
points = data.noisy_sine(keys[0])  # 1,000 points on [-10, 10], y = sin x + 0.1 noise


class SineWaveDataset(torch.utils.data.Dataset):
    def __init__(self, x, y):
        self.x, self.y = x, y

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        return {"x": self.x[index], "y": self.y[index]}


dataset = SineWaveDataset(**points)
noise = points["y"] - torch.sin(points["x"])
print(f"{len(dataset)} samples, the first: { ({name: leaf.tolist() for name, leaf in dataset[0].items()}) }")
print(f"noise: mean {float(noise.mean()):+.4f}, standard deviation {float(noise.std()):.4f}")
assert len(dataset) == 1000 and dataset[0]["x"].shape == (1,)
assert abs(noise.mean()) < 0.015 and abs(noise.std() - 0.1) < 0.01  # at least four standard errors

# A dataset asks for one sample at a time, wherever it comes from. These samples are tensors in memory, and a
# tree of tensors says as much. The batches are the same; tensors are picked from in one go.
supplies = {
    kind: data.batches(source, batch_size=64, key=keys[1], device=options.device)
    for kind, source in {"dataset": dataset, "tensors": points}.items()
}
of_dataset, of_tensors = (list(itertools.islice(s.start(0), s.per_epoch)) for s in supplies.values())
for one, other in zip(of_dataset, of_tensors, strict=True):
    assert tree.allclose(one.data, other.data, rtol=0, atol=0) and torch.equal(one.mask, other.mask)
print(f"\n{supplies['dataset'].per_epoch} batches of {len(of_tensors[0].data['x'])}, equal from both")
last = of_tensors[-1]
print(f"the last has the shape {tuple(last.data['x'].shape)} too, of which {int(last.mask.sum())} count")
assert len(last.data["x"]) == 64 and int(last.mask.sum()) == 1000 - 15 * 64

# Every sample is seen once in an epoch, and the next epoch has another order.
seen = torch.cat([batch.data["x"][batch.mask] for batch in of_tensors]).sort(0).values
assert torch.equal(seen.cpu(), points["x"])
next_epoch = next(supplies["tensors"].start(16)).data["x"]
print(f"first x of epoch 1: {of_tensors[0].data['x'][0].item():.3f}, of epoch 2: {next_epoch[0].item():.3f}")
assert not torch.equal(next_epoch, of_tensors[0].data["x"])

# The order is a function of the key: batch 20 can be had without the twenty before it.
late = next(itertools.islice(supplies["tensors"].start(0), 20, None))
assert torch.equal(late.data["x"], next(supplies["tensors"].start(20)).data["x"])
print("batch 20, asked for alone, is the batch that comes after twenty others")

# torch's loader takes the dataset as well, and data.batches takes the loader.
loader = torch.utils.data.DataLoader(dataset, batch_size=64, shuffle=True)
sizes = [len(batch["x"]) for batch in loader]
print(f"\na DataLoader makes {len(sizes)} batches, the last of {sizes[-1]}; its order is torch's generator's")
assert sizes == [64] * 15 + [40]
