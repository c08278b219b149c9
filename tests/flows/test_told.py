"""People are told of a whole life of a challenge, each thing once, whatever becomes of the relay on the way."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from email.message import EmailMessage
from typing import Any, cast

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from adapters.mail.smtp import SmtpSender, SmtpSettings
from domain import business_events
from domain.approvals import Actor
from domain.notifications.kinds import BY_NAME, KINDS
from firm import people, tickets
from firm.notifications import telling
from ports.mail import MailDesk
from relay.notifications import Notifier
from relay.outbox import OutboxDispatcher
from store.models import BusinessEvent, Notification, OutgoingMailRow, WarningRow
from tests.adapters import platforms
from tests.challenge_world import Firm, a_firm, after
from tests.mail_server import MailServer, mail_server

SITE = "https://desk.some-firm-with-a-long-name.example"
FIGURES = {
    "floor_minor": 9_500_000,
    "allowance_minor": 500_000,
    "room_minor": 90_000,
    "used_pct": "82.0",
    "operator": "<",
    "direction": "floor",
    "equity_minor": 9_590_000,
    "reset_at": "2014-05-02T21:00:00+00:00",
}


class Killed(BaseException):
    """The relay dies here."""


@pytest.fixture
async def firm(database_url: str, temporal_address: str) -> AsyncIterator[Firm]:
    async with a_firm(database_url, temporal_address) as found:
        yield found


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    async with mail_server() as ours:
        yield ours


def notifier(firm: Firm) -> Notifier:
    return Notifier(firm.db, SITE)


async def warn(firm: Firm, challenge_id: str, *rules: str, kind: str = "limit_used", period: str = "day") -> None:
    """What the monitor commits when limits of an account are near, all of one moment."""
    account, at = await firm.account(challenge_id), await firm.now()
    async with firm.db.transaction() as session:
        for rule in rules:
            session.add(
                WarningRow(account_id=account.id, kind=kind, rule_id=rule, period=period, at=at, figures=FIGURES)
            )


async def told(firm: Firm, who: str) -> Counter[str]:
    async with firm.db.transaction() as session:
        rows = await session.scalars(select(Notification.kind).where(Notification.trader_id == f"trd_{who}"))
        return Counter(rows)


async def mails_of(firm: Firm, server: MailServer, who: str) -> list[EmailMessage]:
    """The mails that reached somebody, once every mail that waits is sent."""
    post = SmtpSender("out", SmtpSettings(host="127.0.0.1", port=server.port, security="none", timeout=10))
    desk = MailDesk(post, "Support <help@firm.example>", "help@firm.example", SITE)
    unused, venue = cast("Any", None), cast("Any", firm.venue)
    sender = OutboxDispatcher(firm.db, unused, platforms(venue), desk)
    while await sender.step_bulk():
        pass
    return [mail for _, to, mail in server.got if to == [f"{who}@example.com"]]


async def lived(firm: Firm) -> tuple[Actor, Actor]:
    """Ada buys, is warned, passes, is funded and paid, and asks support; Bob breaches and disputes it."""
    ada, bob = await firm.add_trader("ada"), await firm.add_trader("bob")
    rosa, sam = await firm.add_user("rosa", "risk"), await firm.add_user("sam", "support")
    challenge_id = await firm.bought(ada)
    await warn(firm, challenge_id, "daily_loss", "max_loss")
    await firm.passes(challenge_id)
    await firm.becomes(challenge_id, "active", phase_index=2)
    await firm.passes(challenge_id)
    await firm.becomes(challenge_id, "identity_check")
    async with firm.db.transaction() as session:
        await people.decide_identity(
            session, trader_id=str(ada.trader_id), verified=True, actor=rosa, reason="Documents match.", key="k1"
        )
    await firm.becomes(challenge_id, "funded", phase_index=3)

    lost = await firm.bought(bob)
    breach_id = await firm.breach(lost)
    await firm.becomes(lost, "breached")
    dispute_id = await firm.dispute(breach_id, bob)
    await firm.decide(dispute_id, "uphold", rosa)
    await firm.dispute_becomes(dispute_id, "upheld")

    instant = await firm.bought(ada, "instant")
    await firm.earns(instant, 400_000)
    await firm.market_time(after(days=8))
    await firm.arrives(await firm.ask_payout(instant, ada, 50_000))
    async with firm.db.transaction() as session:
        ticket = await tickets.open_ticket(session, actor=ada, subject="When?", body="When is it sent?")
        await tickets.reply(session, ticket_id=ticket.id, actor=sam, body="It is there.")
    await firm.becomes(lost, "failed")  # the time to appeal is over
    return ada, bob


ADA = {
    "order.paid": 2,
    "account.opened": 4,
    "account.warning": 2,
    "phase.passed": 2,
    "challenge.funded": 2,
    "identity.decided": 1,
    "payout.requested": 1,
    "payout.approved": 1,
    "payout.sent": 1,
    "payout.arrived": 1,
    "ticket.answered": 1,
}
BOB = {"order.paid": 1, "account.opened": 1, "account.breached": 1, "dispute.decided": 1, "challenge.failed": 1}


async def test_a_whole_life_is_told_once_although_the_relay_is_killed(
    firm: Firm, server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await lived(firm)
    written = telling.write

    async def dies(session: AsyncSession, drafts: Any, *, site: str) -> int:
        await written(session, drafts, site=site)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(telling, "write", dies)
        with pytest.raises(Killed):
            await notifier(firm).step()
    assert await told(firm, "ada") == Counter(), "what a killed relay wrote is not there"

    several = [notifier(firm) for _ in range(3)]
    while any(await asyncio.gather(*(each.step() for each in several))):
        pass
    assert (await told(firm, "ada"), await told(firm, "bob")) == (ADA, BOB)
    assert await notifier(firm).step() == 0

    got = await mails_of(firm, server, "ada")
    subjects = Counter(str(mail["Subject"]) for mail in got)
    # two warnings of one moment are one mail, and the answer on a ticket is a mail of its own
    assert len(got) == sum(ADA.values()) - 1 - 1
    assert subjects["2 limits of your accounts are near"] == 1
    [many] = [mail for mail in got if mail["Subject"] == "2 limits of your accounts are near"]
    assert "82.0 % of daily loss is used" in many.get_content() and "max loss" in many.get_content()
    unsubscribe = str(many["List-Unsubscribe"])
    assert unsubscribe.startswith(f"<{SITE}/unsubscribe/trd_ada.account.warning.")
    assert unsubscribe.strip("<>") in many.get_content()
    assert many["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    [sent] = [mail for mail in got if "was sent" in str(mail["Subject"])]
    assert sent["List-Unsubscribe"] is None and "always sent" in sent.get_content()
    [breached] = [mail for mail in await mails_of(firm, server, "bob") if "broke" in str(mail["Subject"])]
    assert f"{SITE}/proofs/prf_" in breached.get_content()
    assert "Equity was 89,900.00 USD" in breached.get_content()
    assert len(await mails_of(firm, server, "ada")) == len(got), "each mail left once"


async def test_a_flood_of_warnings_is_one_mail_a_day_for_each_rule(firm: Firm, server: MailServer) -> None:
    ada = await firm.add_trader("ada")
    challenge_id = await firm.bought(ada)
    await warn(firm, challenge_id, "daily_loss")
    await notifier(firm).step()
    await warn(firm, challenge_id, "daily_loss", kind="reset_would_breach", period="a")
    await warn(firm, challenge_id, "daily_loss", period="b")  # of the same day, for whatever reason
    while await notifier(firm).step():
        pass
    assert (await told(firm, "ada"))["account.warning"] == 2, "one for each sort"
    got = [mail for mail in await mails_of(firm, server, "ada") if "is near" in str(mail["Subject"])]
    assert len(got) == 1
    assert got[0].get_body(("html",)) is not None and "<strong>82.0 %" in str(got[0].get_body(("html",)))


async def test_what_happened_before_the_upgrade_is_told_to_nobody(firm: Firm) -> None:
    """A column that was added says of earlier rows that they are told; a new event is not."""
    await firm.add_trader("ada")
    async with firm.db.transaction() as session:
        assert await session.scalar(select(func.count()).where(~BusinessEvent.told)) == 1
    while await notifier(firm).step():
        pass
    async with firm.db.transaction() as session:
        assert await session.scalar(select(func.count()).where(~BusinessEvent.told)) == 0
        assert await session.scalar(select(func.count()).select_from(Notification)) == 0
        assert await session.scalar(select(func.count()).select_from(OutgoingMailRow)) == 0


def test_every_event_of_a_kind_exists_and_every_kind_comes_from_somewhere() -> None:
    events = {event for kind in KINDS for event in kind.events}
    assert events <= set(business_events.BY_NAME)
    of_work = {"work.deadline", "work.returned", "work.lapsed"}
    assert {kind.name for kind in KINDS if not kind.events} == {"account.warnings", *of_work}
    assert len(events) == sum(len(kind.events) for kind in KINDS), "one event is one kind"
    fixed = {name for name, kind in BY_NAME.items() if kind.fixed}
    assert {"account.breached", "payout.sent", "payout.ended", "order.paid"} <= fixed
