"""What the API and the console share about programs of others: making keys and endpoints of webhooks."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from domain import api_keys, webhooks
from domain.approvals import ROLES
from firm import api_keys as firm_keys
from firm import webhooks as firm_webhooks
from front.once import Once
from front.permissions import PERSONS_ONLY, scopes_of
from store.read import programs as read
from store.read.pages import View

DAYS: Final = 90  # of a new key, unless somebody says otherwise
OVERLAP_HOURS: Final = 24


class KeyMade(View):
    """`token`: the whole key, in the first answer only; it is stored nowhere. None when this request is repeated."""

    id: str
    scopes: tuple[str, ...]
    expires_at: datetime
    token: str | None = None


class EndpointMade(View):
    """`secret`: signs the webhooks; in the first answer only. None when this request is repeated."""

    id: str
    kinds: tuple[str, ...]
    state: str
    secret: str | None = None


async def keys(session: AsyncSession, user_id: str | None) -> list[read.ApiKeyView]:
    """Returns the keys of a user, or of everybody (None)."""
    return await read.keys(session, user_id, {role: scopes_of(role) for role in ROLES})


async def make_key(once: Once, *, name: str, scopes: Sequence[str], days: int, body: BaseModel) -> KeyMade:
    """Uses a step-up. Raises StepUpRequired, BadInput."""
    actor = once.actor
    wanted = api_keys.check_scopes(scopes, offered=scopes_of(actor.role), persons_only=PERSONS_ONLY)

    async def work(session: AsyncSession) -> tuple[KeyMade, str]:
        await once.prove(session, "keys", do="make a key", name=name, scopes=" ".join(wanted), days=str(days))
        row, token = await firm_keys.issue(session, actor=actor, name=name, scopes=wanted, days=days)
        return KeyMade(id=row.id, scopes=tuple(row.scopes), expires_at=row.expires_at), token

    made, token = await once.reveal(KeyMade, body, work)
    return made.model_copy(update={"token": token})


async def rotate_key(once: Once, key_id: str, *, overlap_hours: int, days: int, body: BaseModel) -> KeyMade:
    """Uses a step-up. Raises StepUpRequired, NotFound, Conflict, BadInput."""
    actor = once.actor

    async def work(session: AsyncSession) -> tuple[KeyMade, str]:
        await once.prove(
            session, "keys", do="rotate a key", which=key_id, overlap_hours=str(overlap_hours), days=str(days)
        )
        row, token = await firm_keys.rotate(
            session, key_id, actor=actor, overlap_hours=overlap_hours, days=days, allowed=scopes_of(actor.role)
        )
        return KeyMade(id=row.id, scopes=tuple(row.scopes), expires_at=row.expires_at), token

    made, token = await once.reveal(KeyMade, body, work)
    return made.model_copy(update={"token": token})


async def add_endpoint(once: Once, *, url: str, kinds: Sequence[str], note: str, body: BaseModel) -> EndpointMade:
    """Uses a step-up. Raises StepUpRequired, BadInput."""
    check_url(once, url)

    async def work(session: AsyncSession) -> tuple[EndpointMade, str]:
        await once.prove(session, "keys", do="add an endpoint", url=url, kinds=" ".join(sorted(kinds)))
        row, secret = await firm_webhooks.add(session, actor=once.actor, url=url, kinds=kinds, note=note)
        return EndpointMade(id=row.id, kinds=tuple(row.kinds), state=row.state), secret

    made, secret = await once.reveal(EndpointMade, body, work)
    return made.model_copy(update={"secret": secret})


async def rotate_secret(once: Once, endpoint_id: str, *, overlap_hours: int, body: BaseModel) -> EndpointMade:
    """Uses a step-up. Raises StepUpRequired, NotFound, BadInput."""

    async def work(session: AsyncSession) -> tuple[EndpointMade, str]:
        await once.prove(session, "keys", do="rotate a secret", which=endpoint_id, overlap_hours=str(overlap_hours))
        row, secret = await firm_webhooks.rotate(session, endpoint_id, actor=once.actor, overlap_hours=overlap_hours)
        return EndpointMade(id=row.id, kinds=tuple(row.kinds), state=row.state), secret

    made, secret = await once.reveal(EndpointMade, body, work)
    return made.model_copy(update={"secret": secret})


def check_url(once: Once, url: str) -> None:
    """Raises BadInput for an address that webhooks may not be sent to."""
    rules = once.deps.webhook_rules
    webhooks.check_url(url, allowed_hosts=rules.hosts, loopback=rules.loopback)
