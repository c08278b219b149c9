"""The record is restored from a backup and is behind the platform."""

from domain import keys
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
