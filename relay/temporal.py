"""Connections to Temporal, with pydantic messages, encrypted payloads and encrypted failures."""

import asyncio
from collections.abc import Awaitable, Callable

from temporalio.client import Client
from temporalio.converter import DataConverter, DefaultFailureConverterWithEncodedAttributes
from temporalio.service import RPCError

from contracts.drops import ReportDrop
from domain.errors import Unavailable
from relay.codec import EncryptionCodec, parse_keys
from relay.converter import PropOSPayloadConverter, reporting_converter


def data_converter(payload_keys: str, note: ReportDrop | None = None) -> DataConverter:
    """Returns the converter of every client, worker and replayer.

    `payload_keys` is the text of the setting: id:base64[,id:base64…]. `note` is called for each unreadable payload.
    """
    return DataConverter(
        payload_converter_class=PropOSPayloadConverter if note is None else reporting_converter(note),
        payload_codec=EncryptionCodec(parse_keys(payload_keys)),
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )


async def connect(address: str, namespace: str, payload_keys: str, note: ReportDrop | None = None) -> Client:
    """Returns a connected client, which reconnects by itself. Raises Unavailable. `note`: see `data_converter`."""
    try:
        return await Client.connect(address, namespace=namespace, data_converter=data_converter(payload_keys, note))
    except (RuntimeError, RPCError) as error:
        raise Unavailable(
            f"Temporal does not answer at {address}: {error}", remedy="Start it (propos up), or set TEMPORAL_ADDRESS."
        ) from None


class SharedClient:
    """One client for the whole process, connected at the first call. After a failure the next call tries again."""

    def __init__(self, connect: Callable[[], Awaitable[Client]]) -> None:
        self._connect = connect
        self._lock = asyncio.Lock()
        self._client: Client | None = None

    async def __call__(self) -> Client:
        async with self._lock:
            if self._client is None:
                self._client = await self._connect()
            return self._client


def no_namespace(error: RPCError) -> bool:
    """Returns whether the namespace is missing. The server may still be creating it."""
    return error.message.lower().startswith("namespace")
