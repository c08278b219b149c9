"""What the decoder of MT5 makes of polled lists, message by message."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from adapters.mt5 import marks
from adapters.mt5.decode import Mt5Decoder
from adapters.mt5.names import USER_RIGHT_ENABLED, USER_RIGHT_TRADE_DISABLED
from ports.venue import (
    Access,
    CaughtUp,
    Cursor,
    Fact,
    Fill,
    FillCorrected,
    Message,
    Money,
    Order,
    Quote,
    Snapshot,
    State,
    Stops,
    Unreadable,
    VenueTime,
)

START = datetime(2026, 6, 15, 12, tzinfo=UTC)
SECONDS = int(START.timestamp())
USER = {"Login": "1", "Group": "g", "Rights": "1", "Registration": "5", "Balance": "100.00", "Credit": "0.00"}
ACCOUNT = {"Login": "1", "Balance": "100.00", "Equity": "99.00"}
POSITION = {"Position": "8", "Login": "1", "Symbol": "EURUSD", "Action": "0", "Volume": "1000", "PriceOpen": "1.1"} | {
    "PriceCurrent": "1.1",
    "TimeCreateMsc": str(SECONDS * 1000),
}
DEAL = {"Deal": "9", "Login": "1", "Action": "0", "Entry": "0", "PositionID": "8", "Symbol": "EURUSD"} | {
    "TimeMsc": str(SECONDS * 1000),
    "Price": "1.1",
    "Volume": "1000",
    "Profit": "0.00",
    "Commission": "-0.50",
}
ORDER = {"Order": "7", "Login": "1", "Symbol": "EURUSD", "State": "1", "Type": "2", "PriceOrder": "1.1"} | {
    "TimeSetupMsc": str(SECONDS * 1000),
    "VolumeInitial": "1000",
    "VolumeCurrent": "1000",
}


class Server:
    """Sends lists to one decoder. `bad`: what the last message was blamed for."""

    def __init__(self) -> None:
        self.decoder = Mt5Decoder(7707, "UTC")
        self.now, self.bad = START, ""
        self.send("time", {"Time": f"{SECONDS} 2026.06.15 12:00:00"})
        self.send("group", {"Group": "g", "Currency": "USD"})
        self.send("users", [USER])

    def raw(self, channel: str, body: bytes) -> list[Fact]:
        facts, self.bad = list[Fact](), ""
        try:
            for fact in self.decoder.facts(Message(channel, body, self.now)):
                facts.append(fact)
        except Unreadable as error:
            self.bad = str(error)
        return facts

    def send(self, channel: str, answer: Any) -> list[Fact]:
        return self.raw(channel, json.dumps({"retcode": "0 Done", "answer": answer}).encode())

    def round(self, deals: Any = (), *, accounts: Any = (ACCOUNT,), positions: Any = (), orders: Any = (),
              history: Any = (), since: int = SECONDS - 120) -> list[Fact]:  # fmt: skip
        """A whole round; what its last message says."""
        self.now += timedelta(seconds=1)
        self.send("time", {"Time": f"{int(self.now.timestamp())} 2026.06.15 12:00:00"})
        for channel, rows in (
            ("accounts", accounts), ("positions", positions), ("orders", orders), ("history", history),
        ):  # fmt: skip
            self.send(channel, list(rows))
        return self.send(f"deals/{since}", list(deals))


@pytest.fixture
def server() -> Server:
    return Server()


def of(kind: type[Fact], facts: list[Fact]) -> list[Any]:
    return [fact for fact in facts if isinstance(fact, kind)]


def test_a_round_ends_with_states_time_and_cursor(server: Server) -> None:
    first = server.round([DEAL])
    assert [type(fact) for fact in first] == [Fill, VenueTime, Cursor]
    second = server.round([DEAL])
    assert [type(fact) for fact in second] == [State, VenueTime, Cursor]
    assert (second[0].balance_minor, second[0].equity_minor) == (100_00, 99_00)  # type: ignore[union-attr]
    assert second[2] == Cursor("deals", str(SECONDS + 2))
    assert [type(fact) for fact in server.round([DEAL])] == [VenueTime, Cursor], "nothing is told twice"


def test_a_state_that_may_be_older_than_a_new_deal_is_not_told(server: Server) -> None:
    server.round()
    changed = [ACCOUNT | {"Equity": "90.00"}]
    assert of(State, server.round([DEAL], accounts=changed)) == []
    assert len(of(State, server.round([DEAL], accounts=changed))) == 1


def test_what_cannot_be_read_leaves_the_rest_and_holds_the_cursor_back(server: Server) -> None:
    odd: list[dict[str, Any]] = [DEAL | {"Deal": "10", "Action": "250"}, DEAL | {"Deal": "11", "Profit": {"a": 1}}]
    facts = server.round([odd[0], DEAL, odd[1]])
    assert [fill.fill_id for fill in of(Fill, facts)] == ["9"]
    assert of(Cursor, facts) == []
    assert server.bad
    told = server.round([DEAL, DEAL | {"Deal": "10"}, DEAL | {"Deal": "11"}])
    assert [fill.fill_id for fill in of(Fill, told)] == ["10", "11"]
    assert len(of(Cursor, told)) == 1


def test_deals_of_a_login_that_nobody_knows_wait_for_its_user_and_are_said(server: Server) -> None:
    stranger = DEAL | {"Login": "2"}
    assert of(Fill, server.round([stranger])) == []
    server.send("users", [USER])
    assert "unknown login 2" in server.bad
    server.send("users", [USER, USER | {"Login": "2"}])
    assert server.bad == ""
    assert [fill.login for fill in of(Fill, server.round([stranger]))] == [2]


def test_a_changed_deal_is_told_again_and_a_cancelled_one_corrected(server: Server) -> None:
    server.round([DEAL])
    assert [fill.profit_minor for fill in of(Fill, server.round([DEAL | {"Profit": "-1.00"}]))] == [-1_00]
    (corrected,) = of(FillCorrected, server.round([DEAL | {"Action": "13"}]))
    assert (corrected.fill_id, corrected.change_minor) == ("9", None)


def test_a_deal_counts_as_deleted_only_when_the_server_says_so(server: Server) -> None:
    server.round([DEAL])
    assert of(FillCorrected, server.round([])) == []
    assert server.send("gone/9", DEAL) == [], "the list was cut short"
    not_found = server.raw("gone/9", b'{"retcode" : "13 Not found"}')
    assert [(fact.fill_id, fact.change_minor) for fact in of(FillCorrected, not_found)] == [("9", None)]
    assert server.raw("gone/9", b'{"retcode" : "13 Not found"}') == []


def test_pending_orders_are_followed_to_their_end(server: Server) -> None:
    (placed,) = of(Order, server.round(orders=[ORDER]))
    (changed,) = of(Order, server.round(orders=[ORDER | {"PriceOrder": "1.2"}]))
    ended = ORDER | {"State": "4", "TimeDoneMsc": str(SECONDS * 1000 + 5000), "VolumeCurrent": "0"}
    last = server.round([DEAL | {"Order": "7"}], history=[ended])
    (filled,) = of(Order, last)
    assert [each.change for each in (placed, changed, filled)] == ["placed", "changed", "filled"]
    assert len({each.version for each in (placed, changed, filled)}) == 3
    assert [fill.reason for fill in of(Fill, last)] == ["pending_fill"]
    assert of(Order, server.round(orders=[ORDER | {"Order": "6", "Type": "0"}])) == [], "a market order is none"


def test_access_and_stops_are_told_when_they_change(server: Server) -> None:
    assert server.send("users", [USER]) == []
    off = USER | {"Rights": str(USER_RIGHT_ENABLED | USER_RIGHT_TRADE_DISABLED)}
    assert [fact.change for fact in of(Access, server.send("users", [off]))] == ["disabled"]
    with_stop = POSITION | {"PriceSL": "1.05"}
    assert [(stops.stop_loss, stops.take_profit) for stops in of(Stops, server.round(positions=[with_stop]))] != []
    assert of(Stops, server.round(positions=[with_stop])) == []
    assert [stops.stop_loss for stops in of(Stops, server.round(positions=[POSITION]))] == [None]


def test_an_account_without_a_state_is_known_by_its_user(server: Server) -> None:
    server.round(accounts=[], positions=[POSITION])
    snapshot, caught_up = server.send("caught_up", {})
    assert isinstance(snapshot, Snapshot) and isinstance(caught_up, CaughtUp)
    assert (snapshot.account.balance_minor, snapshot.account.equity_minor) == (100_00, 100_00)
    assert [position.position_id for position in snapshot.account.positions] == ["8"]


@pytest.mark.parametrize("shown", ["accounts", "positions"])
def test_an_account_with_an_unreadable_row_has_no_snapshot(server: Server, shown: str) -> None:
    odd = {"Login": "1", "Equity": "much", "Position": "none"}
    server.send("users", [USER, USER | {"Login": "2"}])
    server.round(accounts=[odd] if shown == "accounts" else (), positions=[odd] if shown == "positions" else ())
    assert [each.account.login for each in of(Snapshot, server.send("caught_up", {}))] == [2]
    server.round()
    assert [each.account.login for each in of(Snapshot, server.send("caught_up", {}))] == [1, 2]
    server.send("snapshot/users", [USER])
    server.send("snapshot/accounts", [odd] if shown == "accounts" else [ACCOUNT])
    assert server.send("snapshot/positions", [odd] if shown == "positions" else []) == []


def test_a_settled_payout_is_told_once(server: Server) -> None:
    cells = marks.added([], 7707, marks.value_of("settled", "pay/settled"))
    cells = marks.added(cells, 7707, marks.value_of("lock", "k"))
    (money,) = of(Money, server.send("users", [USER | {"ApiData": cells}]))
    assert (money.operation, money.amount_minor) == ("payout_settled", 0)
    assert server.send("users", [USER | {"ApiData": cells}]) == []


@pytest.mark.parametrize(("bid", "ask"), [("0", "1.1"), ("-1", "1.1"), ("1.2", "1.1"), ("NaN", "1.1")])
def test_a_price_that_is_none_is_said(server: Server, bid: str, ask: str) -> None:
    server.send("ticks", [{"Symbol": "EURUSD", "Bid": bid, "Ask": ask, "DatetimeMsc": str(SECONDS * 1000)}])
    assert server.bad
    assert of(Quote, server.round()) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"retcode": "x"}',
        b'{"retcode": "2 Error"}',
        b'{"retcode": "0 Done", "answer": 7}',
        b"[" * 9999,
    ],
)
@pytest.mark.parametrize("channel", ["users", "accounts", "deals/0", "time", "group", "gone/9"])
def test_a_body_that_is_no_answer_is_unreadable(server: Server, channel: str, body: bytes) -> None:
    facts = server.raw(channel, body)
    assert server.bad or channel == "gone/9"
    assert of(Fill, facts) == of(Cursor, facts) == []


def test_an_unknown_list_is_unreadable(server: Server) -> None:
    assert server.raw("weather", b"{}") == []
    assert server.bad == "an unknown list"


def test_the_same_messages_say_the_same(server: Server) -> None:
    other = Server()
    for each in (server, other):
        each.round([DEAL], orders=[ORDER], positions=[POSITION | {"PriceSL": "1"}])
    assert server.round([DEAL]) == other.round([DEAL])
