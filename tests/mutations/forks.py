"""Runs tests in forks of one process that has imported the libraries already: most of the time of a short run.

A script, started by `Workplace`. Reads one order per line, `{"tests": [...], "output": path}`; answers with the exit
code of pytest. Nothing of the project is imported before the fork, because an order may be about any of its modules.
"""

import contextlib
import importlib
import json
import os
import subprocess
import sys
from typing import Any

_ARGUMENTS = ("-q", "-x", "--numprocesses=0", "-p", "no:cacheprovider", "-W", "ignore:Module already imported")
_USED = """
import json, sys
import tests.api_world, tests.bank_world, tests.challenge_world, tests.payout_world, tests.servers, tests.stripe_server
places = {name: getattr(module, "__file__", None) or "" for name, module in sys.modules.items()}
print(json.dumps([name for name, place in places.items() if "site-packages" in place]))
"""


def main() -> None:
    sys.path[0] = os.getcwd()  # instead of the folder of this script
    for name in ["pytest", *_libraries()]:
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    for line in sys.stdin:
        sys.stdout.write(f"{_run(json.loads(line))}\n")
        sys.stdout.flush()


def _libraries() -> list[str]:
    """Returns the modules of other projects that the tests use."""
    found = subprocess.run([sys.executable, "-c", _USED], capture_output=True, text=True, check=False)
    names: list[str] = json.loads(found.stdout) if found.returncode == 0 else []
    return names


def _run(order: dict[str, Any]) -> int:
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 70
    try:
        with open(order["output"], "w") as output:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
        import pytest

        code = int(pytest.main([*_ARGUMENTS, *order.get("options", ()), *order["tests"]]))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
