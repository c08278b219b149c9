"""Payload encryption: a payload in Temporal can be read only with our keys and only in its own workflow.

A payload that cannot be decrypted is marked and passed on: an error here would fail the whole workflow task, with every
good message in it, again and again. The payload converter refuses marked payloads one by one (relay/converter.py).
"""

import base64
import hashlib
import hmac
import os
from collections.abc import Mapping, Sequence
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    ActivitySerializationContext,
    PayloadCodec,
    SerializationContext,
    WithSerializationContext,
    WorkflowSerializationContext,
)

ENCODING: Final = b"binary/encrypted"
UNREADABLE: Final = b"propos/unreadable"  # marks a payload within this process; never sent
_KEY_ID: Final = "encryption-key-id"
_NONCE: Final = 12


class PayloadRefused(Exception):
    """A payload that this codec did not write, or that was written for another workflow."""


def parse_keys(text: str) -> dict[str, AESGCM]:
    """Returns ciphers by key id from "id:base64[,id:base64…]". The first encrypts, all decrypt.

    Each key has 32 bytes. The same secrets encrypt database columns, so payloads use keys derived from them.
    Raises ValueError.
    """
    pairs = [part.strip().split(":", 1) for part in text.split(",") if part.strip()]
    keys = {key_id: base64.b64decode(encoded, validate=True) for key_id, encoded in pairs}
    if not keys or any(len(key) != 32 for key in keys.values()):
        raise ValueError("payload keys: at least one key of 32 bytes is needed, as id:base64")
    derived = {key_id: hmac.new(key, b"propos payloads", hashlib.sha256).digest() for key_id, key in keys.items()}
    return {key_id: AESGCM(key) for key_id, key in derived.items()}


def key_id_of(payload: Payload) -> str | None:
    """Returns the id of the key that the payload is encrypted with; None when it is not encrypted."""
    if payload.metadata.get("encoding") != ENCODING:
        return None
    return payload.metadata.get(_KEY_ID, b"").decode(errors="replace")


class EncryptionCodec(PayloadCodec, WithSerializationContext):
    """AES-256-GCM. Namespace and workflow id are authenticated, so a payload copied to another workflow is refused."""

    def __init__(self, ciphers: Mapping[str, AESGCM], binding: bytes | None = None) -> None:
        self._ciphers = ciphers
        self._current = next(iter(ciphers))
        self._binding = binding

    def with_context(self, context: SerializationContext) -> Self:
        if not isinstance(context, WorkflowSerializationContext | ActivitySerializationContext):
            return self
        if context.workflow_id is None:
            return self
        return type(self)(self._ciphers, f"{context.namespace}\x00{context.workflow_id}".encode())

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [self._encrypted(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Returns each payload decrypted, or marked `UNREADABLE` with the reason as its data. Never raises."""
        return [self._decrypted_or_marked(payload) for payload in payloads]

    def _decrypted_or_marked(self, payload: Payload) -> Payload:
        try:
            return self._decrypted(payload)
        except PayloadRefused as refusal:
            return Payload(metadata={"encoding": UNREADABLE}, data=str(refusal).encode())

    def _bound(self) -> bytes:
        if self._binding is None:
            raise PayloadRefused("A payload belongs to a workflow; none is known here.")
        return self._binding

    def _encrypted(self, payload: Payload) -> Payload:
        nonce = os.urandom(_NONCE)
        sealed = self._ciphers[self._current].encrypt(nonce, payload.SerializeToString(), self._bound())
        return Payload(metadata={"encoding": ENCODING, _KEY_ID: self._current.encode()}, data=nonce + sealed)

    def _decrypted(self, payload: Payload) -> Payload:
        key_id = key_id_of(payload)
        if key_id is None:
            raise PayloadRefused("A payload is not encrypted: it was not written by us.")
        if key_id not in self._ciphers:
            raise PayloadRefused(f"A payload needs the key {key_id!r}, which is not among PROPOS_PAYLOAD_KEYS.")
        try:
            plain = self._ciphers[key_id].decrypt(payload.data[:_NONCE], payload.data[_NONCE:], self._bound())
        except (InvalidTag, ValueError):  # ValueError: too short
            raise PayloadRefused("A payload does not belong to this workflow, or was altered.") from None
        return Payload.FromString(plain)
