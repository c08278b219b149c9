"""Webhooks of Zammad: `X-Hub-Signature: sha1=` and HMAC-SHA1 over the body, in hex. It has no time, and Zammad calls at
most five times: a webhook is a hint to read the ticket, and the poll finds what it missed."""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Final

from pydantic import ValidationError

from adapters.zammad.shapes import Hook
from domain.errors import BadInput, BadSignature
from domain.tickets import CHANGED
from ports.money import WebhookEvent

_LONGEST_ID: Final = 100


def parse(body: bytes, headers: Mapping[str, str], secret: str) -> WebhookEvent:
    """Raises BadSignature, BadInput."""
    wanted = "sha1=" + hmac.new(secret.encode(), body, hashlib.sha1).hexdigest()
    given = headers.get("x-hub-signature", "")
    if not hmac.compare_digest(wanted.encode(), given.encode()):
        raise BadSignature("The webhook's signature does not match its body.")
    try:
        hook = Hook.model_validate_json(body)
    except ValidationError:
        raise BadInput(
            "The webhook names no ticket.", field="ticket.id", remedy="Use Zammad's own payload, or keep ticket.id."
        ) from None
    delivery = headers.get("x-zammad-delivery", "")
    if not (delivery.isascii() and delivery.isprintable() and 0 < len(delivery) <= _LONGEST_ID) or " " in delivery:
        delivery = hashlib.sha256(body).hexdigest()
    return WebhookEvent(event_id=delivery, kind=CHANGED, object_id=str(hook.ticket.id), created_at=None)
