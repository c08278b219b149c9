"""Encrypted columns: AES-256-GCM with a key id, and keyed digests for look-ups and comparisons.

The composition root installs the keys once per process; a column read or written before that is an error.

There are two kinds of keyed digests. A *blind index* finds a row by its encrypted text, or by a word of a name; it
names its key, and a rotation of the keys computes it anew (store/key_rotation.py). A *digest* is compared with one
computed later, as that of an approval with the payout; some are in rows that never change. So its key is a secret of
its own that does not rotate.
"""

import base64
import hashlib
import hmac
import os
from collections.abc import Mapping
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import LargeBinary, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import TypeDecorator

from domain.screening.name_words import name_words

_NONCE: Final = 12
_WORD: Final = "word of a name: "  # so that a word is never found as a whole text


class Undecipherable(Exception):
    """An encrypted value that cannot be read: its key is not installed, or it was altered or moved."""


class FieldKeys:
    """Encryption keys by id, 32 bytes each. The first key encrypts; every key decrypts.

    `digest_key`: the key of digests. None: derived from the last key.
    """

    def __init__(self, keys: Mapping[str, bytes], digest_key: bytes | None = None) -> None:
        if not keys or any(len(key) != 32 for key in keys.values()):
            raise ValueError("field keys: at least one key of 32 bytes is needed")
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self.ids: Final = tuple(keys)
        self.current: Final = self.ids[0]
        self._index_keys = {key_id: _index_key(key) for key_id, key in keys.items()}
        self._digest_key = digest_key or self._index_keys[self.ids[-1]]

    @classmethod
    def parse(cls, text: str, digest_key: str | None = None) -> "FieldKeys":
        """Read "id:base64[,id:base64…]" and the base64 of the key of digests."""
        pairs = [part.strip().split(":", 1) for part in text.split(",") if part.strip()]
        keys = {key_id: base64.b64decode(value) for key_id, value in pairs}
        return cls(keys, None if digest_key is None else base64.b64decode(digest_key))

    def encrypt(self, text: str, context: str) -> bytes:
        nonce = os.urandom(_NONCE)
        head = self.current.encode() + b"\x00"
        return head + nonce + self._ciphers[self.current].encrypt(nonce, text.encode(), context.encode())

    def decrypt(self, data: bytes, context: str) -> str:
        """Returns the text. Raises Undecipherable."""
        head, _, rest = data.partition(b"\x00")
        key_id = head.decode(errors="replace")
        if key_id not in self._ciphers:
            raise Undecipherable(f"A value of {context} needs the key {key_id!r}, which is not installed.")
        try:
            return self._ciphers[key_id].decrypt(rest[:_NONCE], rest[_NONCE:], context.encode()).decode()
        except (InvalidTag, ValueError):  # ValueError: too short
            raise Undecipherable(f"A value of {context} was altered, or belongs to another column.") from None

    def blind_index(self, text: str) -> str:
        """Returns "key id:digest" of `text` under the first key, ignoring case and outer space."""
        return f"{self.current}:{_keyed(self._index_keys[self.current], text)}"

    def blind_indexes(self, text: str) -> list[str]:
        """Returns every blind index that a row of this text may have: one for each key, with and without its id. Rows
        that are older than the ids have none."""
        digests = {key_id: _keyed(key, text) for key_id, key in self._index_keys.items()}
        return [*(f"{key_id}:{digest}" for key_id, digest in digests.items()), *digests.values()]

    def word_indexes(self, name: str) -> list[str]:
        """Returns the blind index of each word of a name under the first key."""
        return [self.blind_index(_WORD + word) for word in name_words(name)]

    def word_lookups(self, name: str) -> list[list[str]]:
        """Returns for each word of a name every blind index that a row with this word may have."""
        return [
            [f"{key_id}:{_keyed(key, _WORD + word)}" for key_id, key in self._index_keys.items()]
            for word in name_words(name)
        ]

    def digest(self, text: str) -> str:
        """Returns a keyed digest of `text`, ignoring case and outer space. It stays the same in a rotation."""
        return _keyed(self._digest_key, text)


def digest_key_of(oldest: bytes) -> bytes:
    """Returns the key of digests that a ring with this last key has when none is set."""
    return _index_key(oldest)


def _index_key(key: bytes) -> bytes:
    return hashlib.sha256(b"propos index" + key).digest()


def _keyed(key: bytes, text: str) -> str:
    return hmac.new(key, text.strip().casefold().encode(), hashlib.sha256).hexdigest()


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


class BlindIndex(TypeDecorator[str]):
    """A column with the blind index of the encrypted column `of` of the same table. Look-ups ask for each of
    `blind_indexes`."""

    impl = Text
    cache_ok = True

    def __init__(self, of: str) -> None:
        super().__init__()
        self.of = of


class BlindWords(TypeDecorator[list[str]]):
    """A column with the blind index of each word of the encrypted name `of` of the same table. None: not made yet, for
    a row that is older than the column."""

    impl = ARRAY(Text)
    cache_ok = True

    def __init__(self, of: str) -> None:
        super().__init__()
        self.of = of
