"""A network learns a surface from noisy samples; its run is stopped half-way and goes on as if it had not.

Mini-batches, a schedule, clipping, held-out samples, the best parameters, and a checkpoint. Writes
training.png to the current folder. `--smoke` takes a tenth of the epochs.
"""

import tempfile

import torch

from funcsci import examples, nn, optim, random, train, tree

options = examples.options(__doc__)
EPOCHS, NOISE = 4 if options.smoke else 40, 0.05

model = nn.mlp((2, 64, 64, 1))
keys = random.split(random.key(options.seed, device=options.device), 5)
params = model.init(keys[0])


def surface(x):
    return torch.sin(3 * x[:, :1]) * torch.cos(2 * x[:, 1:])


def loss(params, batch):
    wrong = model.apply(params, batch["x"]) - batch["y"]
    return (wrong**2).mean(), {"largest": wrong.abs().max()}


x = random.uniform(keys[1], (2000, 2), minval=-1.0, maxval=1.0)
noisy = {"x": x, "y": surface(x) + NOISE * random.normal(keys[2], (2000, 1))}
held_out = random.uniform(keys[3], (500, 2), minval=-1.0, maxval=1.0)


def evaluate(params):
    wrong = model.apply(params, held_out) - surface(held_out)
    return {"held out": (wrong**2).mean().sqrt()}


def run(folder, epochs):
    steps = len(x) // 64  # of one epoch
    schedule = optim.warmup_cosine(5e-3, EPOCHS * steps, warmup_steps=50)
    optimizer = optim.chain(optim.clip_by_global_norm(1.0), optim.adamw(schedule))
    return train.fit(
        loss, params, optimizer, noisy, key=keys[4], batch_size=64, epochs=epochs, drop_last=True,
        evaluate=evaluate, monitor="held out", report_every=steps, checkpoint=folder, backend="trace",
        progress_bar=False,
    )  # fmt: skip


with tempfile.TemporaryDirectory() as folder:
    print(run(folder, EPOCHS // 2), end="\n\n")
    resumed = run(folder, EPOCHS)  # the same call: it goes on from the checkpoint
with tempfile.TemporaryDirectory() as folder:
    whole = run(folder, EPOCHS)

print(resumed, end="\n\n")
same = all(map(torch.equal, tree.leaves(resumed.params), tree.leaves(whole.params)))
print(f"The same bits as the run that was not stopped: {same}")
print(f"The noise of a sample: {NOISE}; the error on held-out samples, without it: {resumed.best.value:.3f}")
assert same and resumed.best.value < (0.5 if options.smoke else NOISE)
resumed.plot("training.png")
