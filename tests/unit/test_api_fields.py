"""What arrives from outside, checked without a server; refusals that cross Temporal; cursors."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from contracts.failures import ERRORS, error_of
from domain.approvals import ROLES, Actor
from domain.errors import AlreadyDecided, BadInput, NotAllowed, NotFound
from domain.keys import new_id
from domain.money import Money
from front.fields import AccountId, Reason, iban, positive_money, ungrouped
from front.permissions import CAN, check, may
from front.updates import update_key
from store.read.pages import decode_cursor, encode_cursor

VALID = "DE89370400440532013000"


@given(position=st.integers(2, len(VALID) - 1), step=st.integers(1, 9))
def test_every_mistyped_digit_of_an_iban_is_found(position: int, step: int) -> None:
    wrong = VALID[:position] + str((int(VALID[position]) + step) % 10) + VALID[position + 1 :]
    assert iban(f" {VALID[:4]} {VALID[4:]} ") == VALID
    with pytest.raises(BadInput):
        iban(wrong)


@given(st.text(max_size=40))
def test_no_text_breaks_the_reading_of_ibans_and_amounts(text: str) -> None:
    for read in (iban, lambda value: positive_money(value, "USD")):
        try:
            found = read(text)
        except BadInput as refusal:
            assert refusal.field in ("iban", "amount")
        else:
            assert found == VALID or isinstance(found, str | Money)


@given(st.integers(1, 10**12))
def test_an_amount_comes_back_to_the_cent(minor: int) -> None:
    assert positive_money(f"{minor // 100}.{minor % 100:02d}", "USD").minor == minor


def test_an_amount_has_no_more_digits_than_its_currency() -> None:
    assert positive_money("1.234", "KWD").minor == 1234
    for text, currency in (("1.5", "JPY"), ("1.234", "USD")):
        with pytest.raises(BadInput):
            positive_money(text, currency)


@pytest.mark.parametrize(
    ("text", "plain"), [("0.50", "0.50"), ("1,240.50", "1240.50"), ("12,345,678", "12345678"), ("much", "much")]
)
def test_commas_between_thousands_are_left_out(text: str, plain: str) -> None:
    assert ungrouped(text) == plain


@pytest.mark.parametrize(
    "text", ["0,50", "1240,50", "1.240,50", "1,24", "0,500", ",500", "1,,000", "1,0000", "1,000,00"]
)
def test_another_comma_is_refused_and_the_remedy_named(text: str) -> None:
    with pytest.raises(BadInput, match="voucher: a comma") as refused:
        ungrouped(text, field="voucher")
    assert (refused.value.field, refused.value.remedy) == ("voucher", "Write 0.50 with a point.")


def test_an_id_of_another_noun_is_not_found() -> None:
    adapter = TypeAdapter[str](AccountId)
    known = new_id("acc")
    assert adapter.validate_python(known) == known
    for wrong in (new_id("pay"), known.upper(), known + "x", "", f"{known}\n"):
        with pytest.raises(NotFound):
            adapter.validate_python(wrong)


@pytest.mark.parametrize("text", ["", "   ", "a\x00b", "\x1b[31m", "x" * 1001])
def test_a_reason_is_plain_text(text: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter[str](Reason).validate_python(text)


@pytest.mark.parametrize("kind", sorted(ERRORS))
def test_every_refusal_finds_its_way_back(kind: str) -> None:
    error = error_of(kind, "A sentence.")
    assert error is not None
    assert (type(error), error.message, error.remedy) == (ERRORS[kind], "A sentence.", None)


def test_a_foreign_error_is_nobody_of_ours() -> None:
    assert error_of("ValueError", "x") is None
    assert error_of(None, "x") is None
    assert isinstance(error_of("already-decided", "x"), AlreadyDecided)


@given(st.datetimes(timezones=st.just(UTC)), st.text(), st.integers(-(2**63) + 1, 2**63 - 1))
def test_a_cursor_comes_back_as_it_went(at: datetime, text: str, number: int) -> None:
    values = [at, text.replace("\0", ""), number]
    assert decode_cursor(encode_cursor(values), [datetime, str, int]) == values


@given(st.text(max_size=60))
def test_no_cursor_breaks_its_reader(text: str) -> None:
    with pytest.raises(BadInput):
        decode_cursor(text, [datetime, str])


def test_permissions_name_known_roles_and_auditors_only_read() -> None:
    assert {role for roles in CAN.values() for role in roles} <= set(ROLES)
    auditor = Actor(user_id="u", person_id="p", role="auditor")
    assert may(auditor, "audit.read")
    with pytest.raises(NotAllowed, match="admin or finance; yours is auditor"):
        check(auditor, "payouts.decide")


def test_one_key_of_two_people_is_two_update_ids() -> None:
    assert update_key("usr_a", "k") == update_key("usr_a", "k") != update_key("usr_b", "k")
    assert len(update_key("usr_a", "k" * 120)) == 40
