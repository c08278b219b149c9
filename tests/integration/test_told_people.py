"""What people read, choose and switch off: the pages, the API, and the link in a mail that works without a sign-in."""

import re
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import Actor
from domain.errors import BadInput, NotFound
from domain.file_errors import PolicyInvalid
from domain.notifications.kinds import DEADLINE, KINDS, named
from firm.notifications import choices, preview, reading, telling, texts
from firm.notifications.again import Again
from firm.notifications.facts import Draft
from firm.notifications.reminders import Pace
from front import reminding
from front.subjects.payout import PAYOUT
from front.subjects.subject import Subjects
from relay.notifications import Notifier
from store import keeping
from store.clock import market_now
from store.keeping import Policy
from store.models import (
    Account,
    AuditEntry,
    BusinessEvent,
    Notification,
    NotificationChoice,
    OutgoingMailRow,
    Payout,
    Review,
    Trader,
    User,
    WorkMark,
    WorkReminder,
)
from store.read import notifications as read
from store.read.pages import Window
from tests.console_world import ConsoleWorld, console_world

SITE = "http://firm.test"
PAYOUTS = reminding.works(Subjects((PAYOUT,)))


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ConsoleWorld]:
    async with console_world(database_url) as made:
        yield made


async def remind(world: ConsoleWorld, pause: timedelta = timedelta(0)) -> int:
    pace = Pace(timedelta(hours=1), pause)
    return await reminding.remind(world.db, site=SITE, pace=pace, subjects=Subjects((PAYOUT,)))


async def tell(world: ConsoleWorld) -> None:
    notifier = Notifier(world.db, SITE)
    while await notifier.step():
        pass


async def opened(world: ConsoleWorld, number: str) -> tuple[str, str]:
    """An account becomes ready to trade: (trader, login of the trader)."""
    async with world.db.transaction() as session:
        account = (await session.scalars(select(Account).where(Account.number == int(number.removeprefix("A-"))))).one()
        account.status = "opening"
        await session.flush()
        account.status = "active"
        login = (await session.scalars(select(User.login).where(User.trader_id == account.trader_id))).one()
    return account.trader_id, login


async def count(world: ConsoleWorld, what: Any, *where: Any) -> int:
    async with world.db.transaction() as session:
        return int(await session.scalar(select(func.count()).select_from(what).where(*where)) or 0)


async def test_a_trader_reads_what_happened_and_the_bell_says_how_much(world: ConsoleWorld) -> None:
    await tell(world)  # what the firm of these tests is made of
    trader_id, login = await opened(world, world.firm.active)
    async with world.db.transaction() as session:
        earlier = await read.unread(session, trader_id, at_most=100)
    await tell(world)
    async with world.browser(login) as browser:
        page = (await browser.get("/")).text
        assert f"Notifications, {earlier + 1} unread" in page
        shown = (await browser.get("/notifications")).text
        assert f"Account {world.firm.active} is ready" in shown and "also sent by e-mail" in shown
        [newest] = re.findall(r"/notifications/(ntf_\w+)/open", shown)[:1]
        gone = await browser.post(f"/notifications/{newest}/open")
        assert (gone.status_code, gone.headers["location"]) == (303, f"/accounts/{world.firm.active}")
        assert (await browser.get(gone.headers["location"])).status_code == 200
        assert newest not in (await browser.get("/notifications?show=unread")).text
        await browser.post("/notifications/read", newest=newest)
        assert "unread</span>" not in (await browser.get("/")).text
    async with world.browser("finn@firm.example") as other:
        assert (await other.post(f"/notifications/{newest}/open")).status_code == 404
        assert (await other.get("/notifications")).status_code == 200


