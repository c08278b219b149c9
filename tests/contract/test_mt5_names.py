"""Every name and number of MT5 that the adapter and the fake use is in the table mt5_names.json, and every entry of the
table is in the wheel MT5Manager."""

import json
from pathlib import Path
from typing import Any

import pytest

from adapters.mt5 import names, shapes
from sandbox.mt5 import values
from tests.contract import mt5_wheel

TABLE: dict[str, Any] = json.loads((Path(__file__).parent / "mt5_names.json").read_text())
SHAPES: dict[str, type[shapes.Shape]] = {
    "MTUser": shapes.User,
    "MTAccount": shapes.Account,
    "MTConGroup": shapes.Group,
    "MTPosition": shapes.Position,
    "MTOrder": shapes.Order,
    "MTDeal": shapes.Deal,
    "MTConSymbol": shapes.Symbol,
}
# name in the fake -> names in the wheel whose numbers it must be the sum of
FAKE = {
    "ENABLED": ("USER_RIGHT_ENABLED",),
    "TRADE_DISABLED": ("USER_RIGHT_TRADE_DISABLED",),
    "DEFAULT_RIGHTS": (
        *("USER_RIGHT_ENABLED", "USER_RIGHT_PASSWORD", "USER_RIGHT_TRAILING"),
        *("USER_RIGHT_EXPERT", "USER_RIGHT_REPORTS"),
    ),
    "BUY": ("DEAL_BUY",),
    "SELL": ("DEAL_SELL",),
    "BALANCE": ("DEAL_BALANCE",),
    "CREDIT": ("DEAL_CREDIT",),
    "IN": ("ENTRY_IN",),
    "OUT": ("ENTRY_OUT",),
    "BY_CLIENT": ("DEAL_REASON_CLIENT",),
    "BY_STOP_LOSS": ("DEAL_REASON_SL",),
    "BY_TAKE_PROFIT": ("DEAL_REASON_TP",),
    "POSITION_EXECUTE": ("TA_DEALER_POS_EXECUTE",),
    "ORDER_REMOVE": ("TA_DEALER_ORD_REMOVE",),
    "ORDER_CANCELLED": ("ORDER_STATE_CANCELED",),
    "ORDER_FILLED": ("ORDER_STATE_FILLED",),
    "NOT_FOUND": ("MT_RET_ERR_NOTFOUND",),
    "NO_MONEY": ("MT_RET_REQUEST_NO_MONEY",),
    "MARKET_CLOSED": ("MT_RET_REQUEST_MARKET_CLOSED",),
    "POSITION_CLOSED": ("MT_RET_REQUEST_POSITION_CLOSED",),
    "LOGIN_EXISTS": ("MT_RET_USR_LOGIN_EXIST",),
    "REQUEST_DONE": ("MT_RET_REQUEST_DONE",),
}


def numbers() -> dict[str, int]:
    return {name: number for members in TABLE["enums"].values() for name, number in members.items()}


def test_the_table_has_every_number_of_the_adapter() -> None:
    ours = {name: value for name, value in vars(names).items() if name.isupper() and isinstance(value, int)}
    unverified = TABLE["not_in_wheel"]["constants"]
    assert {name: value for name, value in ours.items() if name not in unverified} == numbers()
    assert set(unverified) <= set(ours)


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_the_table_has_every_field_of_the_adapter(name: str) -> None:
    read = set(SHAPES[name].model_fields) - set(TABLE["not_in_wheel"].get(name, ()))
    assert read == set(TABLE["fields"][name])


def test_the_fake_uses_the_same_numbers_written_down_a_second_time() -> None:
    for ours, theirs in FAKE.items():
        value = getattr(values, ours)
        given = int(value.split(" ")[0]) if isinstance(value, str) else value
        assert given == sum(numbers()[name] for name in theirs), ours


def test_the_wheel_has_every_name_of_the_table() -> None:
    known = mt5_wheel.names(mt5_wheel.wheel())
    for kind in ("enums", "fields"):
        missing = {where: set(members) - known[where] for where, members in TABLE[kind].items()}
        assert not any(missing.values()), missing
    assert "ApiData" not in known["MTUser"], "it can be checked now: move it in the table"


def test_the_wheel_has_every_number_of_the_table() -> None:
    found = mt5_wheel.Numbers(mt5_wheel.wheel())
    wrong = {name: found.of(name) for name, number in numbers().items() if found.of(name) != {number}}
    assert wrong == {}
    assert found.of("USER_RIGHT_DEFAULT") == {values.DEFAULT_RIGHTS}
