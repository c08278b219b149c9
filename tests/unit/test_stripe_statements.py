"""Balance transactions as entries of a statement, fees apart."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from adapters.stripe.statements import StatementSettings, StripeStatements
from domain.errors import CursorForgotten, Unavailable
from tests import stripe_objects as make
from tests.stripe_server import KEY, StripeServer, error, page, serving


@pytest.fixture
def server() -> Iterator[StripeServer]:
    with serving() as running:
        yield running


@pytest.fixture
async def source(server: StripeServer) -> AsyncIterator[StripeStatements]:
    adapter = StripeStatements("stripe", StatementSettings.model_validate({"key": KEY, "url": server.url}))
    yield adapter
    await adapter.aclose()


def rows(*moved: Any, has_more: bool = False) -> dict[str, Any]:
    return page(*moved, has_more=has_more, url="/v1/balance_transactions")


@pytest.mark.parametrize(
    ("category", "amount", "found", "kind", "reference"),
    [
        ("charge", 9900, make.charge(), "charge", "ch1"),
        ("refund", -4000, make.refund(), "refund", "ch1"),
        ("refund_failure", 4000, make.refund(), "refund_failed", "ch1"),
        ("transfer", -26025, make.transfer(), "transfer", "trf-1"),
        (
            "transfer_reversal",
            26025,
            {"id": "trr_1", "object": "transfer_reversal", "transfer": "tr_1", "metadata": make.TRANSFER_MARKS},
            "transfer_return",
            "trf-1",
        ),
        ("payout", -50000, {"id": "po_9", "object": "payout", "metadata": {}}, "settlement", ""),
        ("payout_reversal", 50000, {"id": "po_9", "object": "payout", "metadata": {}}, "settlement", ""),
        ("fee", -200, None, "fee", ""),
        ("network_cost", -10, None, "fee", ""),
        ("connect_reserved_funds", -1, None, "connect_reserved_fun", ""),
    ],
)
async def test_the_kinds(
    server: StripeServer,
    source: StripeStatements,
    category: str,
    amount: int,
    found: dict[str, Any] | None,
    kind: str,
    reference: str,
) -> None:
    server.answers = {"GET /v1/balance_transactions": rows(make.moved("txn_1", category, amount, source=found))}
    [entry] = await source.entries(None)
    assert (entry.kind, entry.amount_minor, entry.reference, entry.problem) == (kind, amount, reference, None)
    assert entry.object_id == (found["id"] if found else "txn_1")


async def test_what_carries_no_reference_is_found_through_its_charge_or_transfer(
    server: StripeServer, source: StripeStatements
) -> None:
    desk_refund = make.refund(metadata={})
    server.answers = {
        "GET /v1/balance_transactions": rows(
            make.moved("txn_4", "dispute_reversal", 9900, source=make.dispute(payment_intent="pi_1")),
            make.moved("txn_3", "dispute", -9900, fee=1500, source=make.dispute(payment_intent="pi_1")),
            make.moved("txn_2", "refund", -4000, source=desk_refund),
            make.moved(
                "txn_1",
                "transfer_reversal",
                100,
                source={"id": "trr_1", "object": "transfer_reversal", "transfer": "tr_1", "metadata": {}},
            ),
        ),
        "GET /v1/charges/ch_1": make.charge(),
        "GET /v1/transfers/tr_1": make.transfer(),
    }
    entries = await source.entries(None)
    assert [(entry.entry_id, entry.kind, entry.amount_minor, entry.reference) for entry in entries] == [
        ("txn_1", "transfer_return", 100, "trf-1"),
        ("txn_2", "refund", -4000, "ch1"),
        ("txn_3", "dispute", -9900, "ch1"),
        ("txn_3:fee", "fee", -1500, "ch1"),
        ("txn_4", "dispute_won", 9900, "ch1"),
    ]
    server.answers["GET /v1/charges/ch_1"] = error(404, code="resource_missing")
    assert await source.entries(None) == entries, "what was asked once is not asked again"
    other = make.moved("txn_5", "refund", -4000, source=make.refund(metadata={}, charge="ch_2"))
    server.answers |= {
        "GET /v1/balance_transactions": rows(other),
        "GET /v1/charges/ch_2": error(404, code="resource_missing"),
    }
    assert (await source.entries(None))[0].reference == ""


async def test_the_entries_add_up_to_what_stripe_kept(server: StripeServer, source: StripeStatements) -> None:
    moved = [
        make.moved("txn_3", "transfer", -500, source=make.transfer()),
        make.moved("txn_2", "refund", -4000, fee=-30, source=make.refund()),
        make.moved("txn_1", "charge", 9900, fee=317, source=make.charge()),
    ]
    server.answers = {"GET /v1/balance_transactions": rows(*moved)}
    assert sum(entry.amount_minor for entry in await source.entries(None)) == sum(each["net"] for each in moved)


async def test_the_first_read_begins_at_the_oldest(server: StripeServer, source: StripeStatements) -> None:
    def some(*numbers: int, has_more: bool) -> dict[str, Any]:
        return rows(*(make.moved(f"txn_{number}", "charge", number) for number in numbers), has_more=has_more)

    server.answers = {"GET /v1/balance_transactions": [some(5, 4, 3, has_more=True), some(2, 1, has_more=False)]}
    assert [entry.amount_minor for entry in await source.entries(None, limit=2)] == [1, 2]
    server.answers = {"GET /v1/balance_transactions": [some(4, 3, has_more=True)]}
    assert [entry.amount_minor for entry in await source.entries("txn_2:fee", limit=2)] == [3, 4]
    asked = [call.given.get("ending_before") for call in server.calls]
    assert asked == [None, None, "txn_2"]


async def test_the_read_begins_at_the_first_day_of_the_settings(server: StripeServer) -> None:
    settings = StatementSettings.model_validate({"key": KEY, "url": server.url, "since": "2026-11-01"})
    source = StripeStatements("stripe", settings)
    server.answers = {"GET /v1/balance_transactions": rows()}
    assert await source.entries(None) == []
    await source.aclose()
    assert server.calls[0].given["created[gte]"] == "1793491200"


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (make.moved("txn_1", "charge", 9900, currency="xxx"), "currency"),
        (make.moved("txn_1", "charge", 150, currency="isk"), "not whole"),
        (make.moved("txn_1", "charge", 9900) | {"amount": 99.0}, "amount"),
        (make.moved("txn_1", "charge", 9900) | {"created": "yesterday"}, "created"),
        ({"id": "txn_1"}, "amount"),
        (7, "object"),
    ],
)
async def test_an_unreadable_movement_is_shown_and_not_booked(
    server: StripeServer, source: StripeStatements, row: Any, problem: str
) -> None:
    server.answers = {"GET /v1/balance_transactions": rows(row)}
    [entry] = await source.entries(None)
    assert (entry.kind, entry.amount_minor, entry.currency) == ("unreadable", 0, "-")
    assert entry.entry_id == "txn_1" or entry.entry_id.startswith("odd_")
    assert problem in str(entry.problem) or isinstance(row, int)


async def test_a_forgotten_movement_and_an_answer_that_is_no_list(
    server: StripeServer, source: StripeStatements
) -> None:
    server.answers = {"GET /v1/balance_transactions": error(400, code="resource_missing", param="ending_before")}
    with pytest.raises(CursorForgotten):
        await source.entries("txn_0")
    server.answers = {"GET /v1/balance_transactions": {"object": "balance"}}
    with pytest.raises(Unavailable):
        await source.entries("txn_0")


async def test_the_balance_is_what_is_available_and_what_is_on_its_way(
    server: StripeServer, source: StripeStatements
) -> None:
    usd, isk = {"amount": 700, "currency": "usd"}, {"amount": 1000, "currency": "isk"}
    balance = {"object": "balance", "livemode": False, "available": [usd, isk], "pending": [usd]}
    server.answers = {"GET /v1/balance": balance}
    assert {each.currency: each.amount_minor for each in await source.balances()} == {"USD": 1400, "ISK": 10}
