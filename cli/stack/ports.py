"""The ports of a stack: free ones for tests and the demo, and the check before a start."""

import asyncio
import time
from urllib.parse import urlsplit

from cli.stack.probes import free_ports, port_is_free
from domain.errors import Unavailable
from settings import Settings


def with_free_ports(settings: Settings) -> Settings:
    """Returns the settings with a free port in every place."""
    names = [name for name in Settings.model_fields if name.endswith("_port")]
    *ports, sandbox = free_ports(len(names) + 1)
    update: dict[str, object] = dict(zip(names, ports, strict=True))
    return settings.model_copy(
        update=update | {"sandbox_url": f"http://127.0.0.1:{sandbox}", "public_url": None, "sandbox_public_url": None}
    )


def with_many_sign_ups(settings: Settings) -> Settings:
    """Returns the settings for a firm whose people are all simulated on this machine."""
    return settings.model_copy(update={"sign_ups_per_address": 1_000_000, "sign_ups_per_hour": 1_000_000})


async def check_ports(settings: Settings, *, patience: float) -> None:
    """Raises Unavailable with the first port that is in use.

    Waits up to `patience` seconds for the sockets of a killed stack: the last threads of a process can hold them after
    the process counts as ended.
    """
    sandbox = urlsplit(settings.sandbox_url)
    wanted: list[tuple[str, str, int, str]] = [
        ("API and console", settings.api_host, settings.api_port, "--port or PROPOS_API_PORT"),
        ("worker's metrics", settings.metrics_host, settings.worker_metrics_port, "PROPOS_WORKER_METRICS_PORT"),
        ("monitor's metrics", settings.metrics_host, settings.monitor_metrics_port, "PROPOS_MONITOR_METRICS_PORT"),
        ("relay's metrics", settings.metrics_host, settings.relay_metrics_port, "PROPOS_RELAY_METRICS_PORT"),
    ]
    if settings.mail_doors:
        port = settings.mail_in_metrics_port
        wanted.append(("mail doors' metrics", settings.metrics_host, port, "PROPOS_MAIL_IN_METRICS_PORT"))
    if settings.uses_own_sandbox:
        wanted.append(("sandbox", sandbox.hostname or "127.0.0.1", sandbox.port or 80, "PROPOS_SANDBOX_URL"))
    if settings.temporal_address is None:
        wanted.append(("Temporal", "127.0.0.1", settings.temporal_port, "PROPOS_TEMPORAL_PORT"))
        wanted.append(("Temporal's web UI", "127.0.0.1", settings.temporal_ui_port, "PROPOS_TEMPORAL_UI_PORT"))
    deadline = time.monotonic() + patience
    for user, host, port, setting in wanted:
        while not port_is_free(host, port):
            if time.monotonic() < deadline:
                await asyncio.sleep(0.1)
                continue
            raise Unavailable(
                f"Port {port} on {host}, for the {user}, is in use.",
                remedy=f"Stop the program that uses it, or choose another port with {setting}.",
            )
