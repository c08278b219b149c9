"""The timeline of an account: events from every table, newest first."""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple

from sqlalchemy import Select, String, Subquery, bindparam, cast, func, literal, null, select, union_all
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from domain.money import Money
from domain.reviews import KINDS as REVIEW_KINDS
from domain.steps import sentence
from store import reasons
from store.models import (
    AccountFreeze,
    AccountMove,
    AccountMoveRow,
    AccountNote,
    AccountPlace,
    AuditEntry,
    BalanceOperationRow,
    Breach,
    Case,
    CaseAccount,
    CaseAction,
    DealRow,
    Decision,
    DeductedTrade,
    Dispute,
    Offence,
    Payout,
    PhasePass,
    PlatformChange,
    Review,
    ScalingRow,
    Ticket,
    Transition,
    User,
    WarningRow,
)
from store.read import warnings
from store.read.accounts import visible_account
from store.read.pages import (
    Page,
    View,
    Way,
    Window,
    bound_of,
    bound_values,
    cut_once,
    paged,
    size_of,
    way_of,
    with_keys,
)
from store.scope import Scope

Kind = Literal["rules", "money", "people", "venue"]
KINDS: Final[tuple[Kind, ...]] = ("rules", "money", "people", "venue")


class TimelineEntry(View):
    """`what` is the kind of event, `ref` the id of the object to open (a deal, a breach, a payout …)."""

    at: datetime
    kind: str
    what: str
    ref: str
    words: str
    amount_minor: int | None
    currency: str
    proof_id: str | None


class _Of(NamedTuple):
    """The account whose timeline is read, as parameters of the statement."""

    id: Any
    challenge_id: Any


def _source(kind: Kind, what: str, *, at: Any, serial: Any, ref: Any, **data: Any) -> Select[Any]:
    pairs = [part for name, column in data.items() for part in (literal(name), column)]
    body = func.jsonb_build_object(*pairs, type_=JSONB) if pairs else cast(null(), JSONB)
    return select(
        at.label("at"),
        literal(kind).label("kind"),
        literal(what).label("what"),
        cast(serial, String).label("serial"),
        cast(ref, String).label("ref"),
        body.label("data"),
    )


def _facts(account: _Of) -> list[Select[Any]]:
    return [
        _source(
            "venue", "deal", at=DealRow.at, serial=DealRow.id, ref=DealRow.deal_id, symbol=DealRow.symbol,
            side=DealRow.side, entry=DealRow.entry, lots=cast(DealRow.lots, String),
            price=cast(DealRow.price, String), amount=DealRow.profit_minor, reason=DealRow.reason,
        ).where(DealRow.account_id == account.id),
        _source(
            "money", "balance", at=BalanceOperationRow.at, serial=BalanceOperationRow.id, ref=BalanceOperationRow.key,
            operation=BalanceOperationRow.operation, amount=BalanceOperationRow.amount_minor,
        ).where(BalanceOperationRow.account_id == account.id),
        _source(
            "rules", "offence", at=Offence.occurred_at, serial=Offence.id, ref=Offence.id, rule=Offence.rule_id,
            sentence=Offence.sentence, consequence=Offence.consequence, proof=Offence.proof_id,
        ).where(Offence.account_id == account.id),
        _source(
            "rules", "deduction", at=CaseAction.closed_at, serial=DeductedTrade.position_id,
            ref=DeductedTrade.position_id, symbol=DeductedTrade.symbol, amount=DeductedTrade.profit_minor,
            rule=CaseAction.rule, trade=DeductedTrade.position_id,
        )
        .select_from(DeductedTrade)
        .join(CaseAction, CaseAction.id == DeductedTrade.action_id)
        .where(DeductedTrade.account_id == account.id, DeductedTrade.counts),
        _source(
            "rules", "breach", at=Breach.occurred_at, serial=Breach.id, ref=Breach.id, rule=Breach.rule_id,
            floor=Breach.floor_minor, equity=Breach.equity_minor, proof=Breach.proof_id,
        ).where(Breach.account_id == account.id),
        _source(
            "rules", "pass", at=PhasePass.occurred_at, serial=PhasePass.id, ref=PhasePass.id,
            phase=PhasePass.phase_index, balance=PhasePass.balance_minor, proof=PhasePass.proof_id,
        ).where(PhasePass.account_id == account.id),
        _source(
            "venue", "place", at=AccountPlace.since, serial=AccountPlace.number, ref=PlatformChange.id,
            platform=AccountPlace.platform, login=AccountPlace.login, proof=PlatformChange.proof_id,
        )
        .join(PlatformChange, PlatformChange.id == AccountPlace.change_id)
        .where(AccountPlace.account_id == account.id),
        _source(
            "rules", "growth", at=ScalingRow.occurred_at, serial=ScalingRow.number, ref=ScalingRow.challenge_id,
            before=ScalingRow.from_minor, size=ScalingRow.to_minor,
        ).where(ScalingRow.challenge_id == account.challenge_id),
        _source(
            "rules", "warning", at=WarningRow.at, serial=WarningRow.id, ref=WarningRow.id, warning=WarningRow.kind,
            rule=WarningRow.rule_id, figures=WarningRow.figures,
        ).where(WarningRow.account_id == account.id),
    ]  # fmt: skip


