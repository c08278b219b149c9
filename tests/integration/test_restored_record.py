"""The record is restored from a backup and is behind the platform."""

from sqlalchemy import select

from contracts.ids import payout_workflow
from domain import keys
from firm import restored
from relay.inbox import InboxDispatcher
from store.models import AuditEntry, OutboxMessage
from tests.payout_world import INITIAL, MEDIUM, a_firm, ref


async def test_a_hold_that_the_record_has_forgotten_is_taken_over(database_url: str) -> None:
    async with a_firm(database_url) as firm:
        payout_id = await firm.request(await firm.add_trader("tina"), MEDIUM)
        (login,) = firm.venue.balances
        await firm.venue.balance_operation(
            login, key=keys.payout_hold(payout_id), operation="payout_hold", amount_minor=-MEDIUM
        )
        await firm.activities.place_hold(ref(payout_id))
        assert (await firm.payout(payout_id)).state == "reserved", "judged by the balance without the money: refused"
        assert firm.venue.balances[login] == INITIAL + 400_000 - MEDIUM, "taken once"


async def test_a_hold_that_is_back_on_the_account_refuses_the_payout(database_url: str) -> None:
    async with a_firm(database_url) as firm:
        payout_id = await firm.request(await firm.add_trader("tina"), MEDIUM)
        (login,) = firm.venue.balances
        key = keys.payout_hold(payout_id)
        await firm.venue.balance_operation(login, key=key, operation="payout_hold", amount_minor=-MEDIUM)
        await firm.venue.balance_operation(
            login, key=keys.payout_release(payout_id), operation="payout_release", amount_minor=MEDIUM
        )
        await firm.activities.place_hold(ref(payout_id))
        assert (await firm.payout(payout_id)).state == "refused"
        assert firm.venue.balances[login] == INITIAL + 400_000


async def test_a_payout_that_was_cancelled_after_the_backup_sends_nothing(database_url: str) -> None:
    async with a_firm(database_url) as firm:
        await firm.add_user("fay", "finance")
        payout_id = await firm.awaiting(await firm.add_trader("tina"), MEDIUM)
        (login,) = firm.venue.balances
        await firm.venue.balance_operation(
            login, key=keys.payout_release(payout_id), operation="payout_release", amount_minor=MEDIUM
        )
        await firm.decide(payout_id, firm.fay)
        await firm.activities.send_money(ref(payout_id))
        assert firm.provider.transfers == {}
        assert (await firm.payout(payout_id)).state == "releasing"


_RESTORE = restored.Restore(
    stamp="20260306_120000",
    at="2026-03-06T12:00:00+00:00",
    backup="2026-03-06T110000Z",
    of="2026-03-06T11:00:00+00:00",
    asked_for="",
    account="ana",
    reason="the disk was lost",
    aside="",
    ended=4,
)


async def test_what_is_open_at_a_provider_is_asked_for_again_and_the_audit_log_says_who_restored(
    database_url: str,
) -> None:
    """The webhook that told of the transfer came after the backup. Payees' accounts have no list of events."""
    async with a_firm(database_url) as firm:
        await firm.add_user("fay", "finance")
        payout_id = await firm.awaiting(await firm.add_trader("tina"), MEDIUM)
        await firm.decide(payout_id, firm.fay)
        await firm.activities.send_money(ref(payout_id))
        assert (await firm.payout(payout_id)).state == "sent"
        for asked in ({"transfer.changed": 1}, None):
            async with firm.db.transaction() as session:
                assert await restored.note(session, _RESTORE) == asked
        await InboxDispatcher(firm.db, firm.deps.payments).step()
        async with firm.db.transaction() as session:
            told = await session.scalars(
                select(OutboxMessage.name).where(
                    OutboxMessage.target == payout_workflow(payout_id), OutboxMessage.name == "transfer_changed"
                )
            )
            assert len(told.all()) == 1
            entry = (await session.scalars(select(AuditEntry).where(AuditEntry.subject_kind == "restore"))).one()
        assert (entry.actor, entry.subject_id, entry.evidence["of"]) == (
            "command-line",
            _RESTORE.stamp,
            "2026-03-06T11:00:00+00:00",
        )
        assert "ana" not in str(entry.evidence), "a name is no part of what is never removed"
