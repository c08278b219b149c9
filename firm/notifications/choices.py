"""What people choose to be told of, on their page or by the link in a mail, which works without a sign-in."""

import hmac
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, NamedTuple, cast

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import Actor
from domain.errors import NotFound
from domain.notifications.kinds import BY_NAME, Channel, Choices, Kind, To, channels, check_choice, chosen_by, named
from store import audit, crypto, upsert
from store.clock import market_now
from store.models import NotificationChoice

_MAIL: Final[Channel] = "mail"
_PEOPLE: Final = ("trd_", "usr_")


class Chosen(NamedTuple):
    """A kind as a person has chosen it: by which channels they are told."""

    kind: Kind
    on: frozenset[Channel]


def owner_of(actor: Actor) -> str:
    """Returns whose choices and notifications these are: the trader's, or the user's of the firm."""
    return actor.trader_id or actor.user_id


def to_of(owner_id: str) -> To:
    return "trader" if owner_id.startswith("trd_") else "staff"


async def of_owners(session: AsyncSession, owners: Collection[str]) -> dict[str, Choices]:
    """Returns what each of these has switched off; owners who chose nothing are left out."""
    found: dict[str, dict[str, frozenset[Channel]]] = {}
    rows = await session.scalars(select(NotificationChoice).where(NotificationChoice.owner_id.in_(list(owners))))
    for row in rows:
        found.setdefault(row.owner_id, {})[row.kind] = frozenset(cast("list[Channel]", row.off))
    return dict(found)


async def listed(session: AsyncSession, owner_id: str) -> list[Chosen]:
    """Returns every kind that this person is told of."""
    off = (await of_owners(session, [owner_id])).get(owner_id, {})
    return [Chosen(kind, channels(kind, off)) for kind in chosen_by(to_of(owner_id))]


async def choose(session: AsyncSession, *, actor: Actor, off: Mapping[str, Iterable[Channel]]) -> None:
    """Switches off these channels of these kinds, and the others of them on. Raises BadInput."""
    owner_id = owner_of(actor)
    for name, wanted in off.items():
        chosen = check_choice(named(name), to_of(owner_id), wanted)
        await _keep(session, owner_id, name, chosen, actor=actor.user_id, role=actor.role)


async def _keep(
    session: AsyncSession, owner_id: str, name: str, off: frozenset[Channel], *, actor: str, role: str
) -> None:
    before = (await of_owners(session, [owner_id])).get(owner_id, {}).get(name, frozenset())
    if before == off:
        return
    row: dict[str, Any] = {
        "owner_id": owner_id,
        "kind": name,
        "trader_id": owner_id if to_of(owner_id) == "trader" else None,
        "off": sorted(off),
    }
    await upsert.add_or_change(session, NotificationChoice, [row], of=("owner_id", "kind"), to=("off",))
    await audit.record(
        session,
        action="notifications.chosen",
        subject_kind="notifications",
        subject_id=owner_id,
        occurred_at=await market_now(session),
        actor=actor,
        role=role,
        evidence={"kind": name, "off": sorted(off)},
    )


def token(kind: Kind, owner_id: str) -> str | None:
    """Returns what the link in a mail carries: it switches mail of this kind to this person off and on, and does
    nothing else. None for a kind that cannot be switched off. It has no end: an old mail must stop too."""
    if kind.fixed or _MAIL not in kind.channels:
        return None
    return f"{owner_id}.{kind.choice}.{_proof(owner_id, kind.choice)}"


def _proof(owner_id: str, name: str) -> str:
    return crypto.keys().digest(f"unsubscribe/{owner_id}/{name}")


def of_token(text: str) -> tuple[str, Kind]:
    """Returns whose link it is, and of which kind. Raises NotFound for one that is not ours."""
    owner_id, _, rest = text.partition(".")
    name, _, proof = rest.rpartition(".")
    genuine = hmac.compare_digest(proof.encode(), _proof(owner_id, name).encode())
    if not genuine or not owner_id.startswith(_PEOPLE) or name not in BY_NAME:
        raise NotFound("This link is not complete.", remedy="Copy the whole link of the mail.")
    return owner_id, BY_NAME[name]


async def switch_mail(session: AsyncSession, text: str, *, on: bool) -> Kind:
    """Whoever has the link switches mail of its kind off, or on again; doing it twice is the same as once. Raises
    NotFound."""
    owner_id, kind = of_token(text)
    if not on:
        check_choice(kind, to_of(owner_id), [_MAIL])
    before = (await of_owners(session, [owner_id])).get(owner_id, {}).get(kind.name, frozenset())
    off = before - {_MAIL} if on else before | {_MAIL}
    await _keep(session, owner_id, kind.name, off, actor=owner_id, role="link")
    return kind


async def mail_is_on(session: AsyncSession, text: str) -> tuple[Kind, bool]:
    """Raises NotFound for a link that is not ours."""
    owner_id, kind = of_token(text)
    off = (await of_owners(session, [owner_id])).get(owner_id, {})
    return kind, _MAIL in channels(kind, off)
