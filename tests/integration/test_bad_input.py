"""A stream that speaks of a symbol the venue never described: named once, and nobody is judged on it."""

from datetime import timedelta
from decimal import Decimal

import pytest

from domain.proofs.check import check
from ports.platform import Deal, Tick
from tests.integration.recorded_feed import BREACHES, Script, opened, record_one
from tests.integration.scripted_venue import ScriptedVenue, judge, rows


def _nonsense(script: Script, price: str) -> None:
    script.at += timedelta(seconds=1)
    bid = Decimal(price)
    script.events.append(Tick(seq=script.next(), at=script.at, symbol="NOSUCH", bid=bid, ask=bid))


def _fill(script: Script, entry: str = "in", profit: int = 0) -> None:
    script.balance += profit
    deal = {
        "deal_id": "odd", "login": 1, "position_id": "p9", "symbol": "NOSUCH", "side": "buy", "lots": "100",
        "price": "5", "entry": entry, "profit_minor": profit, "commission_minor": 0, "swap_minor": 0,
        "reason": "client", "balance_minor": script.balance, "seq": script.next(), "at": script.at,
    }  # fmt: skip
    script.events.append(Deal.model_validate(deal))


def test_an_unknown_symbol_is_reviewed_once_and_breaches_nobody(database_url: str) -> None:
    record_one(database_url)
    script = opened()
    _nonsense(script, "5")
    _fill(script)
    _nonsense(script, "0.01")
    script.tick("1.37900")
    script.batch(flush=True)
    judge(database_url, ScriptedVenue(script.batches))
    found = rows(database_url, "SELECT kind, detail->>'symbol', status FROM reviews")
    assert found == [("unknown_symbol", "NOSUCH", "open")]
    assert rows(database_url, "SELECT count(*) FROM breaches") == [(0,)]
    assert rows(database_url, "SELECT equity_minor FROM account_live") == [(9_900_000,)]
    assert rows(database_url, "SELECT deal_id FROM deals ORDER BY seq")[-1] == ("odd",), "what happened stays on record"


@pytest.mark.parametrize("lots", ["10", "0"])
def test_a_loss_realised_in_an_unknown_symbol_is_judged_at_once(database_url: str, lots: str) -> None:
    record_one(database_url)
    script = opened("10")
    if lots == "0":
        script.deal(1, "p1", "10", "1.38000", "out")
    _fill(script, "out", -500_000)
    script.batch()
    assert script.balance == 9_500_000
    _fill(script, "out", -400_000)
    script.batch(flush=True)
    venue = ScriptedVenue(script.batches)
    judge(database_url, venue)
    assert rows(database_url, BREACHES) == [("daily_loss", 1, script.seq - 1, 9_500_000, 9_100_000, True)]
    [(proof,)] = rows(database_url, "SELECT body FROM proofs")
    assert isinstance(proof, dict)
    assert check(proof) == []
    assert [login for login, _ in venue.locks] == [1]


def test_a_loss_in_an_unknown_symbol_counts_into_the_next_mark(database_url: str) -> None:
    record_one(database_url)
    script = opened()
    _fill(script, "out", -400_000)
    script.tick("1.37900")
    script.tick("1.37899")
    script.batch(flush=True)
    judge(database_url, ScriptedVenue(script.batches))
    assert rows(database_url, BREACHES) == [("daily_loss", 1, script.seq - 1, 9_500_000, 9_499_000, True)]


def test_a_profit_in_an_unknown_symbol_is_no_pass_while_more_of_it_may_be_open(database_url: str) -> None:
    record_one(database_url)
    script = opened()
    script.deal(1, "p1", "10", "1.38000", "out")
    _fill(script, "out", 1_000_000)
    script.batch(flush=True)
    judge(database_url, ScriptedVenue(script.batches))
    assert rows(database_url, "SELECT count(*) FROM phase_passes") == [(0,)]
    assert rows(database_url, "SELECT balance_minor, equity_minor FROM account_live") == [(11_000_000, 11_000_000)]


def test_what_is_known_is_still_judged_after_an_unknown_symbol(database_url: str) -> None:
    record_one(database_url)
    script = opened()
    _nonsense(script, "5")
    script.tick("1.37499")
    script.batch(flush=True)
    venue = ScriptedVenue(script.batches)
    judge(database_url, venue)
    assert rows(database_url, "SELECT rule_id FROM breaches") == [("daily_loss",)]
    assert [login for login, _ in venue.locks] == [1]
