"""The bank's files: each fault is refused with its own error, the whole file or nothing, and a person sees why."""

import os
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from adapters.bank.xml import LARGEST
from domain.file_errors import (
    BankFileMisaddressed,
    BankFileOutOfOrder,
    BankFileRefused,
    BankFileRepeated,
    BankFileUnbalanced,
    BankFileUnreadable,
)
from sandbox.bank.ibans import firm_iban, iban_of
from sandbox.bank.messages import Line, notification_file, statement_file, status_file
from tests.bank_world import MONDAY, BankWorld, order

PAID = Line(-1000_01, key="trf-00000000000000000000000001")
BOMB = b'<?xml version="1.0"?><!DOCTYPE d [<!ENTITY a "aaaaaaaaaa">' + b"".join(
    b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9)
)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[BankWorld]:
    """One payment is with the bank; the bank's own statements are not looked at."""
    made = BankWorld(tmp_path)
    await made.rail.create_transfer(order(1))
    await made.rail.events(None)
    yield made
    await made.close()


def statement(
    *lines: Line, number: int = 1, opening: int = 0, iban: str = firm_iban("EUR"), currency: str = "EUR", id: str = ""
) -> bytes:
    at = MONDAY + timedelta(days=number)
    return statement_file(id or f"S-{number}", at, number, iban, currency, opening, lines or (PAID,))


def notification(*lines: Line, id: str = "N-1") -> bytes:
    return notification_file(id, MONDAY, firm_iban("EUR"), "EUR", lines or (PAID,))


def answer(batch: str, group: str | None = None, refused: dict[str, tuple[str, str]] | None = None) -> bytes:
    return status_file("A-1", MONDAY, batch, group, refused or {}, [PAID.key, *(refused or {})])


def drop(world: BankWorld, name: str, content: bytes) -> None:
    hidden = world.folder / "in" / f".{name}"
    hidden.write_bytes(content)
    os.replace(hidden, world.folder / "in" / name)


async def status(world: BankWorld) -> str:
    return (await world.rail.fetch_transfer(PAID.key)).status


def changed(old: bytes, new: bytes) -> bytes:
    content = statement()
    assert old in content
    return content.replace(old, new)


def _utf16(content: bytes) -> bytes:
    return content.decode().replace('version="1.0"', 'version="1.0" encoding="UTF-16"').encode("utf-16")


