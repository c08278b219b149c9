"""Ports for what a test starts."""

import os
from collections.abc import Mapping

from cli.stack.probes import free_ports


def ports_of_worker(ports: range, environment: Mapping[str, str]) -> range:
    """Returns this worker's part of the ports: all of them in a run without workers. A port is bound some time after it
    was chosen, and no other worker may choose it meanwhile."""
    worker = environment.get("PYTEST_XDIST_WORKER", "")
    if not worker.startswith("gw"):
        return ports
    parts = int(environment["PYTEST_XDIST_WORKER_COUNT"])
    at = int(worker.removeprefix("gw")) % parts  # the one that replaces a worker that died has a higher number
    return ports[at::parts]


def free_port_environment() -> dict[str, str]:
    names = ("API", "TEMPORAL", "TEMPORAL_UI", "WORKER_METRICS", "MONITOR_METRICS", "RELAY_METRICS")
    *ports, sandbox = free_ports(len(names) + 1)
    chosen = {f"PROPOS_{name}_PORT": str(port) for name, port in zip(names, ports, strict=True)}
    return dict(os.environ) | chosen | {"PROPOS_SANDBOX_URL": f"http://127.0.0.1:{sandbox}"}
