"""A change of platform as pure functions: what refuses it, what was seen, names of trades, the departure's proof."""

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any, Final

import pytest

from domain.places import at_venue, on_record
from domain.platform_changes import (
    PLATFORM_CHANGE,
    ChangeFacts,
    named_symbols,
    refusals,
    seen_digest,
    why_not_now,
)
from domain.platform_changes import (
    check as check_facts,
)
from domain.platform_errors import PlatformChangeRefused
from domain.proofs.check import check
from domain.proofs.check_departure import check_joined
from domain.proofs.departure import Departure, carried_on, continues, departure_sheet
from domain.proofs.document import document
from domain.proofs.lists import tables
from domain.proofs.money import BalancePart, EventPart, JudgedAccount, breach_sheet, digest
from domain.proofs.sheets import DepartureSheet, read
from domain.rules import state as rules_of
from domain.rules.floors import Mark
from domain.rules.marking import QuoteBoard
from domain.rules.state import AccountRules, fresh
from tests.unit.platform_terms import TERMS

AT: Final = datetime(2025, 3, 6, 8, tzinfo=UTC)
POSSIBLE: Final = ChangeFacts(
    status="active",
    platform="east",
    to_platform="west",
    close_positions=False,
    open_positions=0,
    balance_minor=100,
    symbols=frozenset({"EURUSD"}),
    here={"EURUSD": ["100000", "USD"]},
    there={"EURUSD": ["100000", "USD"]},
)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"status": "locked"}, "The account is locked"),
        ({"to_platform": "east"}, "at east already"),
        ({"lacks": None}, "No platform west is configured"),
        ({"lacks": ("This venue cannot create accounts.",)}, "west: This venue cannot create accounts"),
        ({"open_positions": 1}, "open positions"),
        ({"balance_minor": None}, "has not stored anything"),
        ({"balance_minor": -1}, "below zero"),
        ({"open_payout": "pay_1"}, "Payout pay_1 is open"),
        ({"open_reviews": ("rev_1 (gap)",)}, "rev_1"),
        ({"other_change": "plc_1"}, "Change plc_1"),
        ({"version_waits": True}, "another version"),
        ({"reset_waits": True}, "brought back"),
        ({"adjustment_waits": True}, "An approved adjustment"),
        ({"there": None}, "its symbols are not known"),
        ({"there": {}}, "west has no symbol EURUSD"),
        ({"there": {"EURUSD": ["1000", "USD"]}}, "1000 in USD at west"),
    ],
)
def test_every_reason_is_said(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(PlatformChangeRefused, match=says) as refused:
        check_facts(replace(POSSIBLE, **changed))
    assert len(refused.value.reasons) == 1


def test_nothing_is_in_the_way_otherwise() -> None:
    assert refusals(POSSIBLE) == []
    assert refusals(replace(POSSIBLE, open_positions=2, close_positions=True)) == []


def test_rules_name_symbols_at_any_depth() -> None:
    rules = [{"classes": {"ES": "mini"}, "groups": [["NQ", "YM"]]}, {"only": "gold"}]
    assert named_symbols(rules, ["ES", "YM", "mini", "EURUSD"]) == {"ES", "YM", "mini"}


def test_who_agrees_has_seen_money_levels_days_and_positions() -> None:
    given: dict[str, Any] = {
        "balance_minor": 1,
        "floors": {"a": 1},
        "trading_days": 1,
        "last_trading_day": "2025-03-06",
        "positions": [{"position_id": "p", "lots": "1"}],
    }
    others: tuple[Any, ...] = (2, {"a": 2}, 2, "2025-03-07", [])
    digests = {seen_digest(**{**given, name: value}) for name, value in zip(given, others, strict=True)}
    assert len(digests | {seen_digest(**given)}) == 6


def test_an_account_leaves_only_as_it_was_shut() -> None:
    fine: dict[str, Any] = {
        "ended": False,
        "open_positions": 0,
        "balance_minor": 5,
        "final_minor": 5,
        "resetting": False,
        "currency": "USD",
    }
    assert why_not_now(**fine) == ""
    for name, value in (("ended", True), ("open_positions", 1), ("balance_minor", 6), ("resetting", True)):
        assert why_not_now(**{**fine, name: value})


def test_it_can_be_given_back_until_the_record_switches() -> None:
    back = {state for state, trigger in PLATFORM_CHANGE.table if trigger == "change_abandoned"}
    assert back == {"approved", "shut", "leaving"}


def test_ids_of_a_later_place_have_its_number() -> None:
    assert (on_record(1, "7/p"), at_venue(1, "7/p")) == ("7/p", "7/p")
    assert (on_record(2, "p-1"), at_venue(2, on_record(2, "p-1"))) == ("2/p-1", "p-1")


RULES: Final = rules_of.on_mark(fresh(TERMS.specs), Mark(1_020_000, 1_050_000, 90, AT))


def scene(login: int, seq: int, balance: int, **more: Any) -> JudgedAccount:
    opening = more.pop("opening", (balance, None, 0))
    return JudgedAccount(
        account_id="acc_1",
        challenge_id="chl_1",
        login=login,
        terms=TERMS,
        event=EventPart(kind="account", seq=seq, at=AT),
        balance=BalancePart(
            opening_minor=opening[0], opening_at=opening[1], opening_seq=opening[2], movements=(), balance_minor=balance
        ),
        positions=(),
        equity_minor=balance,
        trading_days=(date(2025, 3, 5), date(2025, 3, 6)),
        **more,
    )


def left(rules: AccountRules = RULES) -> dict[str, Any]:
    going = Departure("east", "west", 8, {"daily_loss": 1}, None)
    return departure_sheet("prf_1", scene(7, 100, 1_020_000), rules, going, QuoteBoard(), {})


def later(sheet: dict[str, Any]) -> dict[str, Any]:
    """A breach at the next place, at a number far below those of the first one."""
    rules = carried_on(RULES)
    came = continues(sheet)
    at = scene(8, 3, 940_000, continues=came, opening=(940_000, None, 0))
    return breach_sheet("prf_2", at, rules.specs[1], rules.states[1], QuoteBoard(), {})


def sealed_again(sheet: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    body = DepartureSheet.model_validate({k: v for k, v in sheet.items() if k != "hash"}).model_dump(mode="json")
    where: Any = body
    *steps, last = path.split(".")
    for step in steps:
        where = where[int(step) if step.isdecimal() else step]
    where[last] = value
    return {**body, "hash": digest(body)}


def test_the_proof_of_a_departure_holds_and_every_forgery_shows() -> None:
    sheet = left()
    assert check(sheet) == []
    forged = {
        "levels.1.floor.floor_minor": 900_000,
        "levels.1.floor.basis.set_seq": 101,
        "levels.1.floor.basis.value_minor": 1_060_000,
        "levels.1.key": "daily_loss",
        "balance.balance_minor": 1_020_001,
        "equity_minor": 1_020_001,
        "trading_days": ["2025-03-06", "2025-03-05"],
        "to_login": 9,
        "verdict": "left",
    }
    for path, value in forged.items():
        found = check(sealed_again(sheet, path, value))
        assert bool(found) is (path != "to_login"), path
    assert check(sealed_again(sheet, "to_platform", "east")), "the sentence names it"
    broken = rules_of.on_mark(fresh(TERMS.specs), Mark(1_200_000, 1_200_000, 90, AT))
    assert [each.field for each in check(left(broken))] == ["levels.trailing_loss.floor_minor"]


def test_the_next_sheet_names_the_departure_and_continues_from_it() -> None:
    first = left()
    second = later(first)
    assert check(second) == []
    departures = {"prf_1": read(first)}
    hashes = {"prf_1": str(first["hash"])}
    assert list(check_joined(read(second), departures, hashes)) == []  # type: ignore[arg-type]
    assert list(check_joined(read(second), {}, {}))
    for change in ({"hash": "0" * 64}, {"login": 99}, {"balance_minor": 1}, {"at": "2025-03-06T09:00:00Z"}):
        came = {**second["account"]["continues"], **change}
        other = read({**second, "account": {**second["account"], "continues": came}})
        assert list(check_joined(other, departures, hashes))  # type: ignore[arg-type]
    basis = {**second["rule"]["floor"]["basis"], "balance_minor": 1}
    moved = {**second["rule"], "floor": {**second["rule"]["floor"], "basis": basis}}
    assert list(check_joined(read({**second, "rule": moved}), departures, hashes))  # type: ignore[arg-type]
    # an account that never changed its platform has no level without a number
    alone = {k: v for k, v in second["account"].items() if k != "continues"}
    body = {k: v for k, v in {**second, "account": alone}.items() if k != "hash"}
    assert [each.field for each in check({**body, "hash": digest(body)})] == ["trailing_loss.set_seq"]


def test_it_is_shown() -> None:
    sheet = read(left())
    shown = document(sheet, "0" * 64)
    assert next(section.title for section in shown.context) == "Change of platform"
    assert [table.title for table in tables(sheet)][-1] == "Levels that go on"
    rows = {row.label: row.value for section in document(read(later(left())), "0").context for row in section.rows}
    assert rows["Continues"].startswith("from east, login 7")