FOREIGN = b'<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
OTHER_CURRENCY = (b'<Ntry><Amt Ccy="EUR">', b'<Ntry><Amt Ccy="USD">')
OTHER_CLOSING = (
    b"1000.01</Amt><CdtDbtInd>DBIT</CdtDbtInd><Dt>",
    b"1000.02</Amt><CdtDbtInd>DBIT</CdtDbtInd><Dt>",
)
NUMBER = b"<ElctrncSeqNb>1</ElctrncSeqNb>"
YEN = statement(Line(-5), iban=firm_iban("JPY"), currency="JPY")
FAULTS: list[tuple[str, Callable[[], bytes], type[BankFileRefused], str]] = [
    ("truncated", lambda: statement()[:-300], BankFileUnreadable, "The file is no complete XML"),
    ("empty", lambda: b"", BankFileUnreadable, "The file is no complete XML"),
    ("no XML", lambda: b"\x00\xff%PDF", BankFileUnreadable, "The file is no complete XML"),
    ("another document", lambda: b"<html/>", BankFileUnreadable, "Document is no message of ISO 20022"),
    ("another message", lambda: statement().replace(b"camt.053", b"camt.060"), BankFileUnreadable, "is camt.060"),
    ("entity bomb", lambda: BOMB + b"]><d>&j;</d>", BankFileUnreadable, "has a document type or entities"),
    ("entity bomb in UTF-16", lambda: _utf16(BOMB + b"]><d>&j;</d>"), BankFileUnreadable, "The file"),
    ("entity that names a file", lambda: FOREIGN + statement()[38:], BankFileUnreadable, "has a document type"),
    ("nested too deeply", lambda: b"<a>" * 100_000, BankFileUnreadable, "The file is no complete XML"),
    ("too large", lambda: b" " * (LARGEST + 1), BankFileUnreadable, "is larger than 20 MiB"),
    ("other account", lambda: statement(iban=iban_of("x")), BankFileMisaddressed, "Acct/Id is account"),
    ("our account, other currency", lambda: statement(currency="USD"), BankFileMisaddressed, "Acct/Id is account"),
    ("unknown currency", lambda: changed(b"EUR", b"XXX"), BankFileUnreadable, "Bal/Amt cannot be read"),
    ("entry in another currency", lambda: changed(*OTHER_CURRENCY), BankFileUnreadable, "the account is in EUR"),
    ("sums", lambda: changed(*OTHER_CLOSING), BankFileUnbalanced, "Stmt S-1 has an opening balance of 0"),
    ("too many decimals", lambda: changed(b"1000.01", b"1000.011"), BankFileUnreadable, "Amt cannot be read"),
    ("exponent", lambda: changed(b"1000.01", b"1e3"), BankFileUnreadable, "Amt cannot be read"),
    ("negative", lambda: changed(b"1000.01", b"-1000.01"), BankFileUnreadable, "Amt is negative"),
    ("no direction", lambda: changed(b">DBIT<", b">MAYBE<"), BankFileUnreadable, "CdtDbtInd is 'MAYBE'"),
    ("no number", lambda: changed(NUMBER, b""), BankFileUnreadable, "Stmt/ElctrncSeqNb is missing"),
    ("no balance", lambda: changed(b"CLBD", b"CLAV"), BankFileUnreadable, "Stmt/Bal has no opening"),
    ("no date", lambda: changed(b"<BookgDt><DtTm>20", b"<BookgDt><DtTm>x"), BankFileUnreadable, "is no date"),
    ("yen with decimals", lambda: YEN.replace(b">5<", b">5.50<"), BankFileUnreadable, "Amt cannot be read"),
    ("answer to another file", lambda: answer("B-other"), BankFileMisaddressed, "OrgnlMsgId is B-other"),
]


@pytest.mark.parametrize(("content", "error", "reason"), [fault[1:] for fault in FAULTS], ids=[f[0] for f in FAULTS])
async def test_a_faulty_file_is_refused_and_nothing_is_booked(
    world: BankWorld, content: Callable[[], bytes], error: type[BankFileRefused], reason: str
) -> None:
    drop(world, "bad.xml", content())
    assert await world.statements.entries(None) == []
    assert await world.statements.balances() == []
    assert await status(world) == "pending"
    [(kind, problem)] = await world.problems()
    assert kind == error.type
    assert problem.startswith("The bank's file bad.xml is not booked: ")
    assert reason in problem
    assert world.names("in") == []
    assert world.names("refused") == ["000001-bad.xml", "000001-bad.xml.reason"]
    assert (world.folder / "refused" / "000001-bad.xml.reason").read_text() == f"{problem}\n"
    assert (world.folder / "refused" / "000001-bad.xml").read_bytes() == content()[: LARGEST + 1]
    drop(world, "good.xml", statement())
    assert await world.moved() == [("transfer", PAID.key, -1000_01)]
    assert await status(world) == "paid"


async def test_a_fault_in_one_entry_refuses_the_entries_before_it(world: BankWorld) -> None:
    second = Line(-5, text="second")
    content = statement(PAID, second).replace(b">0.05<", b">0.0x<")
    drop(world, "half.xml", content)
    assert await world.moved() == []
    assert await status(world) == "pending"
    drop(world, "whole.xml", statement(PAID, second))
    assert [amount for _, _, amount in await world.moved()] == [-1000_01, -5]


