"""Events of Stripe: webhooks, and the list of events that finds lost ones.

A snapshot event (`object`: "event") carries a copy of its object, a thin one ("v2.core.event") only names it. Both are
hints: nothing but the id of the object is taken from them.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import stripe
from pydantic import ValidationError

from adapters.stripe.client import KEY, PAGE, Connection, EventSettings
from adapters.stripe.kinds import ALL_KINDS, OF_PAYEES, PAYEES, PAYOUTS, SILENT, THIN_PAYEES
from domain.errors import BadInput, BadSignature, CursorForgotten, NotFound
from ports.money import WebhookEvent

_SIGNATURE_HEADER: Final = "stripe-signature"
_MAX_AGE_SECONDS: Final = 300


class EventConnection(Connection):
    """An EventSource. `kinds`: the types of events that this connection takes, and our kinds for them."""

    def __init__(self, name: str, settings: EventSettings, kinds: Mapping[str, str]) -> None:
        super().__init__(name, settings)
        self._secrets, self._account, self._kinds = settings.secrets(), settings.account, kinds

    async def events(self, after: str | None) -> list[WebhookEvent]:
        """Stripe keeps events for 30 days."""
        types = sorted(self._kinds.keys() - OF_PAYEES)  # Stripe takes up to 20
        if after is None:
            newest_first = [
                row async for row in self._api.raw_rows(self._v1.events.list_async({"limit": PAGE, "types": types}))
            ]
            rows = newest_first[::-1]
        else:
            call = self._v1.events.list_async({"limit": PAGE, "types": types, "ending_before": after})
            try:
                rows = [row async for row in self._api.raw_rows(call)]
            except (BadInput, NotFound) as exc:
                raise CursorForgotten(f"Stripe no longer knows the event {after!r}.") from exc
        events = [self._event(row) for row in rows]
        return [event for event in events if event is not None]

    def parse_webhook(self, body: bytes, headers: Mapping[str, str], now: datetime) -> WebhookEvent | None:
        _verify(body, headers, now, self._secrets)
        try:
            data = json.loads(body)
        except (ValueError, RecursionError) as exc:
            raise BadInput("The webhook is signed but is not an event.", field="body") from exc
        if not isinstance(data, dict) or not _is_word(data.get("id")):
            raise BadInput("The webhook is signed but is not an event.", field="body")
        return self._event(data)

    def _event(self, row: object) -> WebhookEvent | None:
        """Returns our event; None for one that concerns nobody here."""
        data = _dict(row)
        type = data["type"] if isinstance(data.get("type"), str) else ""
        thin = data.get("object") == "v2.core.event"
        if type in SILENT or (type in ALL_KINDS and type not in self._kinds):
            return None
        if type in OF_PAYEES and data.get("account") in (None, self._account):
            return None  # of the firm's own account: its payouts are on the statement
        if thin and type.startswith(THIN_PAYEES) and "account.updated" not in self._kinds:
            return None
        return _read(data, row, self._subject(data, type, thin), self._stranger(data, type, thin))

    def _subject(self, data: dict[str, Any], type: str, thin: bool) -> tuple[str, object]:
        """Returns our kind of the event, and the id of its object."""
        if thin:
            kind = "payee.changed" if type.startswith(THIN_PAYEES) else type
            return kind, _dict(data.get("related_object")).get("id")
        kind = self._kinds.get(type, type)
        found = _dict(_dict(data.get("data")).get("object"))
        if type in PAYEES:
            return kind, data.get("account")
        if type in PAYOUTS:
            return kind, _dict(found.get("metadata")).get("propos_transfer")
        if kind == "charge.refunded" or type == "radar.early_fraud_warning.created":
            return kind, found.get("payment_intent") or found.get("charge") or found.get("id")
        return kind, found.get("id")

    def _stranger(self, data: dict[str, Any], type: str, thin: bool) -> str | None:
        """Returns why an event may not be handled, though it can be read: it is of another mode or another account."""
        if data.get("livemode") is not self._api.live:
            return "livemode: a test event for a live key, or a live event for a test key"
        found = _dict(_dict(data.get("data")).get("object"))
        if thin:
            related = _dict(data.get("related_object")).get("id")
            return None if data.get("context") in (None, "", self._account, related) else "context: not our account"
        if data.get("account") in (None, self._account):
            return None
        if type not in OF_PAYEES:
            return "account: not our account"
        if type in PAYOUTS and KEY not in _dict(found.get("metadata")):
            return "account: a payout that was not made here"
        if found.get("object") == "account" and (
            found.get("id") != data.get("account") or KEY not in _dict(found.get("metadata"))
        ):
            return "account: not one of our payees"
        return None


def _read(data: dict[str, Any], row: object, subject: tuple[str, object], stranger: str | None) -> WebhookEvent:
    """Returns the event. `problem` names what cannot be read, without quoting it, or says why it may not be handled."""
    kind, object_id = subject
    values = {
        "event_id": data.get("id"),
        "kind": kind[:40],
        "object_id": object_id,
        "created_at": _time(data.get("created")),
        "problem": stranger,
    }
    if data.get("object") not in ("event", "v2.core.event"):
        values["problem"] = "object: not an event"
    try:
        return WebhookEvent.model_validate(values)
    except ValidationError as exc:
        wrong = {str(error["loc"][0]): error["msg"] for error in exc.errors(include_input=False)}
    substitutes = {"event_id": made_id(row), "kind": "unreadable", "object_id": "-"}
    problems = ([stranger] if stranger else []) + [f"{name}: {message}" for name, message in wrong.items()]
    return WebhookEvent.model_validate(
        values | {name: substitutes[name] for name in wrong} | {"problem": "; ".join(problems)}
    )


def _time(created: object) -> datetime | None:
    """Returns the time of an event: Stripe sends whole seconds, or a text in a thin one. None if it is neither."""
    if type(created) is int and 0 <= created < 2**33:
        return datetime.fromtimestamp(created, UTC)
    try:
        time = datetime.fromisoformat(created) if isinstance(created, str) else None
    except ValueError:
        return None
    return time if time is not None and time.tzinfo is not None else None


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _is_word(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 120 and all("!" <= letter <= "~" for letter in value)


def made_id(row: object) -> str:
    """Returns an id for an event without one. Equal content gets an equal id."""
    try:
        text = json.dumps(row, sort_keys=True, default=str)
    except RecursionError:
        text = "nested too deeply"
    return f"odd_{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def _verify(body: bytes, headers: Mapping[str, str], now: datetime, secrets: tuple[str, ...]) -> None:
    """Raises BadSignature unless the one signature header is recent and made with one of the secrets.

    Stripe signs with the old and the new secret while one is replaced, so the header may hold several signatures.
    """
    values = [value for name, value in headers.items() if name.lower() == _SIGNATURE_HEADER]
    if len(values) != 1:
        raise BadSignature("The webhook has no signature, or more than one.")
    if not any(_is_signed(body, values[0], secret) for secret in secrets):
        raise BadSignature("The webhook's signature does not match its body.")
    # The SDK reads the first `t`. Its own check of the age is off: it lets later times pass, and has its own clock.
    signed_at = next(part.split("=")[1] for part in values[0].split(",") if part.startswith("t="))
    if abs(now.timestamp() - int(signed_at)) > _MAX_AGE_SECONDS:
        raise BadSignature(f"The webhook's signature is older than {_MAX_AGE_SECONDS} seconds.")


def _is_signed(body: bytes, header: str, secret: str) -> bool:
    try:
        return bool(stripe.WebhookSignature.verify_header(body, header, secret))
    except (stripe.SignatureVerificationError, ValueError, TypeError):  # not UTF-8, or not ASCII
        return False
