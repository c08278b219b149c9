"""Generates the code of `wire/ctrader/`. `python -m tests.contract.ctrader_messages` writes it."""

import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).resolve().parents[2] / "wire" / "ctrader"
_IMPORT: Final = re.compile(r"^import (\w+_pb2) as ", re.MULTILINE)


def generated() -> dict[str, str]:
    """Returns the text of every generated file by its name. The compiler imports the modules of a folder by their bare
    names; here they are parts of a package."""
    names = sorted(path.name for path in FOLDER.glob("*.proto"))
    with tempfile.TemporaryDirectory() as made:
        out = [f"--python_out={made}", f"--pyi_out={made}"]
        subprocess.run([sys.executable, "-m", "grpc_tools.protoc", f"-I{FOLDER}", *out, *names], check=True)
        return {
            path.name: _IMPORT.sub(r"from wire.ctrader import \1 as ", path.read_text())
            for path in sorted(Path(made).iterdir())
        }


if __name__ == "__main__":
    for name, text in generated().items():
        (FOLDER / name).write_text(text)
