"""The sizes of a stack of convolutions by a formula, what a cell sees, and what padding says of an edge.

Exercise 5.1. Nothing is random, so no seed changes a number. Writes no file; `--smoke` takes coarser grids.
"""

import math

import torch

from funcsci import examples, nn, random

options = examples.options(__doc__)
torch.set_default_dtype(torch.float64)

stack = [
    ("Conv2d(1, 16, kernel=5)", nn.conv2d(1, 16, 5), nn.Window(5), 16),
    ("MaxPool2d(2)", nn.max_pool2d(2), nn.Window(2, stride=2), 16),
    ("Conv2d(16, 32, kernel=3, padding=1)", nn.conv2d(16, 32, 3, padding=1), nn.Window(3, padding=1), 32),
]
strided = nn.conv2d(32, 32, 3, stride=2, padding=1)
last = ("Conv2d(32, 32, kernel=3, stride=2, padding=1)", strided, nn.Window(3, stride=2, padding=1), 32)
names, layers, windows, channels = zip(*stack, last, strict=True)


def passed(*layers):
    """The shape after these layers, by a pass on a device that holds shapes and no numbers."""
    model = nn.sequential(*layers)
    params = model.init(random.key(options.seed), device="meta")
    return tuple(model.apply(params, torch.zeros(1, 1, 32, 32, device="meta")).shape[1:])


print(f"{'1 x 32 x 32':<48}{'by formula':<14}{'by a pass':<14}{'rounded up':<14}a cell sees")
text = 32
for count, (name, window, depth) in enumerate(zip(names, windows, channels, strict=True), 1):
    size = nn.conv_output_size((32, 32), *windows[:count])
    # As some texts have it: that counts a window which is only in part on the grid.
    text = math.ceil((text + 2 * window.padding - window.kernel_size) / window.stride + 1)
    seen = nn.receptive_field(*windows[:count], dims=2).size
    shapes = [(depth, *size), passed(*layers[:count]), (depth, text, text), seen]
    print(f"{name:<48}" + "".join(f"{' x '.join(map(str, shape)):<14}" for shape in shapes).rstrip())
    assert shapes[0] == shapes[1]
flat = depth * math.prod(size)
print(f"{'Flatten()':<48}{flat:<14}{passed(*layers, nn.flatten())[0]:<14}{depth * text**2}")
assert passed(*layers, nn.flatten()) == (flat,) == (1568,) and text == 8

# "Same" padding, (k - 1) / 2 cells at each side, is for odd windows; strides halve what is even.
print("\nwindow, and the padding that keeps the size:", end=" ")
for k in range(2, 8):
    kept = [p for p in range(k) if nn.conv_output_size(28, nn.Window(k, padding=p)) == (28,)]
    print(f"{k}: {kept[0] if kept else 'none'}", end=", " if k < 7 else "\n")
    assert kept == ([(k - 1) // 2] if k % 2 else [])
for window, least in ((windows[3], 4), (windows[1], 3)):
    sizes = [nn.conv_output_size(28, *[window] * times)[0] for times in range(4)]
    print(f"window {window.kernel_size}, stride 2, padding {window.padding}:", " -> ".join(map(str, sizes)))
    assert sizes[-1] == least

# The error of (1, -2, 1) / h^2 for u_xx, by what the padding makes of the field beyond its edges.
cells = 32 if options.smoke else 128
middles = (torch.arange(cells, device=options.device) + 0.5) / cells  # an edge is a face of the last cell
inner = torch.arange(1, cells + 1, device=options.device) / (cells + 1)  # the first cell beyond it, a ghost
whole = torch.arange(cells, device=options.device) / (cells - 1)  # the last cell itself
fields = {  # the frequency, the field, the grid
    "even at a face": (math.pi, torch.cos, middles),
    "zero at a face": (math.pi, torch.sin, middles),
    "even at a cell": (math.pi, torch.cos, whole),
    "zero at a ghost": (math.pi, torch.sin, inner),
    "periodic": (2 * math.pi, torch.sin, middles),
}
print(f"\n{'relative error of u_xx':<24}" + "".join(f"{name:>16}" for name in fields))
weight = torch.tensor([[[1.0, -2.0, 1.0]]], device=options.device)
rights = ("zero at a ghost", "even at a cell", "even at a face", "periodic")
for mode, right in zip(("zeros", "reflect", "replicate", "circular"), rights, strict=True):
    stencil = nn.conv1d(1, 1, 3, padding="same", padding_mode=mode, bias=False)
    errors = {}
    for name, (frequency, field, grid) in fields.items():
        u = field(frequency * grid)
        second = stencil.apply({"weight": weight}, u[None])[0] / (grid[1] - grid[0]) ** 2
        errors[name] = float((second / frequency**2 + u).abs().max())
    print(f"{mode:<24}" + "".join(f"{error:>16.4f}" for error in errors.values()))
    assert all((error < 0.01) == (name == right) for name, error in errors.items())
print("Each is right for one kind of field, and none for one that is zero at the face of its last cell.")
