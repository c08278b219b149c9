"""Mail by a signed webhook: another program posts the bytes of a mail to /webhooks/mail/NAME.

Signed as Standard Webhooks are: `webhook-signature` has `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from domain.errors import BadSignature
from ports.mail_door import CalledDoor
from ports.plugin import Plugin

_MAX_AGE_SECONDS: Final = 300


class WebhookSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    secret: SecretStr = Field(min_length=24)
    authserv: str | None = None


class WebhookDoor:
    def __init__(self, name: str, settings: WebhookSettings) -> None:
        self.name, self.authserv = name, settings.authserv
        self._secret = _key(settings.secret.get_secret_value())

    def verify(self, body: bytes, headers: Mapping[str, str], now: datetime) -> None:
        named, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        if not stamp.isdecimal() or len(stamp) > 12 or abs(now.timestamp() - int(stamp)) > _MAX_AGE_SECONDS:
            raise BadSignature(f"The webhook has no timestamp of the last {_MAX_AGE_SECONDS} seconds.")
        signed = f"{named}.{stamp}.".encode() + body
        wanted = base64.b64encode(hmac.new(self._secret, signed, hashlib.sha256).digest())
        given = headers.get("webhook-signature", "").split()[:10]
        if not any(hmac.compare_digest(b"v1," + wanted, each.encode()) for each in given):
            raise BadSignature("The webhook's signature does not match its body.")


def _key(secret: str) -> bytes:
    """Returns the bytes of a secret: after `whsec_` as base64, else as it is written."""
    if secret.startswith("whsec_"):
        try:
            return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except binascii.Error:
            raise ValueError("after whsec_ the secret must be base64") from None
    return secret.encode()


def _build(name: str, settings: WebhookSettings) -> CalledDoor:
    return WebhookDoor(name, settings)


PLUGIN: Final = Plugin(WebhookSettings, None, _build)
