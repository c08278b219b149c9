"""The live path on a real PostgreSQL: commit, lock, message, acknowledge; and a kill at each boundary between them."""

from datetime import timedelta
from decimal import Decimal

import pytest

from domain.errors import NotFound, StaleEpoch
from domain.products.product import Product
from domain.proofs.check import check
from ports.platform import (
    AccountSnapshot,
    PositionState,
)
from store.live import claim_epoch
from tests.integration.recorded_feed import BREACHES, START, Script, falling, opened, record_one, two_step
from tests.integration.scripted_venue import Killed, ScriptedVenue, judge, on_record, rows

OUTBOX = "SELECT topic, target, name, dispatched_at IS NOT NULL, next_at > clock_timestamp() FROM outbox ORDER BY topic"


def test_a_breach_is_committed_locked_and_signalled(database_url: str) -> None:
    record_one(database_url)
    venue = ScriptedVenue(falling().batches)
    judge(database_url, venue)
    # the second tick of the second batch breaks nothing; the first of the third does, and ends the account
    assert rows(database_url, BREACHES) == [("daily_loss", 1, 8, 9_500_000, 9_499_000, True)]
    assert [login for login, _ in venue.locks] == [1]
    assert rows(database_url, OUTBOX) == [
        ("venue.lock", "1", "", True, True),
        ("workflow.signal", "challenge/chl_1", "breach_detected", False, False),
    ]
    assert rows(database_url, "SELECT status, ended_at FROM accounts") == [("locked", START + timedelta(seconds=3))]
    [(proof,)] = rows(database_url, "SELECT body FROM proofs")
    assert isinstance(proof, dict)
    assert check(proof) == []
    assert (venue.acked, venue.keep_after) == (3, 3)


def test_killed_between_commit_and_lock_leaves_the_lock_to_be_repaired_and_judges_once(database_url: str) -> None:
    record_one(database_url)
    venue = ScriptedVenue(falling().batches)

    def die() -> None:
        raise Killed

    venue.on_lock = die
    with pytest.raises(Killed):
        judge(database_url, venue)
    assert rows(database_url, BREACHES) == [("daily_loss", 1, 8, 9_500_000, 9_499_000, False)]
    lock, _ = rows(database_url, OUTBOX)
    assert lock == ("venue.lock", "1", "", False, True)
    assert venue.acked == 2

    venue.on_lock = lambda: None
    judge(database_url, venue)
    assert rows(database_url, BREACHES) == [("daily_loss", 1, 8, 9_500_000, 9_499_000, True)]
    assert len(venue.locks) == 1
    assert rows(database_url, "SELECT count(*) FROM proofs") == [(1,)]
    assert rows(database_url, "SELECT count(*) FROM outbox") == [(2,)]