async def test_a_mail_is_stopped_by_one_click_without_a_sign_in_and_started_again(world: ConsoleWorld) -> None:
    trader_id, login = await opened(world, world.firm.active)
    await tell(world)
    kind = named("account.opened")
    async with world.db.transaction() as session:
        of_kind = OutgoingMailRow.key.startswith("notification/account.opened/")
        mail = (await session.scalars(select(OutgoingMailRow).where(of_kind))).one()
        token = str(choices.token(kind, trader_id))
    assert mail.unsubscribe == token
    async with world.browser(None) as nobody:
        asked = await nobody.get(f"/unsubscribe/{token}")
        assert asked.status_code == 200 and "Nothing changes before you press" in asked.text
        assert await count(world, NotificationChoice) == 0, "a scanner that opens every link switches off nothing"
        one_click = {"content-type": "application/x-www-form-urlencoded"}
        for _ in range(2):
            said = await nobody.http.post(
                f"/unsubscribe/{token}", content="List-Unsubscribe=One-Click", headers=one_click
            )
            assert said.status_code == 200 and kind.tells in said.text
            assert "Send them to me again" in said.text and "You are unsubscribed" in said.text
        assert (await nobody.get(f"/unsubscribe/{token[:-1]}0x")).status_code == 404
        assert (await nobody.http.post(f"/unsubscribe/x{token}", data={})).status_code == 404

        before = await count(world, OutgoingMailRow)
        await opened(world, world.firm.active)
        await tell(world)
        assert await count(world, OutgoingMailRow) == before, "no mail"
        opened_kind = (Notification.trader_id == trader_id, Notification.kind == kind.name)
        assert await count(world, Notification, *opened_kind) == 2, "and it is in the list all the same"

        again = await nobody.http.post(f"/unsubscribe/{token}", data={"switch": "on"})
        assert "You are subscribed again" in again.text
    await opened(world, world.firm.active)
    await tell(world)
    assert await count(world, OutgoingMailRow) == before + 1
    chosen = select(AuditEntry.actor, AuditEntry.role).where(AuditEntry.action == "notifications.chosen")
    async with world.db.transaction() as session:
        assert [tuple(row) for row in await session.execute(chosen)] == [(trader_id, "link")] * 2
    assert login


async def test_what_law_or_money_demands_has_no_link_and_cannot_be_switched_off(world: ConsoleWorld) -> None:
    await tell(world)
    async with world.db.transaction() as session:
        rows = (await session.execute(select(OutgoingMailRow.subject, OutgoingMailRow.unsubscribe))).all()
        trader_id = (await session.scalars(select(Trader.id).limit(1))).one()
    broke = [link for subject, link in rows if "broke" in subject]
    assert broke and not any(broke)
    fixed = [kind for kind in KINDS if kind.fixed]
    assert all(choices.token(kind, trader_id) is None for kind in fixed)
    forged = f"{trader_id}.account.breached.{choices._proof(trader_id, 'account.breached')}"
    actor = Actor(user_id="usr_x", person_id="x", role="trader", trader_id=trader_id)
    async with world.db.transaction() as session:
        with pytest.raises(BadInput, match="cannot be switched off"):
            await choices.switch_mail(session, forged, on=False)
        with pytest.raises(BadInput, match="cannot be switched off"):
            await choices.choose(session, actor=actor, off={"payout.sent": ["mail"]})
        with pytest.raises(BadInput, match="do not choose"):
            await choices.choose(session, actor=actor, off={DEADLINE: ["mail"]})
        with pytest.raises(NotFound):
            await reading.mark_one(session, trader_id, "ntf_x")


async def test_choices_are_made_on_the_page_and_count_for_what_comes(world: ConsoleWorld) -> None:
    trader_id, login = await opened(world, world.firm.active)
    async with world.browser(login) as browser:
        page = (await browser.get("/notifications/choices")).text
        assert "It is about your money, so it is always sent." in page
        boxes = re.findall(r'name="on" value="([^"]+)" checked', page)
        assert {"account.opened/mail", "account.opened/app", "account.warning/mail"} <= set(boxes)
        assert "payout.sent/mail" not in page
        kept = [box for box in boxes if not box.startswith("account.opened")]
        sent = {"csrf": await browser.csrf(), "key": "0123456789abcdef", "on": kept}
        assert (await browser.http.post("/notifications/choices", data=sent)).status_code == 303
    await tell(world)
    assert (
        await count(world, Notification, Notification.kind == "account.opened", Notification.trader_id == trader_id)
        == 0
    )
    async with world.browser("ana@firm.example") as staff:
        assert "Work of yours or of your role" in (await staff.get("/notifications/choices")).text


async def test_every_kind_is_previewed_with_what_is_on_record(world: ConsoleWorld) -> None:
    await opened(world, world.firm.active)
    async with world.browser("sam@firm.example") as browser:
        listed = (await browser.get("/notifications/previews")).text
        for kind in KINDS:
            assert f"/notifications/previews/{kind.name}" in listed
            page = await browser.get(f"/notifications/previews/{kind.name}")
            assert page.status_code == 200 and "{{" not in page.text.split("Variables")[0]
        real = (await browser.get("/notifications/previews/account.opened")).text
        assert "Filled in from the newest record" in real and world.firm.active in real
        assert (await browser.get("/notifications/previews/account.shut")).status_code == 422
    async with world.browser("rosa@firm.example") as other:
        assert (await other.get("/notifications/previews")).status_code == 403
    async with world.db.transaction() as session:
        shown = await preview.preview(session, named(DEADLINE), site=SITE, works=PAYOUTS, viewer="Ana")
        assert shown.real and "Payout" in shown.text
        sent = await preview.send(session, shown, to="words@firm.example")
        assert (await session.get_one(OutgoingMailRow, sent)).subject.startswith("[Preview] ")


