"""How alerts become cases: one open case for each owner, or group of owners, and family of patterns.

A further alert joins the open case as new evidence. How it is treated depends on its severity and on the weakest link
by which it names an account: a note is recorded and opens nothing, a review opens a case, a hold also stops payouts of
the challenges of exactly the accounts that the alert names.
"""

from collections.abc import Collection, Iterable, Sequence

from sqlalchemy import Select, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.ids import case_workflow
from contracts.messages import CaseStart
from domain import keys
from domain.surveillance.casework import CASE, family_of, joins, routed, subject_key
from domain.surveillance.findings import DisputeBreach, Finding, Severity
from domain.surveillance.policy import Holds
from domain.surveillance.repeats import Repeat
from domain.surveillance.samples import chosen
from firm import case_actions, case_holds, messages, surveillance_policies
from firm.cases import traders
from firm.payouts import signals
from store import audit, case_evidence, rows, surveillance
from store.models import Account, Case, CaseAccount


async def open_case(session: AsyncSession, finding: Finding) -> str | None:
    """Records the alert of a finding in the caller's transaction and has people look at it: opens a case with its
    workflow and its hold on payouts, or adds the alert to the open case. Returns the case's id; None when the finding
    says no more than the record does already, or is only a note. Several findings: in the order of `in_order`."""
    policy = await surveillance_policies.in_force(session)
    severity = _severity(finding, policy.holds)
    await _lock_family(session, finding)
    said = await surveillance.record_alert(session, finding, severity)
    if said is None or severity == "note":
        return None
    return await _into_case(session, said, severity, is_sample=False)


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Returns the findings in the order in which one transaction opens their cases, so that two that lock the same
    families do not wait for each other."""
    return sorted(findings, key=lambda each: (family_of(each.detector), each.key))


async def _lock_family(session: AsyncSession, finding: Finding) -> None:
    """Until the transaction ends, nobody else records alerts of this family or opens cases of it."""
    name = f"alerts of {family_of(finding.detector)}"
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))


async def open_sample(session: AsyncSession, finding: Finding) -> str | None:
    """Has people look at a finding below its threshold, if the policy's share of such findings chooses it. It never
    holds a payout, and its score is hidden until it is decided. Returns the case's id; None when it was not chosen,
    says no more than the record does, or people look at these owners already."""
    policy = await surveillance_policies.in_force(session)
    if not chosen(policy.samples.below_line, "below_line", finding.key):
        return None
    await _lock_family(session, finding)
    owners = await _owners(session, finding)
    if await _open_one(session, finding, family_of(finding.detector), owners) is not None:
        return None
    said = await surveillance.record_alert(session, finding, "review")
    return None if said is None else await _into_case(session, said, "review", is_sample=True)


async def _into_case(session: AsyncSession, said: Repeat, severity: Severity, *, is_sample: bool) -> str:
    finding, family = said.finding, family_of(said.finding.detector)
    alert_id = keys.alert_id(finding.key)
    owners = await _owners(session, finding)
    case = await _open_one(session, finding, family, owners)
    event = "alert_joined" if case else "opened"
    if case is None:
        case = await _new(session, finding, alert_id, family, owners)
        case.is_sample, case.is_blind = is_sample, case.is_blind or is_sample
    elif case.is_sample and not is_sample:
        case.is_sample = False
    holds = severity == "hold"
    await case_actions.replace_outdated(session, case, finding.blamed, alert_id=alert_id)
    await case_evidence.freeze(session, case, alert_id)
    await _name(session, case, finding, holding=said.holds if holds else frozenset())
    if holds and not isinstance(finding.if_confirmed, DisputeBreach) and _holds_nothing(case):
        await case_holds.begin(session, case)
    cause = keys.case_event(case.id, "opened" if event == "opened" else alert_id)
    await signals.send_risk_changed(session, cause=cause, trader_ids=await traders(session, case.id))
    await audit.record(
        session,
        action=f"case.{event}",
        subject_kind="case",
        subject_id=case.id,
        occurred_at=finding.at,
        evidence={
            "alert_id": alert_id,
            "detector": finding.detector,
            "score": str(finding.score),
            "severity": severity,
            "link_strength": str(finding.link_strength),
        },
    )
    return case.id


def _severity(finding: Finding, holds: Holds) -> Severity:
    """A verdict that may be wrong always holds: the money itself is in doubt."""
    if isinstance(finding.if_confirmed, DisputeBreach):
        return "hold"
    strong, weak = holds.strong_link, holds.weak_link
    return routed(finding.severity, finding.link_strength, hold_from=strong, review_from=weak)


def _holds_nothing(case: Case) -> bool:
    return case.hold_until is None or case.hold_ended_at is not None


async def _new(session: AsyncSession, finding: Finding, alert_id: str, family: str, owners: Sequence[str]) -> Case:
    policy = await surveillance_policies.in_force(session)
    case = Case(
        id=keys.case_id(finding.key),
        alert_id=alert_id,
        family=family,
        subject_key=_about(finding, owners),
        state=CASE.initial,
        is_blind=chosen(policy.samples.blind, "blind", finding.key),
        opened_at=finding.at,
    )
    session.add(case)
    await session.flush()
    await messages.start(session, case_workflow(case.id), CaseStart(case_id=case.id))
    return case


async def _open_one(session: AsyncSession, finding: Finding, family: str, owners: Sequence[str]) -> Case | None:
    """Returns the open case that the finding belongs to, locked: the one about the same verdict, or of this family and
    about these owners; the oldest of several."""
    open_ones = select(Case.id).where(Case.family == family, Case.state == CASE.initial)
    if isinstance(finding.if_confirmed, DisputeBreach):
        ids = list(await session.scalars(open_ones.where(Case.subject_key == _about(finding, owners))))
    else:
        ids = await _about_these(session, open_ones, owners)
    for case_id in ids:
        case = await rows.locked(session, Case, case_id)
        if case.state == CASE.initial:  # nobody decided it while we waited
            return case
    return None


async def _about_these(session: AsyncSession, open_ones: Select[tuple[str]], owners: Sequence[str]) -> list[str]:
    touched = select(CaseAccount.case_id).join(Account, Account.id == CaseAccount.account_id)
    found = await session.execute(
        select(Case.id, Account.trader_id, CaseAccount.blamed)
        .join(CaseAccount, CaseAccount.case_id == Case.id)
        .join(Account, Account.id == CaseAccount.account_id)
        .where(Case.id.in_(open_ones), Case.id.in_(touched.where(Account.trader_id.in_(owners))))
        .order_by(Case.opened_at, Case.id)
    )
    named, blamed = dict[str, set[str]](), dict[str, set[str]]()
    for case_id, trader_id, is_blamed in found:
        named.setdefault(case_id, set()).add(trader_id)
        if is_blamed:
            blamed.setdefault(case_id, set()).add(trader_id)
    return [case_id for case_id, theirs in named.items() if joins(owners, blamed.get(case_id) or theirs)]


def _about(finding: Finding, owners: Sequence[str]) -> str:
    verdict = finding.if_confirmed
    return subject_key([verdict.proof_id] if isinstance(verdict, DisputeBreach) else owners or [finding.key])


async def _owners(session: AsyncSession, finding: Finding) -> Sequence[str]:
    """Returns the traders whom the finding blames; all that it names when it blames nobody."""
    named = finding.blamed or tuple(involved.account_id for involved in finding.accounts)
    found = await session.scalars(select(Account.trader_id).where(Account.id.in_(named)).distinct())
    return sorted(found)


async def _name(session: AsyncSession, case: Case, finding: Finding, *, holding: Collection[str]) -> None:
    """Adds the accounts of the finding to the case. One that is named already keeps its strongest link and its hold."""
    for account_id in dict.fromkeys(involved.account_id for involved in finding.accounts):
        row = insert(CaseAccount).values(
            case_id=case.id,
            account_id=account_id,
            blamed=account_id in finding.blamed,
            holds=account_id in holding,
            link_strength=finding.link_strength,
        )
        await session.execute(
            row.on_conflict_do_update(
                index_elements=["case_id", "account_id"],
                set_={
                    "blamed": CaseAccount.blamed | row.excluded.blamed,
                    "holds": CaseAccount.holds | row.excluded.holds,
                    "link_strength": func.greatest(CaseAccount.link_strength, row.excluded.link_strength),
                },
            )
        )
