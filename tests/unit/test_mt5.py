"""Pure parts of the adapter for MT5: comments, marks, the server's clock, deals, refusals, settings."""

import os
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from adapters.mt5 import marks, names, outcomes, shapes, tags
from adapters.mt5.config import Mt5Settings
from adapters.mt5.deals import fills_of
from adapters.mt5.server_time import ServerClock
from cli.adapters import build_for_gateway
from domain import keys
from domain.errors import BadInput, Conflict, NotFound, OutcomeUnknown, PropOSError, Unavailable
from ports.platform import BalanceKind
from ports.venue import Fill, Money
from settings import load

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
PAY, ACC, DSP, OFF = (f"{noun}_01m8k3dahy1g2gqrc4j5y1rp6k" for noun in ("pay", "acc", "dsp", "off"))
STEPS: list[tuple[BalanceKind, str]] = [
    ("deposit", keys.initial_deposit(ACC)),
    ("payout_hold", keys.payout_hold(PAY)),
    ("payout_release", keys.payout_release(PAY)),
    ("payout_settled", keys.payout_settled(PAY)),
    ("adjustment", keys.payout_forfeit(PAY)),
    ("adjustment", keys.back(keys.payout_forfeit(PAY))),
    ("payout_release", keys.back(keys.payout_hold(PAY))),
    ("adjustment", keys.reset_balance(OFF)),
    ("adjustment", keys.goodwill(DSP)),
]


@pytest.mark.parametrize(("operation", "key"), STEPS)
def test_the_keys_of_the_firm_fit_a_comment_whole(operation: BalanceKind, key: str) -> None:
    comment = tags.comment_of(operation, key)
    assert len(comment) <= names.COMMENT_LENGTH
    assert tags.read_comment(comment) == (operation, key)


@given(st.text(max_size=80), st.text(max_size=80))
def test_other_keys_become_digests_that_tell_them_apart(one: str, two: str) -> None:
    first, second = tags.comment_of("deposit", one), tags.comment_of("deposit", two)
    assert len(first) <= names.COMMENT_LENGTH and first.isascii()
    assert (first == second) == (one == two)
    assert tags.comment_of("adjustment", one) != first


@pytest.mark.parametrize("comment", ["", "bonus", "[sl 1.1]", "zz" + "a" * 29, tags.close_comment("k"), "d" * 31])
def test_comments_of_others_are_not_ours(comment: str) -> None:
    assert tags.read_comment(comment) is None


@given(st.lists(st.integers(1, 2**63), min_size=1, max_size=600), st.integers(0, 15))
def test_the_last_marks_are_kept_and_cells_of_others_stay(values: list[int], taken: int) -> None:
    others = [{"AppID": "9", "ID": str(number), "ValueInt": "-1"} for number in range(taken)]
    cells: list[dict[str, Any]] = [dict(each) for each in others]
    for value in values:
        cells = marks.added(cells, 7707, value)
        assert len(cells) <= 16
    room = min(12, 16 - taken)
    assert [each.value for each in marks.read(cells, 7707)] == values[-room:]
    assert cells[:taken] == others


def test_a_mark_says_what_it_is_about() -> None:
    settled = marks.value_of("settled", "k")
    assert settled < 2**64
    assert marks.is_settled(marks.Mark(1, settled))
    assert len({settled, marks.value_of("lock", "k"), marks.value_of("trading", "k"), marks.value_of("lock", "l")}) == 4


# the server's clock


def server_ms(text: str) -> int:
    return int(datetime.fromisoformat(f"{text}+00:00").timestamp() * 1000)


@pytest.mark.parametrize(
    ("zone", "server", "utc"),
    [
        ("UTC", "2026-06-15T12:00:00.250", "2026-06-15T12:00:00.250"),
        ("Europe/Athens", "2026-06-15T12:00:00", "2026-06-15T09:00:00"),
        ("Europe/Athens", "2026-01-15T12:00:00", "2026-01-15T10:00:00"),
        # seven hours ahead of New York, as many servers are: midnight is the end of the day there
        ("America/New_York+7", "2026-03-10T00:00:00", "2026-03-09T21:00:00"),
        ("America/New_York+7", "2026-03-06T00:00:00", "2026-03-05T22:00:00"),
    ],
)
def test_server_time_becomes_utc_and_back(zone: str, server: str, utc: str) -> None:
    clock, instant = ServerClock(zone), datetime.fromisoformat(f"{utc}+00:00")
    assert clock.utc(server_ms(server), NOW) == instant
    assert clock.seconds(instant) == server_ms(server) // 1000