async def test_staff_are_told_of_deadlines_once_for_each_step_in_one_mail(world: ConsoleWorld) -> None:
    """Finance decides payouts. Whoever has claimed one is told alone, and admins only of what nobody else decides."""
    async with world.db.transaction() as session:
        now = await market_now(session)
        await session.execute(update(Payout).values(decide_by=now + timedelta(minutes=30)))
        users = {login: user_id for user_id, login in await session.execute(select(User.id, User.login))}
        finn, ana = users["finn@firm.example"], users["ana@firm.example"]
        waits = list(
            await session.scalars(select(Payout.id).where(Payout.state.in_(("in_review", "awaiting_approval"))))
        )
        assert len(waits) >= 2
        session.add(
            WorkMark(
                kind="payout",
                subject_id=waits[0],
                holder_id=ana,
                held_until=await session.scalar(text("SELECT service_now() + interval '1 hour'")),
            )
        )
    assert await remind(world) == 2
    assert await remind(world) == 0, "each step once"

    async def told_of(user_id: str) -> list[tuple[str, str]]:
        async with world.db.transaction() as session:
            found = select(WorkReminder.subject_id, WorkReminder.step).where(WorkReminder.user_id == user_id)
            return sorted((str(subject), str(step)) for subject, step in await session.execute(found))

    assert await told_of(ana) == [(waits[0], "soon")]
    assert await told_of(finn) == sorted((each, "soon") for each in waits[1:])
    assert await count(world, Notification, Notification.kind == DEADLINE) == 2, "one for each person, not one an item"
    async with world.db.transaction() as session:
        await session.execute(update(Payout).values(decide_by=now - timedelta(minutes=1)))
    assert await remind(world, timedelta(hours=1)) == 0, "not twice within the pause"
    assert await remind(world) == 2
    assert ("overdue" in {step for _, step in await told_of(finn)}) and await remind(world) == 0
    async with world.db.transaction() as session:
        mails = (
            await session.scalars(select(OutgoingMailRow).where(OutgoingMailRow.recipient_index.is_not(None)))
        ).all()
    lines = [mail.body for mail in mails if "items are due" in mail.subject]
    assert len(lines) == 4 and any("Overdue since" in body for body in lines)
    async with world.browser("finn@firm.example") as browser:
        assert "2 unread" in (await browser.get("/")).text


async def test_whom_an_item_was_given_to_is_told_of_its_deadline(world: ConsoleWorld) -> None:
    """Admins hear of what was escalated to them, and finance does not; once no admin is there, finance hears of it."""
    path = f"/queue/payout/{world.firm.payout}/escalate"
    async with world.browser("finn@firm.example") as finn:
        assert (await finn.post(path, to="role:admin", reason="The name is unlike.")).status_code == 303
    async with world.db.transaction() as session:
        now = await market_now(session)
        due = update(Payout).where(Payout.id == world.firm.payout).values(decide_by=now + timedelta(minutes=30))
        await session.execute(due)
        users = {login: user_id for user_id, login in await session.execute(select(User.id, User.login))}

    async def told_of(step: str) -> set[str]:
        async with world.db.transaction() as session:
            found = select(WorkReminder.user_id).where(
                WorkReminder.subject_id == world.firm.payout, WorkReminder.step == step
            )
            return set(await session.scalars(found))

    assert await remind(world) == 1 and await remind(world) == 0
    assert await told_of("soon") == {users["ana@firm.example"]}
    async with world.db.transaction() as session:
        await session.execute(update(User).where(User.role == "admin").values(active=False))
        await session.execute(update(Payout).where(Payout.id == world.firm.payout).values(decide_by=now))
    assert await remind(world) == 1
    assert await told_of("overdue") == {users["finn@firm.example"]}


