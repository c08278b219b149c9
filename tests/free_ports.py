"""Ports of a `propos up` of a test's own."""

import os

from cli.stack.probes import free_ports


def free_port_environment() -> dict[str, str]:
    names = ("API", "TEMPORAL", "TEMPORAL_UI", "WORKER_METRICS", "MONITOR_METRICS", "RELAY_METRICS")
    *ports, sandbox = free_ports(len(names) + 1)
    chosen = {f"PROPOS_{name}_PORT": str(port) for name, port in zip(names, ports, strict=True)}
    return dict(os.environ) | chosen | {"PROPOS_SANDBOX_URL": f"http://127.0.0.1:{sandbox}"}