def _doings(account: _Of, *, staff: bool) -> list[Select[Any]]:
    """What people did about the account itself. Reasons, notes and proposals are for staff."""
    of_challenge = AccountFreeze.challenge_id == account.challenge_id
    began = {"reason": AccountFreeze.reason} if staff else {}
    ended = {"reason": AccountFreeze.thaw_reason} if staff else {}
    moved = select(AccountMoveRow).where(AccountMoveRow.account_id == account.id).subquery()
    found = [
        _source(
            "people", "frozen", at=AccountFreeze.began_at, serial=AccountFreeze.id, ref=AccountFreeze.account_id,
            **began,
        ).where(of_challenge),
        _source(
            "people", "thawed", at=AccountFreeze.ended_at, serial=AccountFreeze.id, ref=AccountFreeze.account_id,
            **ended,
        ).where(of_challenge, AccountFreeze.ended_at.is_not(None)),
        _source(
            "rules", "moved", at=moved.c.applied_at, serial=AccountMove.id, ref=AccountMove.id,
            version=AccountMove.to_version,
        )
        .select_from(AccountMove)
        .join(moved, moved.c.move_id == AccountMove.id)
        .where(moved.c.state == "moved", moved.c.applied_at.is_not(None)),
        _source(
            "venue", "credentials", at=AuditEntry.occurred_at, serial=AuditEntry.seq, ref=AuditEntry.subject_id,
        ).where(
            AuditEntry.subject_kind == "account", AuditEntry.subject_id == account.id,
            AuditEntry.action == "credentials.reset",
        ),
    ]  # fmt: skip
    if not staff:
        return found
    return [
        *found,
        _source(
            "people", "note", at=AccountNote.occurred_at, serial=AccountNote.id, ref=AccountNote.id,
            reason=AccountNote.body, author=AccountNote.author_id,
        ).where(AccountNote.account_id == account.id),
        _source(
            "people", "move_proposed", at=AccountMove.proposed_at, serial=AccountMove.id, ref=AccountMove.id,
            version=AccountMove.to_version,
        )
        .select_from(AccountMove)
        .join(moved, moved.c.move_id == AccountMove.id),
    ]  # fmt: skip


def _transitions(kind: Kind, subject: str, ids: Any) -> Select[Any]:
    return _source(
        kind, subject, at=Transition.occurred_at, serial=Transition.id, ref=Transition.subject_id,
        trigger=Transition.trigger, state=Transition.to_state,
    ).where(Transition.subject_kind == subject, Transition.subject_id.in_(ids))  # fmt: skip