def test_a_batch_whose_acknowledgement_was_lost_changes_nothing_when_it_comes_again(database_url: str) -> None:
    record_one(database_url)
    venue = ScriptedVenue(falling().batches)

    def die_at_three(number: int) -> None:
        if number == 3:
            raise Killed

    venue.on_ack = die_at_three
    with pytest.raises(Killed):
        judge(database_url, venue)
    tables = ("breaches", "proofs", "outbox", "deals", "equity_bars", "account_live", "balance_operations")
    before = [rows(database_url, f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables]
    assert len(venue.locks) == 1
    # as if the last checkpoint had not been reached either
    rows(database_url, "UPDATE shards SET batch = 2 RETURNING 1")
    venue.on_ack = lambda number: None
    judge(database_url, venue)
    assert [rows(database_url, f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables] == before
    assert len(venue.locks) == 1


def test_a_newer_owner_is_never_overwritten(database_url: str) -> None:
    record_one(database_url)
    venue = ScriptedVenue(falling().batches)
    old = claim_epoch(database_url, 0)
    assert claim_epoch(database_url, 0) == old + 1
    with pytest.raises(StaleEpoch, match=f"epoch {old} may not write"):
        judge(database_url, venue, epoch=old)
    assert rows(database_url, "SELECT count(*) FROM breaches") == [(0,)]
    assert venue.locks == []


def test_a_bad_tick_opens_a_review_and_breaches_nobody(database_url: str) -> None:
    record_one(database_url)
    script = opened()
    script.tick("1.10400")  # 20 % off
    script.tick("1.37400", "1.37300")  # crossed
    script.tick("0", "0")
    script.tick("1.37900")
    script.batch(flush=True)
    judge(database_url, ScriptedVenue(script.batches))
    assert rows(database_url, "SELECT count(*) FROM breaches") == [(0,)]
    found = rows(
        database_url,
        "SELECT kind, coalesce(detail->>'why', account_id), coalesce(detail->>'bid', detail->>'equity_minor'), status"
        " FROM reviews ORDER BY occurred_at, kind",
    )
    assert found == [
        ("bad_tick", "jump", "1.10400", "open"),
        ("doubtful_breach", "acc_1", "-17600000", "open"),  # what the account would be worth at that quote
        ("bad_tick", "crossed", "1.37400", "open"),
        ("bad_tick", "not positive", "0", "open"),
    ]
    assert rows(database_url, "SELECT equity_minor FROM account_live") == [(9_900_000,)]


def test_the_venues_own_equity_disagreeing_opens_one_review_a_day(database_url: str) -> None:
    record_one(database_url)
    script = opened()
    script.tick("1.37900")
    script.state(1, 9_900_000)
    script.state(1, 9_900_001)  # within a minor unit of one open position
    script.state(1, 9_900_002)
    script.state(1, 9_900_500)
    script.batch(flush=True)
    judge(database_url, ScriptedVenue(script.batches))
    found = rows(database_url, "SELECT kind, account_id, detail->>'venue_minor' FROM reviews")
    assert found == [("equity_drift", "acc_1", "9900002")]
    assert rows(database_url, "SELECT count(*) FROM breaches") == [(0,)]


def test_a_gap_is_put_on_record_and_judging_goes_on_from_the_venues_snapshot(database_url: str) -> None:
    record_one(database_url)
    script = opened()
    script.batch(flush=True)
    judge(database_url, ScriptedVenue(script.batches))
    script.batches.clear()
    script.seq = 100
    script.tick("1.37000")  # would breach the position of before the gap
    script.batch()
    snapshot = AccountSnapshot(
        login=1,
        currency="USD",
        balance_minor=9_990_000,
        equity_minor=9_990_000,
        trading_enabled=True,
        positions=(),
        seq=90,
    )
    script.balance = 9_990_000
    script.deal(1, "p2", "10", "1.37000", "in")
    script.tick("1.36510")
    script.tick("1.36500")  # 94,900.00, below 95,000.00: this one was seen
    script.batch(flush=True)
    venue = ScriptedVenue([b.model_copy(update={"number": b.number + 8}) for b in script.batches], first=9)
    venue.snapshots[1] = snapshot
    judge(database_url, venue)
    gap = rows(database_url, "SELECT detail->>'asked', detail->>'first' FROM reviews WHERE account_id IS NULL")
    assert gap == [("2", "9")]
    assert rows(database_url, BREACHES) == [("daily_loss", 1, 105, 9_500_000, 9_490_000, True)]


def test_an_account_enabled_within_a_gap_is_judged_after_it(database_url: str) -> None:
    record_one(database_url)
    script = Script()
    script.seq, script.balance = 100, 10_000_000
    script.tick("1.38000")
    script.batch()
    script.tick("1.37499")
    script.batch(flush=True)
    venue = ScriptedVenue([b.model_copy(update={"number": b.number + 8}) for b in script.batches], first=9)
    held = PositionState(
        position_id="p", symbol="EURUSD", side="buy", lots=Decimal(10), open_price=Decimal("1.38"), opened_at=START
    )
    venue.snapshots[1] = AccountSnapshot(
        login=1,
        currency="USD",
        balance_minor=10_000_000,
        equity_minor=10_000_000,
        trading_enabled=True,
        positions=(held,),
        seq=101,
    )
    judge(database_url, venue)
    assert rows(database_url, BREACHES) == [("daily_loss", 1, 103, 9_500_000, 9_499_000, True)]


class _Refusing(ScriptedVenue):
    def lock(self, login: int, key: str) -> None:
        raise NotFound(f"There is no account {login}.")


def test_a_lock_that_the_venue_refuses_does_not_stop_the_shard(database_url: str) -> None:
    record_one(database_url)
    venue = _Refusing(falling().batches)
    judge(database_url, venue)
    assert rows(database_url, BREACHES) == [("daily_loss", 1, 8, 9_500_000, 9_499_000, False)]
    assert rows(database_url, OUTBOX)[0] == ("venue.lock", "1", "", False, True)
    assert venue.acked == 3


def test_a_reinstated_account_is_judged_again_by_the_floor_of_its_day(database_url: str) -> None:
    record_one(database_url)
    script = falling()
    script.deal(1, "p1", "10", "1.37000", "out", -1_000_000)
    script.batch(flush=True)
    judge(database_url, ScriptedVenue(script.batches))
    rows(database_url, "UPDATE breaches SET status = 'overturned' RETURNING 1")
    rows(database_url, "UPDATE accounts SET status = 'active', ended_at = NULL RETURNING 1")
    script.cash(1, "adjustment", 800_000)
    script.enable(1)  # balance 98,000.00; the day's floor stays 95,000.00
    script.deal(1, "p2", "10", "1.37000", "in")
    script.tick("1.36700")
    script.batch(flush=True)
    judge(database_url, ScriptedVenue(script.batches))
    assert len(rows(database_url, BREACHES)) == 1
    script.tick("1.36699")
    script.batch(flush=True)
    venue = ScriptedVenue(script.batches)
    judge(database_url, venue)
    assert rows(database_url, BREACHES)[1:] == [("daily_loss", 2, script.seq - 1, 9_500_000, 9_499_000, True)]
    assert len(venue.locks) == 1
    assert rows(database_url, "SELECT status FROM accounts") == [("locked",)]


def test_reaching_the_target_is_a_pass_with_a_proof(database_url: str) -> None:
    record_one(database_url)
    script = opened()
    script.tick("1.38900")
    script.batch()
    script.deal(1, "p1", "10", "1.38900", "out", 900_000)
    script.batch(flush=True)
    venue = ScriptedVenue(script.batches)
    judge(database_url, venue)
    assert rows(database_url, "SELECT account_id, phase_index, balance_minor FROM phase_passes") == [
        ("acc_1", 1, 10_900_000)
    ]
    [(proof,)] = rows(database_url, "SELECT body FROM proofs WHERE kind = 'pass'")
    assert isinstance(proof, dict)
    assert check(proof) == []
    assert len(venue.locks) == 1
    [signal] = rows(database_url, "SELECT name, target FROM outbox WHERE topic = 'workflow.signal'")
    assert signal == ("phase_passed", "challenge/chl_1")


def test_a_flushed_batch_is_all_in_the_database(database_url: str) -> None:
    record_one(database_url)
    script = opened("1")
    script.tick("1.37900")
    script.at += timedelta(days=2)  # two Prague midnights pass
    script.batch(flush=True)
    judge(database_url, ScriptedVenue(script.batches))
    assert rows(database_url, "SELECT count(*) FROM deals") == [(1,)]
    assert rows(
        database_url, "SELECT day::text, balance_minor, equity_minor, floors FROM daily_snapshots ORDER BY day"
    ) == [
        ("2014-05-02", 10_000_000, 9_990_000, {"daily_loss": 9_500_000, "max_loss": 9_000_000}),
        ("2014-05-03", 10_000_000, 9_990_000, {"daily_loss": 9_500_000, "max_loss": 9_000_000}),
    ]
    assert rows(database_url, "SELECT low_minor, close_minor FROM equity_bars") == [(9_990_000, 9_990_000)]
    assert rows(database_url, "SELECT symbol, long_lots, short_lots, accounts, floating_minor FROM exposures") == [
        ("EURUSD", Decimal(1), Decimal(0), 1, -10_000)
    ]
    assert rows(database_url, "SELECT feed, watermark FROM market_clock") == [("sandbox", script.at)]
    assert rows(database_url, "SELECT batch FROM shards") == [(2,)]


def test_the_room_to_a_ceiling_and_of_costs_that_do_not_count_is_the_judges_own(database_url: str) -> None:
    made = two_step().model_dump(mode="json")
    cap = {
        "type": "daily_move_cap",
        "anchor": "balance",
        "allowance": {"type": "amount", "value": "2000"},
        "directions": ["down", "up"],
        "breach_when": "equity <= floor",
        "consequences": [{"kind": "warn"}],
    }
    made["phases"][0]["rules"] = [cap, made["phases"][0]["rules"][1] | {"holds": {"commissions": False}}]
    on_record(database_url, {1: (Product.model_validate(made), 1)})
    script = opened()
    script.deal(1, "p2", "1", "1.38000", "in")
    fee = script.events[-1].model_copy(update={"commission_minor": -700, "balance_minor": script.balance - 700})
    script.events[-1], script.balance = fee, script.balance - 700
    script.tick("1.38100")  # equity 101,093.00
    script.batch(flush=True)
    judge(database_url, ScriptedVenue(script.batches))
    [(floors,)] = rows(database_url, "SELECT floors FROM account_live")
    assert isinstance(floors, dict)
    assert {name: floor["room_minor"] for name, floor in floors.items()} == {
        "daily_cap": 309_300,
        "daily_cap.up": 90_700,
        "max_loss": 1_110_000,
    }
