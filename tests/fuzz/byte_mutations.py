"""Changes files and strings at random, with a given random generator."""

import random

# Characters of transform strings, and some that are not allowed in them.
_ALPHABET = "abcxyz_0123456789()=,. \"'\\/:^-\n\t\0é"


def mutate_bytes(data: bytes, rng: random.Random) -> bytes:
    """Flips, overwrites, removes, repeats or truncates bytes, once or several times."""
    mutated = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        if not mutated:
            break
        at = rng.randrange(len(mutated))
        length = min(rng.choice((1, 1, 2, 4, 8, 64)), len(mutated) - at)
        kind = rng.randrange(6)
        if kind == 0:
            mutated[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            mutated[at : at + length] = rng.randbytes(length)
        elif kind == 2:
            del mutated[at : at + length]
        elif kind == 3:
            mutated[at:at] = mutated[at : at + length]
        elif kind == 4:
            mutated[at : at + length] = bytes([rng.choice((0, 0x7F, 0x80, 0xFF))]) * length
        elif rng.random() < 0.3:
            del mutated[at:]
    return bytes(mutated)


def mutate_text(text: str, rng: random.Random) -> str:
    """Replaces, inserts, removes or truncates characters, once or several times."""
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = rng.randrange(len(text) + 1)
        kind = rng.randrange(4)
        if kind == 0:
            text = text[:at] + rng.choice(_ALPHABET) + text[at + 1 :]
        elif kind == 1:
            text = text[:at] + rng.choice(_ALPHABET) + text[at:]
        elif kind == 2:
            text = text[:at] + text[at + rng.choice((1, 2, 8)) :]
        elif rng.random() < 0.3:
            text = text[:at]
    return text
