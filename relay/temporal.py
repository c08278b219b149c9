"""The one way to Temporal: pydantic messages, encrypted payloads, encrypted failures."""

import asyncio
from collections.abc import Awaitable, Callable

from temporalio.client import Client
from temporalio.converter import DataConverter, DefaultFailureConverterWithEncodedAttributes
from temporalio.service import RPCError

from contracts.drops import ReportDrop
from domain.errors import Unavailable
from relay.codec import EncryptionCodec, parse_keys
from relay.converter import PropOSPayloadConverter, noting


def data_converter(payload_keys: str, note: ReportDrop | None = None) -> DataConverter:
    """What every client, worker and replayer uses. `payload_keys` is the setting's text: id:base64[,id:base64…].
    `note` hears of each payload that cannot be read."""
    return DataConverter(
        payload_converter_class=PropOSPayloadConverter if note is None else noting(note),
        payload_codec=EncryptionCodec(parse_keys(payload_keys)),
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )


async def connect(address: str, namespace: str, payload_keys: str, note: ReportDrop | None = None) -> Client:
    """A connected client, which reconnects by itself from then on; raises Unavailable. `note`: see `data_converter`."""
    try:
        return await Client.connect(address, namespace=namespace, data_converter=data_converter(payload_keys, note))
    except (RuntimeError, RPCError) as error:
        raise Unavailable(
            f"Temporal does not answer at {address}: {error}", remedy="Start it (propos up), or set TEMPORAL_ADDRESS."
        ) from None


class SharedClient:
    """One client for a whole process, connected when it is first needed, tried again while that fails."""

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
    """Whether what was not found is the namespace: it may still come."""
    return error.message.lower().startswith("namespace")
