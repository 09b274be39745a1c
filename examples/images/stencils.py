"""Convolutions with pen and paper: the sizes of a stack, what a cell sees, and a stencil that finds edges.

Exercises 5.1 and 5.2. Writes stencils.png to the current folder.
"""

import torch

from funcsci import nn, plot, random

stack = {
    "convolution, 5": (nn.Window(5), 16),
    "pooling, 2": (nn.Window(2, stride=2), 16),
    "convolution, 3, padding 1": (nn.Window(3, padding=1), 32),
    "convolution, 3, padding 1, stride 2": (nn.Window(3, stride=2, padding=1), 32),
}
windows = []
print("32 x 32 cells, one channel")
for name, (window, channels) in stack.items():
    windows.append(window)
    height, width = nn.conv_output_size((32, 32), *windows)
    seen = nn.receptive_field(*windows)
    print(f"{name:<36} {channels} x {height} x {width}, each cell sees {seen.size[0]} x {seen.size[0]}")
print(f"flattened: {channels * height * width} numbers\n")

# The same by a pass through the layers, on a device that holds shapes and no numbers.
model = nn.sequential(
    nn.conv2d(1, 16, 5), nn.max_pool2d(2), nn.conv2d(16, 32, 3, padding=1),
    nn.conv2d(32, 32, 3, stride=2, padding=1), nn.flatten(),
)  # fmt: skip
flat = model.apply(model.init(random.key(0), device="meta"), torch.zeros(1, 1, 32, 32, device="meta"))
assert flat.shape == (1, channels * height * width) == (1, 1568)

image = torch.zeros(1, 1, 10, 10)
image[..., 4:6] = 5.0  # a bright strip in columns 4 and 5
sobel = torch.tensor([[[[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]]])
response = nn.conv2d(1, 1, 3, bias=False).apply({"weight": sobel}, image)
print("Sobel's response, the same in each of the 8 rows; cell i is centred on column i + 1:")
print(response[0, 0, 0].tolist())
print("20 on the two columns where it grows lighter, -20 where it grows darker, 0 in the dark.")
assert response[0, 0].tolist() == [[0.0, 0.0, 20.0, 20.0, -20.0, -20.0, 0.0, 0.0]] * 8

rows = {"image": image[0] / 5, "lighter": response[0] / 20, "darker": -response[0] / 20}
plot.rows_figure(rows).savefig("stencils.png", dpi=120)
