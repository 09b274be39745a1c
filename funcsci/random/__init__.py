"""Random numbers as pure functions of a key: the same key gives the same numbers, on every device.

A key is an int64 tensor of shape (2,) that holds two 32-bit words, as a JAX PRNG key does. A function draws
from the key it is given, and `split` and `fold_in` make new keys. The numbers come from Threefry-2x32 in
plain tensor arithmetic, so every function works under `torch.func.vmap` and in traced and compiled programs,
and gives the bits of `jax.random` with its defaults.

The room exists so that randomness is an argument everywhere above it. What touches torch's global generator
does not belong here, nor what knows of networks, data or equations: initializers are in `funcsci.nn`, the
points of a domain in `funcsci.pinn`.

In every function `key` is such a tensor, `shape` is the result's shape, the result lives on the key's device,
and `dtype=None` means `torch.get_default_dtype()`. A malformed argument raises TypeError (its kind) or
ValueError (its value); what a tensor holds is not looked into.

Differs from jax.random: floats are float32 or float64, indices are int64, and Python numbers out of range
raise instead of being clipped.
"""

from funcsci.random.continuous import normal as normal
from funcsci.random.continuous import truncated_normal as truncated_normal
from funcsci.random.continuous import uniform as uniform
from funcsci.random.discrete import bernoulli as bernoulli
from funcsci.random.discrete import categorical as categorical
from funcsci.random.discrete import choice as choice
from funcsci.random.discrete import permutation as permutation
from funcsci.random.discrete import randint as randint
from funcsci.random.keys import Key as Key
from funcsci.random.keys import bits as bits
from funcsci.random.keys import fold_in as fold_in
from funcsci.random.keys import key as key
from funcsci.random.keys import split as split