def test_the_hour_that_comes_twice_is_the_one_that_is_now() -> None:
    clock, twice = ServerClock("Europe/Athens"), server_ms("2026-10-25T03:30:00")
    first, second = (datetime(2026, 10, 25, hour, 30, tzinfo=UTC) for hour in (0, 1))
    assert clock.utc(twice, first + timedelta(seconds=2)) == first
    assert clock.utc(twice, second + timedelta(seconds=2)) == second
    assert clock.utc(twice, second + timedelta(days=9)) == first


@pytest.mark.parametrize("ahead", [0, 7200, 10_800, -18_000, 20_700])
def test_without_a_zone_the_offset_is_estimated_and_said(ahead: int) -> None:
    clock = ServerClock("")
    with pytest.raises(Unavailable):
        clock.utc(server_ms("2026-06-15T12:00:00"), NOW)
    clock.learn(int(NOW.timestamp()) + ahead + 3, NOW)
    assert clock.utc((int(NOW.timestamp()) + ahead) * 1000, NOW) == NOW
    assert "estimated" in str(clock)
    assert clock.error(int(NOW.timestamp()) + ahead + 3, NOW) == 3


def test_a_clock_of_another_day_and_a_zone_that_is_none_are_refused() -> None:
    with pytest.raises(ValueError, match="another day"):
        ServerClock("").learn(int(NOW.timestamp()) + 86_400, NOW)
    for zone in ("Europe/Atlantis", "GMT plus two", "+2", "../etc/passwd"):
        with pytest.raises(ValueError, match="zone"):
            ServerClock(zone)


# deals


def a_deal(**given: Any) -> shapes.Deal:
    row = {"Deal": "9", "Login": "1", "Action": "0", "Entry": "0", "Reason": "0", "Order": "8", "PositionID": "8"} | {
        "TimeMsc": str(server_ms("2026-06-15T12:00:00")),
        "Symbol": "EURUSD",
        "Price": "1.1",
        "Volume": "1000",
        "VolumeExt": "10000000",
        "Profit": "0.00",
        "Commission": "-0.50",
    }
    return shapes.Deal.model_validate(row | given)


def facts(**given: Any) -> list[Fill | Money]:
    return fills_of(a_deal(**given), "USD", ServerClock("UTC"), NOW)


def test_a_turn_of_a_position_closes_and_opens() -> None:
    closing, opening = facts(Action="1", Entry="2", VolumeClosed="400", VolumeClosedExt="4000000", Profit="12.50")
    assert isinstance(closing, Fill) and isinstance(opening, Fill)
    assert [(each.fill_id, each.entry, each.lots) for each in (closing, opening)] == [
        ("9", "out", Decimal("0.04")),
        ("9/in", "in", Decimal("0.06")),
    ]
    assert (closing.profit_minor, closing.commission_minor) == (12_50, -50)
    assert (opening.profit_minor, opening.commission_minor) == (0, 0)


@pytest.mark.parametrize("action", [names.DEAL_CREDIT, names.DEAL_BUY_CANCELED, names.DEAL_SELL_CANCELED, 20])
def test_credit_and_cancelled_deals_move_no_balance(action: int) -> None:
    assert facts(Action=str(action), Profit="100.00") == []


@pytest.mark.parametrize("action", [2, 4, 5, 6, 7, 8, 12, 15, 17, 19])
def test_every_other_deal_without_a_trade_moves_it(action: int) -> None:
    (money,) = facts(Action=str(action), Symbol="", Profit="-7.00", Commission="0")
    assert isinstance(money, Money)
    assert (money.operation, money.amount_minor, money.key) == ("adjustment", -7_00, "9")


