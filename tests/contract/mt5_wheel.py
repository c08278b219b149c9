"""The wheel MT5Manager: a stub with every name of the manager's interface, and a module for Windows that holds the
numbers. Nothing of it runs here: both are read."""

import ast
import importlib.util
import os
import re
import struct
from pathlib import Path
from typing import Final

import pytest

VERSION: Final = "5.0.6231"
# mov r8d, <number>; lea rdx, <name>: how the module registers a member of an enumeration
_REGISTERED: Final = re.compile(rb"\x41\xb8(?P<number>....)\x48\x8d\x15(?P<name>....)", re.DOTALL)
_LOADS_NAME: Final = re.compile(rb"\x48\x8d\x15(?P<name>....)", re.DOTALL)
_NAME: Final = re.compile(r"[A-Z][A-Z0-9_]{3,60}")


def wheel() -> Path:
    """The unpacked wheel. Skips where it is not: docs/mt5.md says how to get it."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "propos" / f"mt5manager-{VERSION}"
    installed = importlib.util.find_spec("MT5Manager")
    folders = [Path(installed.origin).parent] if installed and installed.origin else []
    for folder in (*folders, cache / "MT5Manager"):
        if (folder / "_core.pyi").exists():
            return folder
    pytest.skip(f"the wheel mt5manager {VERSION} is not on this machine: see docs/mt5.md")


def names(folder: Path) -> dict[str, set[str]]:
    """The names in each class of the stub; an enumeration of a class is called Class.Enumeration."""
    found: dict[str, set[str]] = {}
    for outer in ast.parse((folder / "_core.pyi").read_text()).body:
        if isinstance(outer, ast.ClassDef):
            found[outer.name] = _members(outer)
            inner = (each for each in outer.body if isinstance(each, ast.ClassDef))
            found.update({f"{outer.name}.{each.name}": _members(each) for each in inner})
    return found


def _members(node: ast.ClassDef) -> set[str]:
    return {
        each.target.id for each in node.body if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)
    }


class Numbers:
    """The numbers of the module's enumerations. A member of value 0 is registered without a number."""

    def __init__(self, folder: Path) -> None:
        self._data = next(folder.glob("_core.*win_amd64.pyd")).read_bytes()
        header = self._word(0x3C)
        count, optional = (struct.unpack_from("<H", self._data, header + at)[0] for at in (6, 20))
        table = [struct.unpack_from("<8sIIII", self._data, header + 24 + optional + 40 * n) for n in range(count)]
        # (first address, size, place in the file)
        self._sections = [(address, size, place) for _, _, address, size, place in table]
        self._found: dict[str, set[int]] = {}
        self._read()

    def of(self, name: str) -> set[int]:
        return self._found.get(name, set())

    def _read(self) -> None:
        start, size, place = self._sections[0]
        code = self._data[place : place + size]
        for match in _LOADS_NAME.finditer(code):
            name = self._text(start + match.end() + struct.unpack("<i", match["name"])[0])
            if _NAME.fullmatch(name):
                number = _REGISTERED.match(code, match.start() - 6)
                given = 0 if number is None else struct.unpack("<I", number["number"])[0]
                self._found.setdefault(name, set()).add(given)

    def _word(self, place: int) -> int:
        return int(struct.unpack_from("<I", self._data, place)[0])

    def _text(self, address: int) -> str:
        for first, size, place in self._sections:
            if first <= address < first + size:
                start = place + address - first
                end = self._data.find(b"\0", start, start + 80)
                return self._data[start:end].decode("ascii", "replace") if end > 0 else ""
        return ""
