"""stripe-mock, Stripe's own mock server: a program in Go that the tests build from the module proxy."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

VERSION: Final = "v0.203.0"


@contextmanager
def stripe_mock() -> Iterator[str]:
    """Yields the address of the server, bound to loopback. Skips where there is no Go."""
    command = [str(_program()), "-http-addr", "127.0.0.1:0", "-https-addr", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        found = None
        while found is None:
            line = process.stdout.readline()
            assert line, "stripe-mock ended before it listened"
            found = re.search(r"HTTP at address: (\S+)", line)
        yield f"http://{found[1]}"
        process.terminate()


def _program() -> Path:
    """The program, built once from the module proxy and kept in the user's cache."""
    if shutil.which("go") is None:
        pytest.skip("Go is not installed, so Stripe's mock server cannot be built")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "propos" / f"stripe-mock-{VERSION}"
    program = cache / "stripe-mock"
    if not program.exists():
        building = cache / f"building-{os.getpid()}"
        building.mkdir(parents=True)
        environment = {**os.environ, "GOBIN": str(building), "GOFLAGS": "-mod=mod"}
        command = ["go", "install", f"github.com/stripe/stripe-mock@{VERSION}"]
        built = subprocess.run(command, env=environment, cwd=building, capture_output=True, text=True, check=False)
        if built.returncode:
            pytest.skip(f"Stripe's mock server cannot be built: {built.stderr[-300:]}")
        (building / "stripe-mock").replace(program)
        building.rmdir()
    return program
