"""An authenticator in software: makes passkeys and answers challenges as a browser would hand them on."""

import hashlib
import json
import struct
from dataclasses import dataclass, field
from secrets import token_bytes
from typing import Any, Final

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from webauthn.helpers import bytes_to_base64url

_PRESENT, _VERIFIED, _ATTESTED = 0x01, 0x04, 0x40
_AAGUID: Final = b"\x00" * 16


@dataclass
class SoftPasskey:
    """`verifies`: the person was verified. `counts`: whether it has a sign count; most passkeys have none."""

    origin: str
    rp_id: str
    verifies: bool = True
    counts: bool = False
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    id: bytes = field(default_factory=lambda: token_bytes(32))
    used: int = 0

    def create(self, options: dict[str, Any]) -> dict[str, Any]:
        """Answers `navigator.credentials.create`."""
        data = self._client_data("webauthn.create", options["challenge"])
        attested = _AAGUID + struct.pack(">H", len(self.id)) + self.id + self._public_key()
        statement = {"fmt": "none", "attStmt": {}, "authData": self._authenticator_data(_ATTESTED) + attested}
        response = {
            "clientDataJSON": bytes_to_base64url(data),
            "attestationObject": bytes_to_base64url(cbor2.dumps(statement)),
            "transports": ["internal"],
        }
        return self._credential(response)

    def get(self, options: dict[str, Any]) -> dict[str, Any]:
        """Answers `navigator.credentials.get`."""
        if self.counts:
            self.used += 1
        data, about = self._client_data("webauthn.get", options["challenge"]), self._authenticator_data(0)
        signature = self.key.sign(about + hashlib.sha256(data).digest(), ec.ECDSA(hashes.SHA256()))
        response = {
            "clientDataJSON": bytes_to_base64url(data),
            "authenticatorData": bytes_to_base64url(about),
            "signature": bytes_to_base64url(signature),
        }
        return self._credential(response)

    def _credential(self, response: dict[str, Any]) -> dict[str, Any]:
        name = bytes_to_base64url(self.id)
        return {"id": name, "rawId": name, "type": "public-key", "response": response, "clientExtensionResults": {}}

    def _client_data(self, kind: str, challenge: str) -> bytes:
        return json.dumps({"type": kind, "challenge": challenge, "origin": self.origin}).encode()

    def _authenticator_data(self, flags: int) -> bytes:
        flags |= _PRESENT | (_VERIFIED if self.verifies else 0)
        return hashlib.sha256(self.rp_id.encode()).digest() + bytes([flags]) + struct.pack(">I", self.used)

    def _public_key(self) -> bytes:
        point = self.key.public_key().public_numbers()
        cose = {1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32, "big"), -3: point.y.to_bytes(32, "big")}
        return cbor2.dumps(cose)