async def test_what_must_be_told_is_tried_again_and_holds_up_nothing(
    world: ConsoleWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    written, breached = telling.write, Notification.kind == "account.breached"

    async def fails(session: AsyncSession, drafts: Sequence[Draft], *, site: str) -> int:
        if any(draft.kind.name == "account.breached" for draft in drafts):
            raise ValueError("a fault of ours")
        return await written(session, drafts, site=site)

    with monkeypatch.context() as patched:
        patched.setattr(telling, "write", fails)
        await tell(world)
    assert await count(world, Notification) > 0 and await count(world, Notification, breached) == 0
    untold = await count(world, BusinessEvent, ~BusinessEvent.told)
    assert untold == await count(world, BusinessEvent, BusinessEvent.kind == "account.breached") > 0
    assert await count(world, Review, Review.kind == "notification_failed", Review.status == "open") == 1
    await tell(world)  # the relay starts anew, with the fault mended
    assert await count(world, Notification, breached) == untold
    assert await count(world, BusinessEvent, ~BusinessEvent.told) == 0


def test_an_event_is_tried_some_times_and_then_given_up() -> None:
    again, now, pause = Again((timedelta(minutes=1),) * 2), datetime(2026, 1, 2, tzinfo=UTC), timedelta(minutes=1)
    assert again.failed("evt_1", now) and again.waits(now) == ["evt_1"]
    assert again.waits(now + pause) == [] and again.failed("evt_1", now + pause)
    assert not again.failed("evt_1", now + 2 * pause) and again.waits(now) == []


async def test_read_notifications_are_removed_and_unread_ones_stay(world: ConsoleWorld) -> None:
    await opened(world, world.firm.active)
    await tell(world)
    every = await count(world, Notification)
    async with world.db.transaction() as session:
        ids = list(await session.scalars(select(Notification.id).order_by(Notification.id)))
        long_ago = text("clock_timestamp() - interval '100 days'")
        await session.execute(
            update(Notification).where(Notification.id == ids[0]).values(read_at=long_ago, recorded_at=long_ago)
        )
        await session.execute(update(Notification).where(Notification.id == ids[1]).values(recorded_at=long_ago))
        assert await keeping.remove_notifications(session, Policy()) == 1
        page = await read.page(session, "trd_nobody", Window())
        assert page.items == ()
    assert await count(world, Notification) == every - 1


def wrong(tmp_path: Path, name: str, body: str) -> str:
    (tmp_path / name).write_text(body)
    with pytest.raises(PolicyInvalid) as refused:
        texts.load(tmp_path)
    (tmp_path / name).unlink()
    return f"{refused.value.message} [{refused.value.field}]"


def test_a_wrong_text_is_refused_with_file_line_and_field(tmp_path: Path) -> None:
    good = (texts.SHIPPED / "account.warning.yaml").read_text()
    name = "account.warning.yaml"
    unknown = wrong(tmp_path, name, good.replace("  {{warning.text}}\n", "  {{warning.txet}}\n"))
    assert unknown == (
        "account.warning.yaml:8 text: there is no variable {{warning.txet}}; did you mean {{warning.text}}?. [text]"
    )
    left_out = wrong(tmp_path, name, good.replace("  {{link}}\n", "  the page\n"))
    assert left_out.startswith("account.warning.yaml:3 text: {{link}} (page in the console) is left out")
    assert ":1 subject: braces" in wrong(tmp_path, name, good.replace("{{limit.name}} is", "{{limit.name} is", 1))
    assert "html: <script" in wrong(tmp_path, name, good.replace("<p>Hello", "<script>1</script><p>Hello"))
    assert "subject: Field required" in wrong(tmp_path, name, good.replace('subject: "', 'topic: "'))
    assert "no kind of notification account.warnin" in wrong(tmp_path, "account.warnin.yaml", good)
    (tmp_path / name).write_text(good.replace(" is near", " comes close"))
    mine = texts.load(tmp_path)
    assert "comes close" in mine.templates["account.warning"].subject
    assert mine.templates["order.paid"] == texts.shipped().templates["order.paid"]


async def test_a_firm_changes_its_words_and_every_version_stays(world: ConsoleWorld, tmp_path: Path) -> None:
    good = (texts.SHIPPED / "account.opened.yaml").read_text()
    (tmp_path / "account.opened.yaml").write_text(good.replace(' is ready"', ' awaits you"'))
    async with world.db.transaction() as session:
        await texts.publish(session, texts.load(tmp_path))
        await texts.publish(session, texts.load(tmp_path))
    await opened(world, world.firm.active)
    await tell(world)
    async with world.db.transaction() as session:
        subjects = list(await session.scalars(select(Notification.subject)))
        published = await session.scalars(select(AuditEntry.evidence).where(AuditEntry.subject_id == "notifications"))
        assert len(cast("list[Any]", published.all())) == 1
    assert f"Account {world.firm.active} awaits you" in subjects


async def test_who_proposed_something_is_told_once_that_it_was_rejected(world: ConsoleWorld) -> None:
    sent = {"message": "As you wished.", "reason": "The trader asked for it."}
    async with world.browser("sam@firm.example") as browser:
        answer = await browser.post(f"/accounts/{world.firm.active}/actions/close", **sent)
        item = answer.headers["location"]
    async with world.browser("rosa@firm.example") as browser:
        assert (await browser.post(f"{item}/decision", decision="reject", reason="It was not.")).status_code == 303
    for _ in range(2):
        await remind(world)
    async with world.db.transaction() as session:
        (told,) = await session.scalars(select(Notification).where(Notification.kind == "work.returned"))
    assert told.href == item and "change of an account" in told.subject
