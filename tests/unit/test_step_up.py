"""Who proves what and how, codes of authenticator apps, and origins of passkeys."""

from datetime import UTC, datetime, timedelta
from typing import Final

import pyotp
import pytest

from domain.errors import BadInput, Unavailable
from domain.sign_in_errors import LastFactor
from domain.step_up import FRESH, Held, check_removal, digest_of, factors_of, is_fresh, methods, needs_step_up
from front import authenticator
from front.access import Access, check_origins, relying_party
from front.subjects.table import SUBJECTS

NOBODY, FINANCE = frozenset[str](), frozenset({"finance"})
NOW = datetime(2026, 3, 2, 12, 0, 10, tzinfo=UTC)


def test_without_a_factor_a_password_proves_it_unless_the_role_needs_a_factor() -> None:
    assert methods(Held(), role="finance", factor_roles=NOBODY, action="money") == ("password",)
    assert methods(Held(), role="finance", factor_roles=FINANCE, action="money") == ()
    for roles in (NOBODY, FINANCE):
        assert methods(Held(), role="finance", factor_roles=roles, action="factors") == ("mail",), "not the password"
    assert methods(Held(), role="risk", factor_roles=FINANCE, action="money") == ("password",)


def test_with_a_factor_a_password_proves_nothing() -> None:
    held = Held(passkeys=1, authenticator=True, recovery_codes=2)
    assert methods(held, role="finance", factor_roles=NOBODY, action="factors") == ("passkey", "totp", "recovery_code")
    assert methods(Held(passkeys=1), role="risk", factor_roles=NOBODY, action="money") == ("passkey",)
    assert factors_of(Held(recovery_codes=3)) == ()


def test_the_last_factor_stays_where_the_role_needs_one() -> None:
    with pytest.raises(LastFactor):
        check_removal(Held(recovery_codes=10), role="finance", factor_roles=FINANCE)
    check_removal(Held(authenticator=True), role="finance", factor_roles=FINANCE)
    check_removal(Held(), role="risk", factor_roles=FINANCE)


def test_factors_are_guarded_always_and_the_rest_for_staff() -> None:
    assert needs_step_up("factors", "trader", switched_on=False)
    assert needs_step_up("beneficiary", "trader", switched_on=False)
    assert needs_step_up("money", "finance", switched_on=True)
    assert not needs_step_up("money", "trader", switched_on=True)
    assert needs_step_up("keys", "trader", switched_on=True) and needs_step_up("keys", "venue", switched_on=True)
    assert not needs_step_up("keys", "trader", switched_on=False)
    assert not needs_step_up("money", "finance", switched_on=False)


def test_a_step_up_is_for_exactly_what_is_decided() -> None:
    one = digest_of("money", verb="approve", subject="pay_1", said="Checked.", seen="ab")
    assert one == digest_of("money", seen="ab", subject="pay_1", verb="approve", said="Checked.")
    others = {
        digest_of("money", verb="approve", subject="pay_2", said="Checked.", seen="ab"),
        digest_of("money", verb="approve", subject="pay_1", said="Checked", seen="ab"),
        digest_of("money", verb="approve", subject="pay_1", said="Checked.", seen="ac"),
        digest_of("keys", verb="approve", subject="pay_1", said="Checked.", seen="ab"),
    }
    assert len(others) == 4
    assert one not in others


def test_a_step_up_is_fresh_for_five_minutes() -> None:
    assert is_fresh(NOW, NOW + FRESH - timedelta(seconds=1))
    assert not is_fresh(NOW, NOW + FRESH)


def test_a_code_works_once_and_one_step_late() -> None:
    secret = pyotp.random_base32()
    app = pyotp.TOTP(secret)
    code, step = app.at(NOW), app.timecode(NOW)
    assert authenticator.step_of(secret, code, NOW, None) == step
    assert authenticator.step_of(secret, f"{code[:3]} {code[3:]}", NOW, step - 1) == step
    assert authenticator.step_of(secret, code, NOW, step) is None, "used"
    assert authenticator.step_of(secret, code, NOW + timedelta(seconds=30), None) == step
    assert authenticator.step_of(secret, code, NOW + timedelta(seconds=90), None) is None, "too late"
    for wrong in ("", "12345", "abcdef", "１２３４５６", code + "0"):
        assert authenticator.step_of(secret, wrong, NOW, None) is None


def test_recovery_codes_are_read_however_they_are_typed() -> None:
    codes = authenticator.new_recovery_codes(10)
    assert len(set(codes)) == 10
    for code in codes:
        assert authenticator.plain_recovery_code(code.upper().replace("-", " ")) == code


def test_passkeys_need_a_host_name_and_exact_origins() -> None:
    party = relying_party(Access(), "https://desk.example.com:8443")
    assert (party.id, party.origins) == ("desk.example.com", ("https://desk.example.com:8443",))
    with pytest.raises(Unavailable):
        relying_party(Access(), "http://127.0.0.1:8000")
    check_origins("example.com", ("https://desk.example.com", "https://example.com"))
    for wrong in ("https://desk.example.com/", "desk.example.com", "https://example.com.evil.org"):
        with pytest.raises(BadInput):
            check_origins("example.com", (wrong,))


GUARDED: Final = {
    ("payout", "approve"): "money",
    ("payout", "send_again"): "money",
    ("case", "deduct"): "money",
    ("case", "deny"): "money",
    ("case", "confirm"): "money",
    ("break", "write_off"): "money",
    ("chargeback", "accept"): "money",
    ("beneficiary", "confirm"): "money",
    ("compensation", "grant"): "money",
    ("intervention", "approve"): "money",
    ("staff_change", "approve"): "roles",
}
OPEN: Final = {
    "account_move": "approve reject withdraw",
    "beneficiary": "refuse",
    "break": "match fee suspense explain reopen lock_again push_again enable_again take",
    "case": "clear inconclusive warn withdraw",
    "chargeback": "submit",
    "compensation": "reject withdraw",
    "dispute": "uphold reinstate",
    "identity": "verify refuse",
    "intervention": "reject withdraw",
    "payout": "retract return_to_trader reject stop release keep cancel",
    "platform_change": "approve reject withdraw abandon",
    "policy_change": "approve reject withdraw",
    "product_version": "approve reject publish withdraw",
    "review": "dismiss confirm close",
    "sanction_hit": "clear confirm",
    "staff_change": "reject withdraw",
}


def test_every_decision_is_in_the_table_of_what_needs_a_step_up() -> None:
    """What sends money or opens its way, and who may do what, needs one; what stops or only judges does not."""
    found = {(subject.name, verb.name): verb.proof for subject in SUBJECTS for verb in subject.verbs}
    known = {(name, verb): None for name, verbs in OPEN.items() for verb in verbs.split()} | GUARDED
    assert found == known
