"""`propos platform new`: writes the package of a new adapter from the template beside this file."""

import re
from pathlib import Path
from typing import Final

from domain.errors import BadInput

_TEMPLATE: Final = Path(__file__).parent / "template"
_NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST: Final = 24
_IN_THE_PACKAGE: Final = ("__init__.py", "adapter.py", "decoder.py")
_TESTS: Final = "test_adapter.py"


def write(name: str, out: Path) -> list[Path]:
    """Writes the package of adapter `name` into folder `out` and returns its files. Raises BadInput for a wrong name,
    and for a folder that has something in it."""
    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        raise BadInput(
            f"{name[:40]!r} is no name of an adapter.",
            field="name",
            remedy=f"Use at most {_LONGEST} small letters and digits, with single dashes between them.",
        )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BadInput(f"{out} is not an empty folder.", field="--out", remedy="Give a new folder.")
    module = f"propos_{name.replace('-', '_')}"
    setting = name.replace("-", "_")
    words = {
        "NAME": name,
        "MODULE": module,
        "CLASS": "".join(part.capitalize() for part in name.split("-")),
        "SETTING": setting,
        "ENV": setting.upper(),
    }
    written = []
    for source in sorted(_TEMPLATE.glob("*.txt")):
        path = out / _place(source.name.removesuffix(".txt"), module)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_filled(source.read_text(encoding="utf-8"), words), encoding="utf-8")
        written.append(path)
    return written


def _place(name: str, module: str) -> Path:
    if name in _IN_THE_PACKAGE:
        return Path(module) / name
    return Path("tests") / name if name == _TESTS else Path(name)


def _filled(text: str, words: dict[str, str]) -> str:
    return re.sub(r"@([A-Z]+)@", lambda found: words[found[1]], text)
