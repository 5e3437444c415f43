"""Random numbers as a function of what they are for: no state, the same for ever.

Philox is a counter-based generator (Salmon et al. 2011, doi:10.1145/2063384.2063405): its key and
counter are arguments. Its raw 64-bit numbers never change between versions of NumPy, those of the
methods of `Generator` may; what decides which data a model sees is therefore made of raw numbers.
"""

import functools
import zlib

import numpy as np

_WORD = 2**64


def bits(seed: int, purpose: str, *counter: int) -> np.random.Philox:
    """Returns the bit generator of one purpose, e.g. `bits(seed, "train/place", epoch, index)`.

    Args:
        seed: any integer.
        purpose: what the numbers are for; different purposes are independent.
        counter: up to two integers, e.g. epoch and index; the generator itself counts the draws
            in the other two words.
    """
    key = np.array([seed % _WORD, zlib.crc32(purpose.encode())], np.uint64)
    words = (0, 0, *counter, *(0,) * (2 - len(counter)))
    return np.random.Philox(key=key, counter=np.array(words, np.uint64))


def fraction(raw: int) -> float:
    """Returns a number in [0, 1) made of the 53 highest of 64 random bits."""
    return (int(raw) >> 11) * 2.0**-53


def below(raw: int, number: int) -> int:
    """Returns an integer in 0..number-1 made of 64 random bits (multiply and shift)."""
    return (int(raw) * number) >> 64


@functools.lru_cache(maxsize=8)
def permutation(seed: int, purpose: str, turn: int, number: int) -> np.ndarray:
    """Returns the numbers 0..number-1 in the random order of one turn; read-only.

    Cached because rebuilding it costs a sort; the result depends on the arguments alone.
    """
    order = np.argsort(bits(seed, purpose, turn).random_raw(number), kind="stable")
    order.flags.writeable = False
    return order
