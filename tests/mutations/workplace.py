"""A copy of the source in which one control at a time is broken."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from tests.mutations.mutation import ROOT, Mutation
from tests.servers import POSTGRES, TEMPORAL

_LEFT_OUT = shutil.ignore_patterns(".git", ".venv", ".*cache*", ".hypothesis", "__pycache__")
_FAILED = 1  # pytest's exit code when a test failed; another one says that it could not run


@dataclass(frozen=True)
class Result:
    """`noticed`: a test failed. `output`: of pytest."""

    noticed: bool
    output: str


class Workplace:
    """The servers run already: each run of the tests uses databases of its own on them."""

    def __init__(self, folder: Path, *, postgres_url: str, temporal_address: str) -> None:
        self._root = folder / "propos"
        shutil.copytree(ROOT, self._root, ignore=_LEFT_OUT)
        self._env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
            POSTGRES: postgres_url,
            TEMPORAL: temporal_address,
            "PYTHONPATH": str(self._root),
        }
        self._ages = count(1)
        self._output = folder / "output"
        self._forks: subprocess.Popen[str] | None = None

    def close(self) -> None:
        if self._forks is not None:
            self._forks.kill()
            self._forks.communicate()

    def broken(self, mutation: Mutation) -> Result:
        """Runs the tests of a mutation with its control broken."""
        with self._changed(mutation):
            code, output = self.run(mutation.tests)
        return Result(code == _FAILED and "\nFAILED " in output, output)

    def run(self, tests: Sequence[str], options: Sequence[str] = ()) -> tuple[int, str]:
        """Returns the exit code and the output of pytest."""
        forks = self._forks = self._forks or self._start()
        assert forks.stdin is not None and forks.stdout is not None
        order = {"tests": tests, "options": options, "output": str(self._output)}
        forks.stdin.write(json.dumps(order) + "\n")
        forks.stdin.flush()
        return int(forks.stdout.readline()), self._output.read_text()

    def _start(self) -> "subprocess.Popen[str]":
        command = [sys.executable, "tests/mutations/forks.py"]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, cwd=self._root, env=self._env, **pipes)

    @contextmanager
    def _changed(self, mutation: Mutation) -> Iterator[None]:
        file = self._root / mutation.file
        text, times = file.read_text(), (file.stat().st_atime, file.stat().st_mtime)
        file.write_text(text.replace(mutation.old, mutation.new))
        # Python takes compiled code for that of any file of the same size and second
        age = times[1] - 60 * next(self._ages)
        os.utime(file, (age, age))
        try:
            yield
        finally:
            file.write_text(text)
            os.utime(file, times)
