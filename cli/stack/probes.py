"""Probes of running parts, each with a short time-out, for readiness and `propos doctor`."""

import asyncio
import random
import socket
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from google.protobuf.duration_pb2 import Duration
from prometheus_client.parser import text_string_to_metric_families
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    DescribeTaskQueueRequest,
    DescribeTaskQueueResponse,
    UpdateNamespaceRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError

from adapters.own_http import trust
from cli import versions
from domain.errors import BadInput, Unavailable
from relay.temporal import OPEN, Access, no_namespace, open_client

TIMEOUT = timedelta(seconds=3)
_OWN_PORTS = range(20_000, 32_000)


def port_is_free(host: str, port: int) -> bool:
    """Returns whether a server could listen on the port now."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """Returns `count` different free ports.

    They lie below the range of outgoing connections, so that no connection takes one before its server starts.
    """
    found: list[int] = []
    for port in random.sample(_OWN_PORTS, len(_OWN_PORTS)):
        if port_is_free(host, port):
            found.append(port)
            if len(found) == count:
                return found
    raise Unavailable(f"There are no {count} free ports on {host}.", remedy="Stop the programs that use them.")


async def port_answers(host: str, port: int) -> bool:
    """Returns whether something accepts connections on the port."""
    try:
        async with asyncio.timeout(TIMEOUT.total_seconds()):
            _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    return True


async def fetch(url: str, token: str | None = None) -> httpx.Response:
    """Returns a 200 answer. Raises Unavailable for any other."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        async with httpx.AsyncClient(
            verify=trust(env=False), timeout=TIMEOUT.total_seconds(), trust_env=False
        ) as client:
            answer = await client.get(url, headers=headers)
    except httpx.HTTPError as error:
        raise Unavailable(f"{url} does not answer ({type(error).__name__}).") from None
    if answer.status_code != 200:
        raise Unavailable(f"{url} answers {answer.status_code}: {answer.text[:200]}")
    return answer


async def fetch_json(url: str, token: str | None = None) -> Any:
    """Returns the JSON of a 200 answer. Raises Unavailable for any other."""
    return (await fetch(url, token)).json()


async def gauges(url: str, name: str, label: str) -> dict[str, float]:
    """Returns the values of a metric that a process serves at `url`, by one of its labels."""
    families = text_string_to_metric_families((await fetch(url)).text)
    return {s.labels.get(label, ""): s.value for family in families for s in family.samples if s.name == name}


async def serves(url: str, token: str | None = None) -> bool:
    """Returns whether `url` answers 200 with JSON."""
    try:
        await fetch_json(url, token)
    except Unavailable:
        return False
    return True


async def answers_at(url: str) -> bool:
    """Returns whether `url` answers 200."""
    try:
        await fetch(url)
    except Unavailable:
        return False
    return True


class TemporalProbe:
    """Queries one namespace of a Temporal server; connects on first use. Raises
    Unavailable for every error, and BadInput for an address that is none."""

    def __init__(self, address: str, namespace: str, access: Access = OPEN) -> None:
        self._address, self._namespace, self._access = address, namespace, access
        self._client: Client | None = None

    async def retention(self) -> timedelta:
        """Returns how long the namespace keeps closed histories."""
        request = DescribeNamespaceRequest(namespace=self._namespace)
        try:
            answer = await (await self._connected()).workflow_service.describe_namespace(request, timeout=TIMEOUT)
        except RPCError as error:
            if no_namespace(error):
                raise Unavailable(
                    f"Temporal at {self._address} has no namespace {self._namespace!r}.",
                    remedy="Create it, or name the right one in PROPOS_TEMPORAL_NAMESPACE.",
                ) from None
            raise Unavailable(f"Temporal at {self._address}: {error.message}.") from None
        return answer.config.workflow_execution_retention_ttl.ToTimedelta()

    async def set_retention(self, retention: timedelta) -> None:
        ttl = Duration()
        ttl.FromTimedelta(retention)
        config = NamespaceConfig(workflow_execution_retention_ttl=ttl)
        request = UpdateNamespaceRequest(namespace=self._namespace, config=config)
        try:
            await (await self._connected()).workflow_service.update_namespace(request, timeout=TIMEOUT)
        except RPCError as error:
            raise Unavailable(f"Temporal at {self._address}: {error.message}.") from None

    async def answers(self) -> bool:
        try:
            await self.retention()
        except Unavailable:
            return False
        return True

    async def fleet(self) -> versions.Fleet:
        """Returns the workers of `core` by version."""
        return await versions.fleet(await self._connected())

    async def pollers(self, task_queue: str, kind: TaskQueueType.ValueType) -> int:
        """Returns how many workers poll the queue."""
        return len((await self._task_queue(task_queue, kind)).pollers)

    async def polls(self, task_queue: str, kind: TaskQueueType.ValueType, pid: int) -> bool:
        """Returns whether the process `pid` of this machine polls the queue. Temporal names a poller that was
        killed for minutes, so their number says nothing about a process that was started again."""
        identity = f"{pid}@{socket.gethostname()}"
        return any(each.identity == identity for each in (await self._task_queue(task_queue, kind)).pollers)

    async def last_polled(self, task_queue: str, kind: TaskQueueType.ValueType) -> datetime | None:
        """Returns when a worker last asked for a task of the queue: a living one does at least once a minute. None: not
        for minutes."""
        found = (await self._task_queue(task_queue, kind)).pollers
        return max((each.last_access_time.ToDatetime(UTC) for each in found), default=None)

    async def _task_queue(self, name: str, kind: TaskQueueType.ValueType) -> DescribeTaskQueueResponse:
        request = DescribeTaskQueueRequest(
            namespace=self._namespace, task_queue=TaskQueue(name=name), task_queue_type=kind
        )
        try:
            return await (await self._connected()).workflow_service.describe_task_queue(request, timeout=TIMEOUT)
        except RPCError as error:
            raise Unavailable(f"Temporal at {self._address}: {error.message}.") from None

    async def _connected(self) -> Client:
        if self._client is None:
            host, _, port = self._address.rpartition(":")
            if not host or not port.isdecimal():
                raise BadInput(
                    f"TEMPORAL_ADDRESS must be host:port, such as temporal.example.com:7233, not {self._address!r}.",
                    field="TEMPORAL_ADDRESS",
                )
            if not await port_answers(host, int(port)):
                raise Unavailable(f"Temporal does not answer at {self._address}.")
            try:
                self._client = await open_client(self._address, self._namespace, self._access)
            except RuntimeError as error:
                raise Unavailable(f"Temporal at {self._address}: {error}.") from None
        return self._client
