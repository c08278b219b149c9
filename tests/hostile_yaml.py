"""A definition of half a kilobyte that stands for gigabytes."""

from typing import Final


def _bomb(size: int) -> str:
    """Each row repeats the one before it many times over."""
    rows = ["a: &a [x,x,x,x,x,x,x,x,x]"]
    for before, name in zip("abcdefghijk", "bcdefghijkl", strict=True):
        rows.append(f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]")
    text = "\n".join(rows) + "\n"
    return text + "#" * (size - len(text))


BOMB: Final = _bomb(522)
