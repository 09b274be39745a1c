"""Writes jax_random.json: what jax.random returns for a list of calls, for tests/random/test_jax.py.

Run it with jax 0.10 installed: `python make_jax_reference.py [OUTPUT]`. The output goes beside this file
unless named. Seeds and 64-bit results need `jax_enable_x64`, so that is on; `choice` draws its indices with
JAX's default integers, so there it is off. Floats are written by `float.hex`, which keeps every bit.
"""

import json
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np

SEEDS = (0, 1, 42, 2**31, 2**32 - 1, 2**40 + 3, -1)
SHAPES = ((), (7,), (3, 5), (0,))
WEIGHTS = (0.1, 0.0, 0.4, 0.3, 0.2)


def written(values: Any) -> list[Any]:
    """The values of an array, flattened, without loss."""
    flat = np.asarray(values).reshape(-1)
    return [float(v).hex() if flat.dtype.kind == "f" else int(v) for v in flat]


def cases() -> list[dict[str, Any]]:
    """Every call with its arguments, its result's shape and its values."""
    found: list[dict[str, Any]] = []

    def record(function: str, key: Any, values: Any, **arguments: Any) -> None:
        found.append(
            {
                "function": function,
                "key": written(key),
                "arguments": arguments,
                "shape": list(np.shape(values)),
                "values": written(values),
            }
        )

    jax.config.update("jax_enable_x64", True)
    keys = [jax.random.PRNGKey(seed) for seed in SEEDS]
    for seed, key in zip(SEEDS, keys, strict=True):
        record("key", key, key, seed=seed)
        for num in (0, 1, 2, 5):
            record("split", key, jax.random.split(key, num), num=num)
        for data in (0, 1, 7, 2**31, 2**32 - 1):
            record("fold_in", key, jax.random.fold_in(key, data), data=data)
        for shape in SHAPES:
            record("bits", key, jax.random.bits(key, shape, np.uint32), shape=shape, bit_width=32)
            wide = jax.random.bits(key, shape, np.uint64)
            record("bits", key, np.asarray(wide).view(np.int64), shape=shape, bit_width=64)
            for dtype in ("float32", "float64"):
                values = jax.random.uniform(key, shape, dtype)
                record("uniform", key, values, shape=shape, dtype=dtype)
    for key in keys[2:5]:
        for dtype in ("float32", "float64"):
            for low, high in ((-1.0, 1.0), (-0.3, 1.45), (100.0, 101.7), (1e-3, 5e7)):
                values = jax.random.uniform(key, (100,), dtype, low, high)
                record("uniform", key, values, shape=[100], dtype=dtype, minval=low, maxval=high)
            record("normal", key, jax.random.normal(key, (300,), dtype), shape=[300], dtype=dtype)
            for low, high in ((-2.0, 2.0), (-0.5, 3.0), (1.0, 2.5), (-1e9, 1.0)):
                values = jax.random.truncated_normal(key, low, high, (60,), dtype)
                record("truncated_normal", key, values, lower=low, upper=high, shape=[60], dtype=dtype)
            logits = np.linspace(-2, 2, 12).reshape(3, 4).astype(dtype)
            for axis, shape in ((-1, [3]), (0, [4]), (-1, [20, 3])):
                values = jax.random.categorical(key, logits, axis, tuple(shape))
                arguments = {"logits": logits.tolist(), "axis": axis, "shape": shape, "dtype": dtype}
                record("categorical", key, values, **arguments)
            for p in (0.0, 0.25, 0.5, 1.0):
                values = jax.random.bernoulli(key, np.dtype(dtype).type(p), (40,))
                record("bernoulli", key, values, p=p, shape=[40], dtype=dtype)
            values = jax.random.normal(key, (200_000,), dtype)
            arguments = {"shape": [200_000], "dtype": dtype, "least": 3.5}
            record("normal_tails", key, values[abs(values) > 3.5], **arguments)
        for dtype, spans in {
            "int32": ((0, 1), (0, 10), (-5, 70000), (-(2**31), 2**31 - 1), (-(2**31), 2**31), (0, 2**31)),
            "int64": ((0, 10), (-5, 2**40), (-(2**62), 2**62 + 5), (-(2**63), 2**63 - 1), (-(2**63), 7)),
        }.items():
            for low, high in spans:
                values = jax.random.randint(key, (40,), np.int64(low), np.int64(high), dtype)
                record("randint", key, values, shape=[40], minval=low, maxval=high, dtype=dtype)
    for key in keys[2:4]:
        for size in (0, 1, 2, 10, 1000):
            record("permutation", key, jax.random.permutation(key, size), x=size)
        record("permutation", key, jax.random.permutation(key, 2000)[:50], x=2000)
        for axis in (0, 1):
            matrix = np.arange(24).reshape(6, 4)
            values = jax.random.permutation(key, matrix, axis)
            record("permutation", key, values, matrix=matrix.tolist(), axis=axis)
    jax.config.update("jax_enable_x64", False)
    weights = np.array(WEIGHTS, np.float32)
    for key in [jax.random.PRNGKey(seed) for seed in (42, 7)]:
        record("choice", key, jax.random.choice(key, 10, (4, 5)), a=10, shape=[4, 5])
        record("choice", key, jax.random.choice(key, 10, (6,), False), a=10, shape=[6], replace=False)
        values = jax.random.choice(key, 5, (50,), True, weights)
        record("choice", key, values, a=5, shape=[50], p=WEIGHTS)
        values = jax.random.choice(key, 5, (4,), False, weights)
        record("choice", key, values, a=5, shape=[4], p=WEIGHTS, replace=False)
    return found


if __name__ == "__main__":
    beside = Path(__file__).with_name("jax_random.json")
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else beside
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases())
    output.write_text(f'{{"jax":"{jax.__version__}","cases":[\n{lines}\n]}}\n')
