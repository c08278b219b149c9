"""A real OpenID Connect server in a process of its own, so that its own warnings are not ours."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from cli.stack.probes import free_ports


@contextmanager
def oidc_server() -> Iterator[str]:
    """Gives the issuer."""
    (port,) = free_ports(1)
    issuer = f"http://localhost:{port}"
    command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port), "--require-nonce"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait(issuer, server)
        yield issuer
    finally:
        server.terminate()
        server.wait(timeout=60)


def _wait(issuer: str, server: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + 120
    while True:
        try:
            httpx.get(f"{issuer}/.well-known/openid-configuration", timeout=30).raise_for_status()
        except httpx.HTTPError:
            if server.poll() is not None or time.monotonic() > until:
                raise
            time.sleep(0.2)
        else:
            return
