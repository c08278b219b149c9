"""Accounts that go on under another version, on a real PostgreSQL: at their reset, once, and as the record says."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import psycopg
import pytest

from domain.products.product import Product
from domain.proofs.check import check
from tests.integration.recorded_feed import Script, opened, two_step
from tests.integration.scripted_venue import Killed, ScriptedVenue, judge, on_record, rows

MIDNIGHT: Final = datetime(2014, 5, 2, 22, tzinfo=UTC)  # in Prague
STANDING: Final = "SELECT state, applied_at, why FROM account_move_rows"


def tighter(daily: str = "3", clock: dict[str, str] | None = None) -> Product:
    """Version 2: a smaller daily limit, a new trailing limit, and a day that ends at 15:00 in New York."""
    terms = two_step().model_dump(mode="json")
    trailing = {
        "type": "max_loss_trailing",
        "id": "trailing_loss",
        "peak_basis": "eod_balance_peak",
        "allowance": {"type": "pct_of_initial", "value": "9"},
        "breach_when": "equity < floor",
    }
    for phase in (*terms["phases"], terms["funded"]):
        phase["rules"][0]["allowance"]["value"] = daily
        phase["rules"].append(trailing)
    return Product.model_validate(
        terms | {"version": 2, "clock": clock or {"zone": "America/New_York", "reset": "15:00"}}
    )


def firm(database_url: str, product: Product, *, approver: str = "ana") -> None:
    """Account 1 under version 1, and a move of it to `product` that rosa proposed and `approver` approved."""
    on_record(database_url, {1: (two_step(), 1)})
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE challenges SET account_id = 'acc_1'")
        connection.execute(
            "INSERT INTO products (product, version, name, content_hash, terms) VALUES (%s, 2, 'x', %s, %s)",
            (product.product, product.content_hash, json.dumps(product.model_dump(mode="json"))),
        )
        for name in ("ana", "rosa"):
            connection.execute(
                "INSERT INTO users (id, login, login_index, name, password_hash, role, person_id, active)"
                " VALUES (%(name)s::text, '\\x00', %(name)s::text, '\\x00', 'x', 'risk', %(name)s::text, true)",
                {"name": name},
            )
        connection.execute(
            "INSERT INTO account_moves (id, product, from_version, to_version, reason, state, proposed_by, proposed_at)"
            " VALUES ('mov_1', 'two-step', 1, 2, 'because', 'approved', 'rosa', %s)",
            (MIDNIGHT - timedelta(days=1),),
        )
        connection.execute(
            "INSERT INTO account_move_rows (move_id, account_id, state, why) VALUES ('mov_1', 'acc_1', 'waiting', '')"
        )
        connection.execute(
            "INSERT INTO decisions (subject_kind, subject_id, decision, user_id, person_id, role, reason,"
            " subject_digest, evidence, occurred_at)"
            " VALUES ('account_move', 'mov_1', 'approve', %(who)s, %(who)s, 'risk', 'yes', 'd', '{}', %(at)s)",
            {"who": approver, "at": MIDNIGHT - timedelta(days=1)},
        )


def story(before: str, *after: tuple[datetime, str]) -> Script:
    """An open position, quoted at `before` until midnight; then each of `after` at its time."""
    script = opened()
    script.at = MIDNIGHT - timedelta(minutes=1)
    script.tick(before)
    script.batch()
    for at, price in after:
        script.at = at
        script.tick(price)
        script.batch()
    script.batch(flush=True)
    return script


def proof(database_url: str) -> dict[str, Any]:
    [(body,)] = rows(database_url, "SELECT body FROM proofs")
    assert isinstance(body, dict)
    return body


def test_the_reset_is_the_old_versions_and_what_follows_the_new_ones(database_url: str) -> None:
    firm(database_url, tighter())
    venue = ScriptedVenue(story("1.37700", (MIDNIGHT, "1.37700"), (MIDNIGHT + timedelta(hours=1), "1.37699")).batches)
    judge(database_url, venue)
    # 97,000.00 at the reset stands under both; 96,990.00 an hour later is above the old floor and below the new one
    assert rows(database_url, "SELECT rule_id, floor_minor, equity_minor FROM breaches") == [
        ("daily_loss", 9_700_000, 9_699_000)
    ]
    body = proof(database_url)
    assert body["product"]["ref"] == "two-step@2" and check(body) == []
    assert rows(database_url, "SELECT version, clock_group FROM accounts") == [(2, "America/New_York@15:00")]
    assert rows(database_url, "SELECT version FROM challenges") == [(2,)]
    assert rows(database_url, STANDING) == [("moved", MIDNIGHT, "")]
    assert rows(database_url, "SELECT state, closed_at FROM account_moves") == [("done", MIDNIGHT)]
    assert rows(database_url, "SELECT action, evidence->>'moved' FROM audit_log ORDER BY seq") == [
        ("account_move.carried_out", "1"),
        ("account_move.move_completed", None),
    ]


def test_what_broke_before_the_reset_broke_under_the_old_version(database_url: str) -> None:
    firm(database_url, tighter())
    judge(database_url, ScriptedVenue(story("1.37499", (MIDNIGHT, "1.37499")).batches))
    assert proof(database_url)["product"]["ref"] == "two-step@1"
    assert rows(database_url, STANDING) == [("waiting", None, "")]
    assert rows(database_url, "SELECT version FROM accounts") == [(1,)]


def test_the_day_between_two_clocks_is_as_long_as_it_is(database_url: str) -> None:
    firm(database_url, tighter())
    later = [(MIDNIGHT + timedelta(hours=hours), "1.38000") for hours in (0, 20, 22, 30, 46)]
    judge(database_url, ScriptedVenue(story("1.38000", *later).batches))
    resets = [at for (at,) in rows(database_url, "SELECT reset_at FROM daily_snapshots ORDER BY reset_at")]
    assert resets == [MIDNIGHT, MIDNIGHT + timedelta(hours=21), MIDNIGHT + timedelta(hours=45)]


def test_a_new_clock_that_resets_at_the_same_instant_does_not_reset_twice(database_url: str) -> None:
    firm(database_url, tighter(clock={"zone": "America/Chicago", "reset": "17:00"}))  # 22:00 UTC as well
    judge(database_url, ScriptedVenue(story("1.38000", (MIDNIGHT, "1.38000"), (MIDNIGHT, "1.38000")).batches))
    assert rows(database_url, "SELECT reset_at FROM daily_snapshots") == [(MIDNIGHT,)]
    assert rows(database_url, "SELECT clock_group FROM accounts") == [("America/Chicago@17:00",)]


def test_rules_of_both_versions_keep_their_state_and_new_ones_begin(database_url: str) -> None:
    firm(database_url, tighter())
    judge(database_url, ScriptedVenue(story("1.37900", (MIDNIGHT, "1.37900")).batches))
    [(state,)] = rows(database_url, "SELECT rule_state->'rules' FROM account_live")
    assert isinstance(state, dict)
    assert {rule: (s["basis"], s["floor"]) for rule, s in state.items()} == {
        "daily_loss": (10_000_000, 9_700_000),
        "max_loss": (10_000_000, 9_000_000),
        "trailing_loss": (10_000_000, 9_100_000),
    }


def test_who_would_stand_broken_at_once_is_not_moved_but_shown_to_a_person(database_url: str) -> None:
    firm(database_url, tighter())
    after = MIDNIGHT + timedelta(hours=1)
    judge(database_url, ScriptedVenue(story("1.37600", (MIDNIGHT, "1.37600"), (after, "1.37601")).batches))
    why = "daily_loss would be broken at once: 96,000.00 USD against 97,000.00 USD"
    assert rows(database_url, STANDING) == [("refused", MIDNIGHT, why)]
    assert rows(database_url, "SELECT account_id FROM reviews WHERE kind = 'move_refused'") == [("acc_1",)]
    assert rows(database_url, "SELECT version FROM accounts") == [(1,)]
    assert rows(database_url, "SELECT count(*) FROM breaches") == [(0,)]
    assert rows(database_url, "SELECT state FROM account_moves") == [("done",)]


def test_an_approval_of_who_proposed_it_moves_nothing(database_url: str) -> None:
    firm(database_url, tighter(), approver="rosa")
    judge(database_url, ScriptedVenue(story("1.38000", (MIDNIGHT, "1.38000")).batches))
    assert rows(database_url, STANDING) == [("waiting", None, "")]
    assert rows(database_url, "SELECT version FROM accounts") == [(1,)]


@pytest.mark.parametrize("dies_after", [1, 2, 3, 4])
def test_a_kill_at_any_batch_moves_the_account_once_and_at_the_same_reset(database_url: str, dies_after: int) -> None:
    firm(database_url, tighter())
    after = (MIDNIGHT + timedelta(hours=1), "1.37699")
    venue = ScriptedVenue(story("1.37700", (MIDNIGHT, "1.37700"), after).batches)

    def die(number: int) -> None:
        if number == dies_after:
            raise Killed

    venue.on_ack = die
    with pytest.raises(Killed):
        judge(database_url, venue)
    venue.on_ack = lambda number: None
    judge(database_url, venue)
    assert rows(database_url, STANDING) == [("moved", MIDNIGHT, "")]
    assert rows(database_url, "SELECT rule_id, floor_minor FROM breaches") == [("daily_loss", 9_700_000)]
    assert proof(database_url)["product"]["ref"] == "two-step@2"
    assert rows(database_url, "SELECT count(*) FROM audit_log WHERE action = 'account_move.carried_out'") == [(1,)]