@pytest.mark.parametrize(
    "wrong",
    [
        {"Action": "250"},
        {"Entry": "250"},
        {"Price": "0"},
        {"Volume": "0", "VolumeExt": "0"},
        {"Symbol": ""},
        {"PositionID": "0"},
        {"Entry": "2"},
        {"Profit": "1.234"},
        {"TimeMsc": "0"},
    ],
)
def test_a_deal_that_cannot_be_understood_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"."):
        facts(**wrong)


@pytest.mark.parametrize(
    "wrong", [{"Price": "-1"}, {"Profit": "NaN"}, {"Login": {"a": 1}}, {"Symbol": "\x00"}, {"Profit": True}]
)
def test_a_row_that_is_none_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        a_deal(**wrong)


def test_volumes_of_older_servers_are_read() -> None:
    (fill,) = facts(VolumeExt="0")
    assert isinstance(fill, Fill)
    assert fill.lots == Decimal("0.1")


# refusals


@pytest.mark.parametrize(
    ("retcode", "error"),
    [
        (names.MT_RET_ERR_NOTFOUND, NotFound),
        (names.MT_RET_ERR_PARAMS, BadInput),
        (names.MT_RET_REQUEST_NO_MONEY, Conflict),
        (names.MT_RET_ERR_PERMISSIONS, Unavailable),
        (names.MT_RET_REQUEST_MARKET_CLOSED, Unavailable),
        (names.MT_RET_REQUEST_TOO_MANY, Unavailable),
        (1001, Unavailable),
        (9, OutcomeUnknown),
        (99_999, OutcomeUnknown),
    ],
)
def test_a_refusal_of_a_change_has_its_class(retcode: int, error: type[PropOSError]) -> None:
    assert type(outcomes.refusal(retcode, changing=True)) is error


def test_the_same_at_a_question_never_says_that_something_may_have_happened() -> None:
    for retcode in (*range(20), *range(1000, 1040), *range(10_000, 10_050)):
        assert not isinstance(outcomes.refusal(retcode, changing=False), OutcomeUnknown)


@pytest.mark.parametrize(
    ("text", "code"),
    [("0 Done", 0), ("10009 Request done", 10009), ("Done", None), (None, None), ("", None), ("-1 x", None)],
)
def test_a_retcode_is_the_number_before_the_words(text: object, code: int | None) -> None:
    assert outcomes.retcode_of(text) == code


# settings


def given_settings(**changes: str) -> dict[str, str]:
    return {
        "url": "https://mt5.example.com:443",
        "manager": "1000",
        "password": "p",
        "first_login": "1",
        "last_login": "1000",
        "gateway": "http://127.0.0.1:8200",
        "gateway_token": "t",
        **changes,
    }


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "http://mt5.example.com"},
        {"group_format": "propos"},
        {"server_zone": "Moon/Base"},
        {"last_login": "999"},
        {"marks": "guesses"},
        {"colour": "blue"},
    ],
)
def test_settings_that_cannot_work_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Mt5Settings.model_validate(given_settings(**wrong))


def test_a_group_of_ours_has_one_name_at_the_venue() -> None:
    settings = Mt5Settings.model_validate(given_settings())
    assert settings.group_at_venue("two-step/1", "USD") == "propos\\two-step-1-USD"
    assert settings.group_mask == "propos\\*-*"
    with pytest.raises(BadInput):
        settings.group_at_venue("a,b*", "USD")
    assert "p" not in repr(settings.password)[:9]


def test_a_firm_finds_it_by_its_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in [name for name in os.environ if name.startswith("PROPOS_") and name != "PROPOS_OPEN_PARENTS"]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("PROPOS_DATA", str(tmp_path))
    for field, value in {"adapter": "mt5", **given_settings()}.items():
        monkeypatch.setenv(f"PROPOS_PLATFORMS__LIVE__{field.upper()}", value)
    platform, feed, gateway = build_for_gateway(load(), "live")
    assert (platform.name, feed.name, gateway.gateway) == ("live", "live", "http://127.0.0.1:8200")
    assert platform.marks("two-step/1") == "states"
