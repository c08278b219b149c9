"""Passwords that are refused, devices and places in words, the end of a sign-in, changes of the staff."""

from datetime import UTC, datetime, timedelta

import pytest

from domain import staff_changes
from domain.approvals import Actor, check_other_person
from domain.errors import BadInput, Conflict, SelfApproval
from domain.passwords import check_password
from domain.sign_ins import SignInTerms, device_words, place_words

_FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:141.0) Gecko/20100101 Firefox/141.0"
_EDGE = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/139.0 Safari/537.36 Edg/139.0"
_SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 Version/18.5 Safari/604.1"


@pytest.mark.parametrize(
    "password",
    [
        " " * 10,
        "short",
        "abc       \u200b\u200b\u200b\u200b",  # what cannot be seen does not count
        "aaaaaaaaaaaa",
        "1234567890123",
        "abcdefghijkl",
        "Password123",
        "pass word 123",
        "mara@example.org",
        "mara1234567890!",
        "ｐａｓｓｗｏｒｄ１２３",
    ],
)
def test_what_anybody_would_try_is_refused_and_never_repeated(password: str) -> None:
    with pytest.raises(BadInput) as refused:
        check_password(password, login="mara@example.org")
    assert refused.value.field == "password"
    assert password.strip() not in refused.value.message or not password.strip()


@pytest.mark.parametrize(
    "password",
    ["correct horse battery", "canary-password-1", "mara likes green boats", "Öl für 3 Bären", "密码很长不容易猜到的"],
)
def test_a_long_password_of_any_language_is_taken(password: str) -> None:
    check_password(password, login="mara@example.org")


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (_FIREFOX, "Firefox on Linux"),
        (_EDGE, "Edge on Windows"),
        (_SAFARI, "Safari on an iPhone"),
        ("python-httpx/0.28.1", "The program python-httpx"),
        ("", "An unknown device"),
        ("<script>alert(1)</script>", "An unknown device"),
    ],
)
def test_a_device_is_said_in_words(agent: str, words: str) -> None:
    assert device_words(agent) == words


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("127.0.0.1", "this machine"),
        ("::1", "this machine"),
        ("::ffff:192.168.3.4", "a private network"),
        ("10.0.0.1", "a private network"),
        ("169.254.1.1", "the same network link"),
        ("100.64.1.1", "a network of a provider"),
        ("9.9.9.9", ""),
        ("testclient", ""),
    ],
)
def test_a_place_is_said_only_where_the_address_tells_it(address: str, words: str) -> None:
    assert place_words(address) == words


def test_a_sign_in_ends_when_it_rests_or_when_it_is_old() -> None:
    terms = SignInTerms(idle=timedelta(hours=2), longest=timedelta(hours=12))
    began = datetime(2026, 3, 2, 8, tzinfo=UTC)
    assert terms.end_of(began, began) == began + timedelta(hours=2)
    assert terms.end_of(began, began + timedelta(hours=11)) == began + timedelta(hours=12)


def test_a_second_person_is_another_human_whatever_the_login() -> None:
    other_login = Actor(user_id="usr_2", person_id="person-1", role="admin")
    with pytest.raises(SelfApproval, match="must not"):
        check_other_person(other_login, ["person-1", "person-3"], "You must not.")
    check_other_person(other_login, ["person-2"], "You must not.")


def test_a_change_of_the_staff_must_change_something() -> None:
    staff_changes.check_wanted("role", "risk", "finance", active=True)
    staff_changes.check_wanted("invite", None, "risk", active=False)
    for kind, role_now, role, active in (
        ("role", "risk", "risk", True),
        ("disable", "risk", None, False),
        ("enable", "risk", None, True),
    ):
        with pytest.raises(Conflict):
            staff_changes.check_wanted(kind, role_now, role, active=active)  # type: ignore[arg-type]
    for role in (None, "trader", "venue"):
        with pytest.raises(BadInput):
            staff_changes.check_wanted("invite", None, role, active=False)
    with pytest.raises(BadInput):
        staff_changes.check_wanted("disable", "risk", "finance", active=True)


def test_the_digest_covers_what_is_decided() -> None:
    asked = ("sch_1", "role", "usr_1", "risk", "finance")
    same = staff_changes.digest(*asked)
    for place in range(5):
        other = [*asked]
        other[place] += "x"
        assert staff_changes.digest(*other) != same
