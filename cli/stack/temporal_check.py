"""Whether a Temporal namespace is that of this firm."""

from temporalio.service import RPCError

from cli.compose import temporal
from domain.errors import Conflict, Unavailable
from relay.codec import EncryptionCodec, parse_keys
from relay.running import another_firms
from settings import Settings


async def check_ours(settings: Settings) -> None:
    """Raises Conflict for a namespace in which another firm runs, Unavailable when Temporal does not answer."""
    client = await temporal(settings)
    try:
        found = await another_firms(client, EncryptionCodec(parse_keys(settings.required("payload_keys"))))
    except RPCError as error:
        raise Unavailable(f"Temporal at {settings.temporal_address}: {error.message}.") from None
    if found is not None:
        raise Conflict(
            f"The namespace {settings.temporal_namespace!r} at {settings.temporal_address} is used with other keys:"
            f" {found} runs there, and cannot be read.",
            remedy="Set PROPOS_TEMPORAL_NAMESPACE to a namespace of this firm alone, or PROPOS_PAYLOAD_KEYS to the keys"
            " that it is used with.",
        )
