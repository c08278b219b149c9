"""Encrypted columns: AES-256-GCM with a key id, and a keyed index for exact look-ups.

The composition root installs the keys once per process; a column read or written before that is an error.
"""

import base64
import hashlib
import hmac
import os
from collections.abc import Mapping
from typing import Any, Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import LargeBinary
from sqlalchemy.types import TypeDecorator

_NONCE: Final = 12


class FieldKeys:
    """Encryption keys by id, 32 bytes each. The first key encrypts; every key decrypts."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        if not keys or any(len(key) != 32 for key in keys.values()):
            raise ValueError("field keys: at least one key of 32 bytes is needed")
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self._current = next(iter(keys))
        # look-ups must survive a key rotation, so the index uses the oldest (last) key
        self._index_key = hashlib.sha256(b"propos index" + list(keys.values())[-1]).digest()

    @classmethod
    def parse(cls, text: str) -> "FieldKeys":
        """Read "id:base64[,id:base64…]"."""
        pairs = [part.strip().split(":", 1) for part in text.split(",") if part.strip()]
        return cls({key_id: base64.b64decode(value) for key_id, value in pairs})

    def encrypt(self, text: str, context: str) -> bytes:
        nonce = os.urandom(_NONCE)
        head = self._current.encode() + b"\x00"
        return head + nonce + self._ciphers[self._current].encrypt(nonce, text.encode(), context.encode())

    def decrypt(self, data: bytes, context: str) -> str:
        key_id, rest = data.split(b"\x00", 1)
        plain = self._ciphers[key_id.decode()].decrypt(rest[:_NONCE], rest[_NONCE:], context.encode())
        return plain.decode()

    def index(self, text: str) -> str:
        """Returns a keyed digest of `text`, ignoring case and outer space. Equal texts have equal digests."""
        return hmac.new(self._index_key, text.strip().casefold().encode(), hashlib.sha256).hexdigest()


_installed: FieldKeys | None = None


def install(keys: FieldKeys) -> None:
    global _installed
    _installed = keys


def keys() -> FieldKeys:
    if _installed is None:
        raise RuntimeError("store.crypto.install was not called by the composition root")
    return _installed


class Encrypted(TypeDecorator[str]):
    """A text column stored encrypted. `context` binds the ciphertext to its column."""

    impl = LargeBinary
    cache_ok = True

    def __init__(self, context: str) -> None:
        super().__init__()
        self.context = context

    def process_bind_param(self, value: str | None, dialect: Any) -> bytes | None:
        return None if value is None else keys().encrypt(value, self.context)

    def process_result_value(self, value: bytes | None, dialect: Any) -> str | None:
        return None if value is None else keys().decrypt(bytes(value), self.context)
