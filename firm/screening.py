"""Screening of traders against the loaded sanctions lists, and the decision of two people on each hit.

A screening is a function of the trader's name, the lists and the policy. So one is made when any of them is new, and
kept as the evidence of every payout that is judged while none of them changes.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from sqlalchemy import Select, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain import keys
from domain.approvals import DECIDERS, Actor, Vote
from domain.errors import BadInput, Conflict
from domain.payouts.checks import SanctionsFacts
from domain.screening.index import THRESHOLD, adjusted
from domain.screening.names import METHOD, keys_of, parts_of, plain
from domain.screening.scoring import Score, score
from firm import decide as guard
from firm.payouts import signals
from store import audit, crypto, decisions, rows
from store import screening as lists
from store.clock import market_now
from store.models import (
    Decision,
    IdentityCheck,
    SanctionsVersion,
    Screening,
    ScreeningHit,
    ScreeningPolicyRow,
    Trader,
    User,
)
from store.together import Param, Rows

Verdict = Literal["clear", "confirm"]
PEOPLE_NEEDED: Final = 2
_STATES: Final[dict[Verdict, str]] = {"clear": "cleared", "confirm": "confirmed"}


@dataclass(frozen=True, slots=True)
class Policy:
    """`threshold`: the least score of a hit, in thousandths. `without_list`: what the check of a payout does while no
    list is loaded. `blocked`: ISO codes of the countries whose traders are not paid."""

    threshold: int = round(THRESHOLD * 1000)
    without_list: str = "warn"
    blocked: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Basis:
    versions: tuple[SanctionsVersion, ...]
    policy: Policy

    @property
    def digest(self) -> str:
        body = json.dumps([f"v{METHOD}", *[version.id for version in self.versions], self.policy.threshold])
        return hashlib.sha256(body.encode()).hexdigest()

    @property
    def words(self) -> str:
        return ", ".join(
            f"{row.list} of {row.published or 'unknown date'} ({row.sha256[:12]})" for row in self.versions
        )


@dataclass(frozen=True, slots=True)
class _Found:
    list: str
    ref: str
    digest: str
    listed: str
    score: Score
    permille: int


@dataclass(frozen=True, slots=True)
class _Person:
    """A name to screen. `born`: the verified date of birth, "" while unknown. `country`: ISO code."""

    name: str
    born: str
    country: str

    @property
    def text(self) -> str:
        """What makes a screening a new one."""
        return f"{self.name}|{self.born}" if self.born else self.name


async def policy_of(session: AsyncSession) -> Policy:
    """Returns the policy that counts now."""
    found = await session.execute(_policy_query())
    return _policy([dict(each) for each in found.mappings()])


def _policy_query() -> Select[tuple[int, str, list[str]]]:
    rows = select(ScreeningPolicyRow.threshold, ScreeningPolicyRow.without_list, ScreeningPolicyRow.blocked)
    return rows.order_by(ScreeningPolicyRow.id.desc()).limit(1)


def _policy(found: Sequence[Mapping[str, Any]]) -> Policy:
    return Policy(**{**found[0], "blocked": tuple(found[0]["blocked"])}) if found else Policy()


async def set_policy(session: AsyncSession, policy: Policy, by: str) -> None:
    """Raises BadInput."""
    if not 300 <= policy.threshold <= 1000:
        raise BadInput("The threshold is not between 0.3 and 1.", field="threshold", remedy="Use 0.72, the default.")
    if policy.without_list not in ("warn", "hold"):
        raise BadInput("Without a list, payouts warn or hold.", field="without_list", remedy="Use warn or hold.")
    for code in policy.blocked:
        if len(code) != 2 or not (code.isascii() and code.isalpha() and code.isupper()):
            raise BadInput(f"{code!r} is no country.", field="blocked", remedy="Use ISO codes, such as KP.")
    values = {"threshold": policy.threshold, "without_list": policy.without_list, "blocked": sorted(policy.blocked)}
    session.add(ScreeningPolicyRow(**values))
    await audit.record(
        session,
        action="screening.policy_set",
        subject_kind="screening",
        subject_id="policy",
        occurred_at=await market_now(session),
        actor=by,
        evidence=values,
    )


async def basis_of(session: AsyncSession) -> Basis:
    versions = await lists.current(session)
    for version in versions:
        await lists.renew(session, version)
    return Basis(tuple(versions), await policy_of(session))


def queries(trader_id: Param[str]) -> dict[str, Select[Any]]:
    """What `facts` needs of the record, to be read together with other things."""
    return {"lists": lists.current_ids_query(), "screening": _policy_query(), "hits": _hits_query(trader_id)}


def _hits_query(trader_id: Param[str]) -> Select[tuple[str, str]]:
    hits = select(ScreeningHit.id, ScreeningHit.state)
    return hits.where(ScreeningHit.trader_id == trader_id, ScreeningHit.state != "cleared").order_by(ScreeningHit.id)


async def facts(session: AsyncSession, trader_id: str, found: Mapping[str, Rows]) -> SanctionsFacts:
    """Returns what screening says of the trader now. Screens them if the name, a list or the policy is new. `found`:
    what `queries` have read in this transaction."""
    trader, basis = await session.get_one(Trader, trader_id), Basis((), _policy(found["screening"]))
    hits = [(each["id"], each["state"]) for each in found["hits"]]
    if found["lists"]:
        basis = await basis_of(session)
        await screen(session, trader, basis)
        hits = [tuple(row) for row in await session.execute(_hits_query(trader_id))]
    return SanctionsFacts(
        open_hits=tuple(hit for hit, state in hits if state == "open"),
        confirmed_hits=tuple(hit for hit, state in hits if state == "confirmed"),
        country_blocked=trader.country if trader.country in basis.policy.blocked else "",
        lists=basis.words,
        without_list_holds=basis.policy.without_list == "hold",
    )


async def screen(session: AsyncSession, trader: Trader, basis: Basis) -> None:
    """Compares the trader's names with the lists and opens a hit for each entry that is like one, unless this was done
    before with the same name, date of birth, lists and policy."""
    if not basis.versions:
        return
    for person in await _names_of(session, trader):
        await _screen(session, trader, person, basis)


async def _names_of(session: AsyncSession, trader: Trader) -> list[_Person]:
    """Returns the name that the trader gave, and each other name that an identity checker verified. The holder of the
    bank account is always the trader under the name they gave."""
    verified = await session.execute(
        select(IdentityCheck.verified_name, IdentityCheck.born)
        .where(IdentityCheck.trader_id == trader.id, IdentityCheck.verified_name.is_not(None))
        .order_by(IdentityCheck.recorded_at, IdentityCheck.id)
    )
    found = [(row.verified_name, row.born or "") for row in verified]
    born = found[-1][1] if found else ""
    names = {plain(name): name for name in (*(name for name, _ in reversed(found)), trader.name)}
    return [_Person(name, born, trader.country) for name in names.values()]


async def _screen(session: AsyncSession, trader: Trader, person: _Person, basis: Basis) -> None:
    index, digest = crypto.keys().digest(person.text), basis.digest
    done = select(Screening.id).where(
        Screening.trader_id == trader.id, Screening.lists_digest == digest, Screening.name_index == index
    )
    if await session.scalar(done) is not None:
        return
    found, best = await _compare(session, person, basis)
    screening_id = keys.screening_id(trader.id, digest, index)
    now = await market_now(session)
    await session.execute(
        insert(Screening)
        .values(
            id=screening_id,
            trader_id=trader.id,
            lists_digest=digest,
            name_index=index,
            versions={row.list: row.id for row in basis.versions},
            threshold=basis.policy.threshold,
            best=best,
            hits=len(found),
            occurred_at=now,
        )
        .on_conflict_do_nothing()
    )
    opened = [made for hit in found if (made := await _open(session, trader, screening_id, person.name, hit))]
    if opened:
        await signals.send_risk_changed(session, cause=screening_id, trader_ids=[trader.id])


async def _compare(session: AsyncSession, person: _Person, basis: Basis) -> tuple[list[_Found], int]:
    """Returns the entries at or above the threshold, each by the name that is most like, and the best score."""
    parts, births = parts_of(person.name), (person.born,) if person.born else ()
    best, by_entry = 0, dict[tuple[str, str], _Found]()
    for version in basis.versions:
        rarities = await lists.rarities(session, version)
        for row in await lists.candidates(session, version, keys_of(parts)):
            compared = score(parts, parts_of(row.name), rarities.of)
            value = adjusted(compared.value, births, row.births, (person.country,), row.countries)
            permille = round(1000 * value)
            best = max(best, permille)
            before = by_entry.get((version.list, row.ref))
            if permille >= basis.policy.threshold and (before is None or permille > before.permille):
                by_entry[version.list, row.ref] = _Found(
                    version.list, row.ref, row.digest, row.name, compared, permille
                )
    return list(by_entry.values()), best


async def _open(session: AsyncSession, trader: Trader, screening_id: str, name: str, hit: _Found) -> str | None:
    """Returns the id of the new hit; None if the same name and entry were found before."""
    now, index = await market_now(session), crypto.keys().digest(name)
    evidence = {"name": name, "listed": hit.listed, "reason": hit.score.reason}
    made: str | None = await session.scalar(
        insert(ScreeningHit)
        .values(
            id=keys.sanction_hit_id(trader.id, hit.list, hit.ref, hit.digest, index),
            trader_id=trader.id,
            screening_id=screening_id,
            list=hit.list,
            ref=hit.ref,
            entry_digest=hit.digest,
            name_index=index,
            score=hit.permille,
            evidence=json.dumps(evidence, ensure_ascii=False),
            state="open",
            opened_at=now,
        )
        .on_conflict_do_nothing()
        .returning(ScreeningHit.id)
    )
    if made is not None:
        await audit.record(
            session,
            action="screening.hit_opened",
            subject_kind="sanction_hit",
            subject_id=made,
            occurred_at=now,
            evidence={"list": hit.list, "screening": screening_id, "score": hit.permille},
        )
    return made


async def screen_trader(session: AsyncSession, trader: Trader) -> None:
    """Screens one trader now, if that is due."""
    await screen(session, trader, await basis_of(session))


async def rescreen(session: AsyncSession, limit: int) -> int:
    """Screens traders that were not compared with the current lists yet. Returns their number: 0 when all were. Several
    callers at once take different traders."""
    basis = await basis_of(session)
    if not basis.versions:
        return 0
    compared = select(Screening.id).where(Screening.trader_id == Trader.id, Screening.lists_digest == basis.digest)
    due = select(Trader).where(~compared.exists()).order_by(Trader.id).limit(limit)
    traders = (await session.scalars(due.with_for_update(key_share=True, skip_locked=True))).all()
    for trader in traders:
        await screen(session, trader, basis)
    return len(traders)


async def decide(
    session: AsyncSession, *, hit_id: str, verdict: Verdict, actor: Actor, reason: str, key: str
) -> ScreeningHit:
    """Clear or confirm a hit: it ends when two people who may decide say the same. Until then a person may change their
    vote; the last one counts. The same key again changes nothing.

    Raises NotFound, NotAllowed, SelfApproval, BadInput, AlreadyDecided (so, by this person), Conflict (it has ended).
    """
    hit = await rows.locked(session, ScreeningHit, hit_id)
    before = _last_votes(await decisions.votes(session, "sanction_hit", hit.id))
    subject = guard.Subject(
        kind="sanction_hit",
        id=hit.id,
        digest=hit.entry_digest,
        evidence={"list": hit.list, "score": hit.score, "screening": hit.screening_id},
        asked_by=await session.scalar(select(User.person_id).where(User.trader_id == hit.trader_id).limit(1)) or "",
        decided_by=lambda verb: [vote.person_id for vote in before if vote.decision == verb],
    )

    async def still_open(_made: Sequence[Decision]) -> None:
        if hit.state != "open":
            raise Conflict(f"This hit was {hit.state} already.")

    now = await guard.record(session, subject, guard.Choice(verdict, actor, reason, key), still_open)
    if now is None:
        return hit
    votes = _last_votes(await decisions.votes(session, "sanction_hit", hit.id))
    agreed = {v.person_id for v in votes if v.decision == verdict and v.role_now in DECIDERS["sanction_hit"]}
    if len(agreed) >= PEOPLE_NEEDED:
        hit.state, hit.closed_at = _STATES[verdict], now
        await signals.send_risk_changed(
            session, cause=keys.sanction_hit_decided(hit.id, hit.state), trader_ids=[hit.trader_id]
        )
    await audit.record(
        session,
        action=f"screening.hit_{verdict}",
        subject_kind="sanction_hit",
        subject_id=hit.id,
        occurred_at=now,
        actor=actor.user_id,
        role=actor.role,
        reason=reason,
        evidence={"agreed": len(agreed), "state": hit.state},
    )
    return hit


def _last_votes(votes: Sequence[Vote]) -> list[Vote]:
    """Returns the last vote of each person."""
    return list({vote.person_id: vote for vote in votes}.values())
