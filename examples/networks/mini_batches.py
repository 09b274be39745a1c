"""Mini-batches over epochs, as two nested loops and as one call, and what it takes to learn three waves.

Exercise 4.3. Writes mini_batches.png to the current folder. `--smoke` takes a tenth of the epochs.
"""

import itertools
import math

import torch
from matplotlib.figure import Figure

from funcsci import data, examples, nn, optim, random, train
from funcsci.compile import jit
from funcsci.plot.style import CYCLE, name_axes

options = examples.options(__doc__)
keys = random.split(random.key(options.seed, device=options.device), 3)
points = data.noisy_sine(keys[0])  # three periods: x from -10 to 10
x, clean = points["x"], torch.sin(points["x"])
model = nn.mlp((1, 20, 20, 1))
begin = model.init(keys[1])


def loss(params, batch):
    return nn.mse(model.apply(params, batch["x"]), batch["y"])


def wave(params, unit=1.0):
    return model.apply(params, x / unit)


# Two loops: over the epochs, and over the batches of each. A step is one program.
epochs = 5 if options.smoke else 50
optimizer = optim.adam(1e-3)
step = jit(train.train_step(loss, optimizer), backend="trace")
now = train.start(begin, optimizer)
supply = data.batches(points, batch_size=64, key=keys[2], drop_last=True)  # 40 points wait for another epoch
stream = supply.start(0)
means = []
for epoch in range(1, epochs + 1):
    total = 0.0
    for batch in itertools.islice(stream, supply.per_epoch):
        now, metrics = step(now, batch.data)
        total += float(metrics["loss"])
    means.append(total / supply.per_epoch)
    if epoch == 1 or epoch % 10 == 0:
        print(f"epoch {epoch:2d}: mean loss of its {supply.per_epoch} batches {means[-1]:.4f}")
assert means[-1] < means[0]

# The same as one call, where the last batch of an epoch is filled up and masked; and what else might be done.
fits = {
    "Adam 0.001": (optim.adam(1e-3), epochs, 1.0),
    "SGD 0.01": (optim.sgd(0.01), epochs, 1.0),
    "Adam, one cycle to 0.03, x / pi": (optim.adam(optim.one_cycle(0.03, epochs * 16)), epochs, math.pi),
    "Adam 0.01": (optim.adam(0.01), 4 * epochs, 1.0),
}
columns = torch.cat([x, torch.ones_like(x)], 1)
waves = {
    "the best line": columns @ torch.linalg.lstsq(columns, points["y"]).solution,
    f"two loops, Adam 0.001, {epochs} epochs": wave(now.params),
}
for name, (optimizer, count, unit) in fits.items():
    scaled = {"x": x / unit, "y": points["y"]}
    found = train.fit(
        loss, begin, optimizer, scaled, key=keys[2], batch_size=64, epochs=count,
        backend="trace", progress_bar=False,
    )  # fmt: skip
    waves[f"{name}, {count} epochs"] = wave(found.params, unit)
errors = {name: float(nn.mse(found, clean)) for name, found in waves.items()}
print("\nmean squared error against the sine itself; the noise of the points has 0.0100")
for name, error in errors.items():
    print(f"  {name:<44}{error:.4f}")
line, loops, same, sgd, scaled, long = errors.values()
assert options.smoke or (min(loops, same, sgd) > 0.1 and max(long, scaled) < 0.05)

figure = Figure(figsize=(9, 3.4), layout="constrained")
axes = figure.subplots()
axes.scatter(x.cpu(), points["y"].cpu(), s=4, color="lightgray")
for color, (name, found) in zip(CYCLE, list(waves.items())[::2], strict=False):
    axes.plot(x.cpu(), found.cpu(), color=color, label=name)
name_axes(axes, "A thousand noisy points, and what is made of them", "x", "y")
axes.legend(frameon=False, fontsize=9, loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=3)
figure.savefig("mini_batches.png", dpi=120)
