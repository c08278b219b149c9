"""The project's own source, parsed once."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = [
    "activities",
    "adapters",
    "api",
    "cli",
    "console",
    "contracts",
    "domain",
    "firm",
    "front",
    "gateway",
    "monitor",
    "ports",
    "products",
    "relay",
    "sandbox",
    "store",
    "surveillance",
    "wire",
    "workflows",
]
MODULES = ("worker", "settings", "settings_keeping", "settings_sources")


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def files(*packages: str) -> list[Path]:
    """The Python files of top-level packages or modules."""
    found: list[Path] = []
    for name in packages:
        single = ROOT / f"{name}.py"
        found += [single] if single.exists() else sorted((ROOT / name).rglob("*.py"))
    return found


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """(dotted module, line) of every import, wherever it stands; `from a import b` gives `a` and `a.b`."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module, node.lineno
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node.lineno


def where(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"