async def test_a_file_with_two_statements_is_booked_whole_or_not_at_all(world: BankWorld) -> None:
    first, other = statement(PAID), statement(Line(-7, text="x"), number=2, opening=0)
    inner = other[other.index(b"<Stmt>") : other.index(b"</Stmt>") + len(b"</Stmt>")]
    drop(world, "two.xml", first.replace(b"</Stmt>", b"</Stmt>" + inner))
    assert await world.moved() == []
    assert await status(world) == "pending"
    [(kind, problem)] = await world.problems()
    assert kind == BankFileOutOfOrder.type
    assert "Bal OPBD is 0 minor units, and the last statement closed with -100001" in problem


@pytest.mark.parametrize("same_name", [True, False])
async def test_a_statement_is_read_once(world: BankWorld, same_name: bool) -> None:
    drop(world, "a.xml", statement())
    assert len(await world.moved()) == 1
    drop(world, "a.xml" if same_name else "b.xml", statement())
    assert len(await world.moved()) == 1
    [(kind, problem)] = await world.problems()
    assert (kind, "has the content of a.xml" in problem) == (BankFileRepeated.type, True)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (statement(PAID, id="S-1 again"), "ElctrncSeqNb 1 was read before"),
        (statement(PAID, number=2, opening=-1000_01, id="S-1"), "Id S-1 was read before"),
    ],
)
async def test_a_copy_with_other_content_is_known_by_its_id_or_number(
    world: BankWorld, content: bytes, reason: str
) -> None:
    drop(world, "a.xml", statement())
    await world.moved()
    drop(world, "copy.xml", content)
    assert len(await world.moved()) == 1
    [(kind, problem)] = await world.problems()
    assert kind == BankFileRepeated.type
    assert reason in problem


async def test_a_statement_after_a_gap_waits_for_the_missing_one(world: BankWorld) -> None:
    second = statement(Line(50, text="in"), number=2, opening=-1000_01)
    third = statement(Line(60, text="in"), number=3, opening=-999_51)
    drop(world, "1.xml", statement())
    await world.moved()
    drop(world, "3.xml", third)
    assert len(await world.moved()) == 1
    [(kind, problem)] = await world.problems()
    assert kind == BankFileOutOfOrder.type
    assert "ElctrncSeqNb is 3, and the last one read is 1. Ask the bank for the statements between them." in problem
    drop(world, "2.xml", second)
    assert [amount for _, _, amount in await world.moved()] == [-1000_01, 50, 60]
    assert len(await world.problems()) == 1
    assert world.names("refused") == []
    [balance] = await world.statements.balances()
    assert (balance.currency, balance.amount_minor) == ("EUR", -998_91)


async def test_files_that_come_together_are_read_in_the_order_of_their_numbers(world: BankWorld) -> None:
    drop(world, "a.xml", statement(Line(50, text="in"), number=2, opening=-1000_01))
    drop(world, "b.xml", statement())
    assert [amount for _, _, amount in await world.moved()] == [-1000_01, 50]
    assert await world.problems() == []


async def test_the_first_statement_of_a_connection_is_named_in_the_settings(world: BankWorld) -> None:
    drop(world, "2.xml", statement(Line(50, text="in"), number=2, opening=-1000_01))
    assert await world.moved() == []
    [(kind, problem)] = await world.problems()
    assert (kind, "is 2, and the first one to read is 1" in problem) == (BankFileOutOfOrder.type, True)
    drop(world, "1.xml", statement())
    assert [amount for _, _, amount in await world.moved()] == [-1000_01, 50]


async def test_an_opening_balance_that_does_not_follow_is_refused(world: BankWorld) -> None:
    drop(world, "1.xml", statement())
    drop(world, "2.xml", statement(Line(5, text="in"), number=2, opening=-1000_00))
    assert len(await world.moved()) == 1
    [(kind, problem)] = await world.problems()
    assert (kind, "Bal OPBD is -100000 minor units" in problem) == (BankFileOutOfOrder.type, True)