def _people(account: _Of, *, staff: bool) -> list[Select[Any]]:
    payouts = select(Payout.id).where(Payout.account_id == account.id)
    disputes = select(Dispute.id).where(Dispute.account_id == account.id)
    tickets = select(Ticket.id).where(Ticket.account_id == account.id)
    found = [
        _transitions("rules", "challenge", [account.challenge_id]),
        _transitions("money", "payout", payouts),
        _transitions("people", "dispute", disputes),
        _transitions("people", "ticket", tickets),
        _source("people", "ticket_opened", at=Ticket.opened_at, serial=Ticket.id, ref=Ticket.id).where(
            Ticket.account_id == account.id
        ),
    ]
    if not staff:
        return found
    cases = select(CaseAccount.case_id).where(CaseAccount.account_id == account.id)
    decided = Decision.subject_id.in_(payouts) | Decision.subject_id.in_(disputes) | Decision.subject_id.in_(cases)
    return [
        *found,
        _source("people", "case_opened", at=Case.opened_at, serial=Case.id, ref=Case.id).where(Case.id.in_(cases)),
        _source(
            "people", "decision", at=Decision.occurred_at, serial=Decision.id, ref=Decision.subject_id,
            subject=Decision.subject_kind, decision=Decision.decision, role=Decision.role, reason=Decision.reason,
        ).where(decided),
        _source(
            "rules", "review", at=Review.occurred_at, serial=Review.id, ref=Review.id, review=Review.kind,
            status=Review.status,
        ).where(Review.account_id == account.id),
    ]  # fmt: skip


class _Entry(NamedTuple):
    """The data of one entry. Amounts are in the account's currency."""

    data: Mapping[str, Any]
    currency: str

    def money(self, name: str) -> Money:
        return Money(minor=int(self.data[name]), currency=self.currency)

    def text(self, name: str) -> str:
        return str(self.data[name]).replace("_", " ")

    def title(self, name: str) -> str:
        return self.text(name).capitalize()


def _deal(entry: _Entry) -> str:
    lots, price = (entry.data[name].rstrip("0").rstrip(".") for name in ("lots", "price"))
    traded = f"{entry.title('side')} {lots} {entry.data['symbol']} at {price} to"
    return f"{traded} close, {entry.money('amount')}" if entry.data["entry"] == "out" else f"{traded} open"


_OPERATIONS: Final[Mapping[str, str]] = {
    "deposit": "The account was funded",
    "payout_hold": "Taken off the balance for a payout",
    "payout_release": "Back on the balance from a payout",
    "payout_settled": "The amount held for a payout was paid out",
    "adjustment": "The firm adjusted the balance",
}


def _balance(entry: _Entry) -> str:
    operation = entry.data["operation"]
    told = _OPERATIONS.get(operation) or entry.title("operation")
    return f"{told}, {entry.money('amount')}" if entry.data["amount"] else told


def _deduction(entry: _Entry) -> str:
    trade = f"{entry.data['trade']} ({entry.data['symbol']})"
    return f"{entry.money('amount')} of profit of trade {trade} does not count for payouts: {entry.data['rule']}"


def _breach(entry: _Entry) -> str:
    limit = f", floor {entry.money('floor')}" if entry.data.get("floor") is not None else ""
    return f"{entry.title('rule')} breached: equity {entry.money('equity')}{limit}"


def _because(done: str, entry: _Entry) -> str:
    """With the reason, where the reader may know it."""
    return f"{done} {entry.data['reason']}" if entry.data.get("reason") else done


def _decision(entry: _Entry) -> str:
    """The reason of a dispute is sealed; it is read on the page of the dispute."""
    made = f"{entry.title('subject')}: {entry.text('decision')} by {entry.data['role']}"
    return made if entry.data["subject"] == "dispute" else f"{made}: {entry.data['reason']}"


_WORDS: Final[Mapping[str, Callable[[_Entry], str]]] = {
    "deal": _deal,
    "balance": _balance,
    "breach": _breach,
    "deduction": _deduction,
    "offence": lambda entry: f"{entry.data['sentence']} Follows: {entry.text('consequence')}",
    "warning": lambda entry: warnings.words(
        entry.data["warning"], entry.data["rule"], entry.data["figures"], entry.currency
    ),
    "pass": lambda entry: f"Phase {entry.data['phase']} passed with {entry.money('balance')}",
    "place": lambda entry: (
        f"The account goes on at {entry.data['platform']} with login {entry.data['login']}: the same balance, limits "
        "and days."
    ),
    "growth": lambda entry: (
        f"The account grew from {entry.money('before')} to {entry.money('size')}: a new account follows, and every "
        "rule begins anew at the new size."
    ),
    "decision": _decision,
    "review": lambda entry: f"Review ({entry.data['status']}): {REVIEW_KINDS[entry.data['review']].words}",
    "frozen": lambda entry: _because("Frozen: trading stopped, payouts wait.", entry),
    "thawed": lambda entry: _because("Thawed.", entry),
    "note": lambda entry: f"{entry.data['author']}: {entry.data['reason']}",
    "moved": lambda entry: f"The account goes on under version {entry.data['version']} of its product.",
    "move_proposed": lambda entry: f"A move to version {entry.data['version']} was proposed.",
    "credentials": lambda _: "A new password was asked for at the platform.",
    "ticket_opened": lambda _: "Ticket opened",
    "case_opened": lambda _: "Case opened",
}


