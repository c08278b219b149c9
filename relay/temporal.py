"""Connections to Temporal, with pydantic messages, encrypted payloads and encrypted failures."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from temporalio.client import Client
from temporalio.converter import DataConverter, DefaultFailureConverterWithEncodedAttributes
from temporalio.service import RPCError, TLSConfig

from contracts.drops import ReportDrop
from domain.errors import BadInput, Unavailable
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


@dataclass(frozen=True)
class Access:
    """How a server knows us, and we know it. `tls`: False for a server on this machine, True with the system's
    authorities."""

    tls: TLSConfig | bool = field(default=False, repr=False)
    api_key: str | None = field(default=None, repr=False)


OPEN: Final = Access()


def access(
    *,
    tls: bool = False,
    authorities: Path | None = None,
    certificate: Path | None = None,
    key: Path | None = None,
    server_name: str | None = None,
    api_key: str | None = None,
) -> Access:
    """Returns the access that settings describe; files are PEM. A file, a name or an API key switches TLS on.

    Raises BadInput for a certificate without its key, a key without its certificate, and a file that cannot be read.
    """
    if (certificate is None) != (key is None):
        missing = "PROPOS_TEMPORAL_TLS_KEY" if key is None else "PROPOS_TEMPORAL_TLS_CERTIFICATE"
        raise BadInput(f"{missing} is not set.", field=missing, remedy="Set both or neither: they belong together.")
    if authorities is None and certificate is None and server_name is None:
        return Access(tls=tls or api_key is not None, api_key=api_key)
    config = TLSConfig(
        server_root_ca_cert=_pem("PROPOS_TEMPORAL_TLS_CA", authorities),
        domain=server_name,
        client_cert=_pem("PROPOS_TEMPORAL_TLS_CERTIFICATE", certificate),
        client_private_key=_pem("PROPOS_TEMPORAL_TLS_KEY", key),
    )
    return Access(tls=config, api_key=api_key)


def _pem(variable: str, path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(
            f"{variable}: {path} cannot be read ({error.strerror}).", field=variable, remedy="Name a PEM file."
        ) from None
    if b"-----BEGIN " not in content:
        raise BadInput(f"{variable}: {path} is no PEM file.", field=variable, remedy="Name a PEM file.")
    return content


async def open_client(
    address: str, namespace: str, allowed: Access = OPEN, converter: DataConverter = DataConverter.default
) -> Client:
    """Returns a connected client. The one place of the firm that makes one. Raises RuntimeError and RPCError."""
    return await Client.connect(
        address, namespace=namespace, data_converter=converter, tls=allowed.tls, api_key=allowed.api_key
    )


async def connect(
    address: str, namespace: str, payload_keys: str, note: ReportDrop | None = None, allowed: Access = OPEN
) -> Client:
    """Returns a connected client, which reconnects by itself. Raises Unavailable. `note`: see `data_converter`."""
    try:
        return await open_client(address, namespace, allowed, data_converter(payload_keys, note))
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