async def test_a_bank_may_count_its_statements_anew_each_year(world: BankWorld) -> None:
    drop(world, "1.xml", statement(number=1))
    next_year = statement_file("S-2027", MONDAY + timedelta(days=365), 1, firm_iban("EUR"), "EUR", -1000_01, [Line(5)])
    drop(world, "2.xml", next_year)
    assert [amount for _, _, amount in await world.moved()] == [-1000_01, 5]


async def test_a_notification_tells_early_and_is_no_second_booking(world: BankWorld) -> None:
    drop(world, "n.xml", notification())
    assert await status(world) == "paid"
    assert await world.moved() == []
    drop(world, "s.xml", statement())
    assert await world.moved() == [("transfer", PAID.key, -1000_01)]
    assert await world.problems() == []


async def test_an_entry_that_is_not_booked_yet_moves_nothing(world: BankWorld) -> None:
    drop(world, "n.xml", notification().replace(b"BOOK", b"PDNG"))
    assert await status(world) == "pending"


async def test_a_batch_that_the_bank_booked_in_one_sum_is_taken_apart(world: BankWorld) -> None:
    one = b'<TxDtls><Refs><EndToEndId>%s</EndToEndId></Refs><Amt Ccy="EUR">%s</Amt></TxDtls>'
    parts = one % (PAID.key.encode(), b"1000.01") + one % (b"other", b"2.00")
    content = statement(Line(-1002_01, text="batch"))
    start, end = content.index(b"<TxDtls>"), content.index(b"</TxDtls>") + len(b"</TxDtls>")
    drop(world, "bad.xml", content[:start] + parts.replace(b"2.00", b"2.01") + content[end:])
    assert await world.moved() == []
    [(kind, problem)] = await world.problems()
    assert kind == BankFileUnbalanced.type
    assert "Ntry is 100201 minor units, but its transactions sum to 100202" in problem
    drop(world, "s.xml", content[:start] + parts + content[end:])
    assert await world.moved() == [("transfer", PAID.key, -1000_01), ("debit", "other", -2_00)]
    assert await status(world) == "paid"


BOOKINGS = [
    ([PAID, PAID], "paid", 1, "booked transfer trf-00000000000000000000000001 twice"),
    ([Line(-1000_00, key=PAID.key)], "pending", 0, "the bank booked -100000"),
    ([PAID, Line(1000_01, key=PAID.key, returned=("AC04", "Closed."))], "returned", None, ""),
    ([PAID, Line(999_01, key=PAID.key, returned=("AC04", "Closed."))], "paid", 1, "the bank booked 99901"),
    ([PAID, Line(1000_01, key=PAID.key, text="thanks")], "paid", 1, "is no return"),
    ([PAID, Line(1000_01, key=PAID.key, reversal=True)], "returned", None, ""),
    ([Line(1000_01, key=PAID.key, returned=("AC04", "Closed."))], "pending", 0, "more money back"),
    ([PAID, PAID, Line(1000_01, key=PAID.key, reversal=True)], "paid", 2, "took back its second booking"),
]


CLOSED = ("AC04", "Closed.")
CHARGES = [
    # of a payment of 1000.01: what came back, the charges in the file, the limit of the settings, and the verdict
    (999_01, 1_00, "", True),
    (999_01, 99, "", False),
    (999_01, 1_01, "EUR:5", False),
    (999_01, 0, "EUR:1", True),
    (999_01, 0, "EUR:0.99", False),
    (999_01, 0, "USD:1", False),
    (1000_02, 0, "EUR:5", False),
]