_SEALED: Final = frozenset({"decision", "frozen", "thawed", "note"})  # their reason, or text, is read in one go


def _sealed(row: Any) -> str:
    """The text of an entry as it is stored; empty for one without."""
    return str((row.data or {}).get("reason") or "") if row.what in _SEALED else ""


def _clear(row: Any, said: Mapping[str, str], names: Mapping[str, str]) -> Mapping[str, Any]:
    """The data with the text of its reason and the name of its author."""
    data: dict[str, Any] = dict(row.data or {})
    if text := _sealed(row):
        data["reason"] = said[text]
    if "author" in data:
        data["author"] = names.get(data["author"], "")
    return data


async def _names(session: AsyncSession, ids: Collection[str]) -> Mapping[str, str]:
    if not ids:
        return {}
    return {user.id: user.name for user in await session.scalars(select(User).where(User.id.in_(ids)))}


def _words(what: str, data: Mapping[str, Any], currency: str) -> str:
    """Returns the entry as a sentence. Any `what` without words of its own is a transition of that subject."""
    entry = _Entry(data, currency)
    if what in _WORDS:
        return _WORDS[what](entry)
    return sentence(str(data["trigger"]))


_KEYS: Final = {"at": datetime, "what": str, "serial": str}


def _keys(happened: Subquery) -> list[Any]:
    return [happened.c[name] for name in _KEYS]


@lru_cache(maxsize=128)
def _statement(kind: str | None, way: Way, limit: int, *, staff: bool) -> Select[Any]:
    """Put together once: to build it anew takes longer than to run it. It holds no value of a request."""
    of = _Of(bindparam("account", type_=String), bindparam("challenge", type_=String))
    sources = (*_facts(of), *_doings(of, staff=staff), *_people(of, staff=staff))
    newest = (_cut(source.subquery(), kind, way, limit) for source in sources)
    happened = union_all(*(select(each.subquery()) for each in newest)).subquery("happened")
    return _cut(happened, None, way, limit, keys=True)


def _cut(rows: Subquery, kind: str | None, way: Way, limit: int, *, keys: bool = False) -> Select[Any]:
    """No more of one source than a page can show: an account can have a hundred thousand deals."""
    of_kind = select(rows) if kind is None else select(rows).where(rows.c.kind == kind)
    order = _keys(rows)
    return cut_once(with_keys(of_kind, order) if keys else of_kind, order, way, limit)


async def page(
    session: AsyncSession, scope: Scope, account_id: str, window: Window, *, kind: str | None = None
) -> Page[TimelineEntry]:
    """Returns a page, newest first. Cases, reviews, decisions and notes are for staff. Raises NotFound."""
    account = await visible_account(session, scope, account_id)
    bound = bound_of(window, tuple(_KEYS.values()))
    values = {"account": account.id, "challenge": account.challenge_id, **bound_values(bound)}
    statement = _statement(kind, way_of(window), size_of(window), staff=scope.staff)
    found = paged((await session.execute(statement, values)).all(), window, len(_KEYS))
    rows = found.rows
    said = await reasons.opened(session, (text for row in rows if (text := _sealed(row))))
    names = await _names(session, {row.data["author"] for row in rows if row.what == "note"})
    items = tuple(
        TimelineEntry(
            at=row.at,
            kind=row.kind,
            what=row.what,
            ref=row.ref,
            words=_words(row.what, _clear(row, said, names), account.currency),
            amount_minor=(row.data or {}).get("amount"),
            currency=account.currency,
            proof_id=(row.data or {}).get("proof"),
        )
        for row in rows
    )
    return Page[TimelineEntry](items=items, next_cursor=found.next_cursor)