@pytest.mark.parametrize(("back", "stated", "limit", "explained"), CHARGES)
async def test_charges_of_a_return_are_a_fee_only_when_they_are_explained(
    tmp_path: Path, back: int, stated: int, limit: str, explained: bool
) -> None:
    world = BankWorld(tmp_path, return_charges_up_to=limit)
    await world.rail.create_transfer(order(1))
    await world.rail.events(None)
    line = Line(back, key=PAID.key, returned=CLOSED, charges_minor=stated)
    drop(world, "s.xml", statement(PAID, line))
    _, *found = await world.statements.entries(None)
    assert sum(entry.amount_minor for entry in found) == back, "the balance needs exactly what the bank booked"
    if explained:
        assert [(entry.kind, entry.amount_minor, entry.reference) for entry in found] == [
            ("transfer_return", 1000_01, PAID.key),
            ("fee", back - 1000_01, PAID.key),
        ]
        assert [entry.problem for entry in found] == [None, None]
    else:
        assert [entry.kind for entry in found] == ["transfer_return"] and "Ask the bank why" in str(found[0].problem)
    assert await status(world) == ("returned" if explained else "paid")
    await world.close()


@pytest.mark.parametrize(("lines", "after", "wrong", "problem"), BOOKINGS)
async def test_what_a_booking_means(
    world: BankWorld, lines: list[Line], after: str, wrong: int | None, problem: str
) -> None:
    drop(world, "s.xml", statement(*lines))
    found = await world.statements.entries(None)
    assert [entry.amount_minor for entry in found] == [line.amount_minor for line in lines], (
        "the balance needs them all"
    )
    assert await status(world) == after
    if wrong is None:
        assert [entry.problem for entry in found] == [None] * len(lines)
        assert (await world.rail.fetch_transfer(PAID.key)).failure
    else:
        assert problem in str(found[wrong].problem)


async def test_a_cancelled_payment_that_the_bank_books_is_shown_to_a_person(world: BankWorld) -> None:
    await world.rail.create_transfer(order(2))
    await world.rail.cancel_transfer(order(2).key)
    drop(world, "s.xml", statement(Line(-1000_02, key=order(2).key)))
    [entry] = await world.statements.entries(None)
    assert "which is cancelled" in str(entry.problem)
    assert (await world.rail.fetch_transfer(order(2).key)).status == "cancelled"


async def test_fees_settlements_and_unknown_movements_have_their_kinds(world: BankWorld) -> None:
    lines = [
        Line(-15, text="Fee", code="CHRG"),
        Line(500, key="po_1", debtor="Stripe Payments Europe"),
        Line(7, text="gift"),
        Line(-8, text="rent"),
    ]
    drop(world, "s.xml", statement(*lines))
    found = await world.statements.entries(None)
    assert [(each.kind, each.reference) for each in found] == [
        ("fee", "Fee"), ("settlement", "po_1"), ("credit", "gift"), ("debit", "rent"),
    ]  # fmt: skip
    assert await world.statements.entries(found[1].entry_id) == found[2:]
    assert await world.statements.entries(None, limit=2) == found[:2]


async def test_the_bank_refuses_one_payment_or_the_whole_file(world: BankWorld) -> None:
    await world.rail.create_transfer(order(2))
    await world.rail.events(None)
    first, second = (path.stem for path in sorted((world.folder / "out").iterdir(), key=lambda p: p.stat().st_mtime_ns))
    drop(world, "a.xml", answer(first, refused={PAID.key: ("AC01", "No such account.")}))
    drop(world, "b.xml", answer(second, group="AM05"))
    assert (await world.rail.fetch_transfer(PAID.key)).failure == "AC01: No such account."
    assert await status(world) == "refused"
    assert (await world.rail.fetch_transfer(order(2).key)).status == "pending", "the first copy of the file counts"
    [(kind, _)] = await world.problems()
    assert kind == "bank-file-sent-twice"
    drop(world, "c.xml", answer(second, group="AG01"))
    assert (await world.rail.fetch_transfer(order(2).key)).status == "refused"


async def test_a_refusal_of_a_payment_that_was_booked_is_shown_to_a_person(world: BankWorld) -> None:
    [batch] = [path.stem for path in (world.folder / "out").iterdir()]
    drop(world, "s.xml", statement())
    assert await status(world) == "paid"
    drop(world, "a.xml", answer(batch, group="AG01"))
    assert await status(world) == "paid"
    assert "refused transfer" in (await world.problems())[0][1]
