"""Passwords: which ones people may choose, and those that are made up for accounts at venues."""

import secrets
import string
import unicodedata
from itertools import pairwise
from typing import Final

from domain.errors import BadInput

MIN_PASSWORD: Final = 10
_MIN_DIFFERENT: Final = 5
_LONGEST_RUN_SHARE: Final = 2  # more than half of the characters in one run such as "123456" or "aaaaaa"
# Passwords of at least ten characters that lists of stolen passwords have most often, and their near relatives.
# Shorter ones are refused for their length, and runs and repetitions by a rule.
_LIST: Final = """
    1q2w3e4r5t 1q2w3e4r5t6y 1qaz2wsx3edc q1w2e3r4t5 q1w2e3r4t5y6 qwertyuiop qwerty12345 qwerty123456 qwerty1234
    1qazxsw23edc zaq12wsxcde3 qazwsxedcrfv asdfghjkl1 asdfghjkl; zxcvbnm123 zxcvbnm,./ qwert12345 asdf123456
    asdfasdfasdf password12 password123 password1234 password12345 password01 password2024 password2025 password2026
    passwordpassword passw0rd12 passw0rd123 p@ssw0rd12 p@ssw0rd123 p@ssword123 p@ssw0rd1234 mypassword mypassword1
    mypassword123 letmein123 letmein1234 letmeinnow letmeinplease welcome123 welcome1234 welcome2024 welcome2025
    welcome2026 iloveyou12 iloveyou123 iloveyou1234 iloveyou2 iloveyousomuch iloveyouforever ilovemyself adminadmin
    administrator admin12345 admin123456 administrator1 changeme123 changeme1234 changemenow pleasechangeme default123
    testtest123 test123456 testing123 testing1234 superman123 batman12345 football123 football12 baseball12
    baseball123 basketball basketball1 princess12 princess123 sunshine12 sunshine123 monkey12345 dragon12345
    master12345 michael123 jessica123 charlie123 liverpool1 liverpool123 manchester manchesterunited chelsea123
    arsenal123 juventus123 barcelona1 barcelona123 realmadrid realmadrid1 pokemon123 starwars123 whatever12
    whatever123 trustno1trustno1 abc1234567 abcd123456 abcdef1234 abcdefghij abc123abc123 abcabcabcabc 123qweasdzxc
    qweasdzxc123 qwe123qwe123 a123456789 a1b2c3d4e5 a1b2c3d4e5f6 aa12345678 aa123456789 q123456789 z123456789
    secret1234 secret12345 topsecret1 computer123 internet123 samsung123 google12345 facebook123 linkedin123
    correcthorsebatterystaple correct-horse-battery-staple sommer2024! sommer2025! sommer2026! passwort123
    passwort1234 hallo12345 schatz1234 contrasena123 motdepasse motdepasse123 azertyuiop azerty12345 azerty123456
    trading123 trading1234 trader12345 forex12345 tradingtrading propfirm123 proptrading moneymoney money12345
    bitcoin123 bitcoin1234
"""
_COMMON: Final = frozenset(_LIST.split())

_LENGTH: Final = 16
_SPECIAL: Final = "#@!$%*+-"
_KINDS: Final = (string.ascii_lowercase, string.ascii_uppercase, string.digits, _SPECIAL)


def new_password() -> str:
    """Returns 16 characters, of all four kinds that venues ask for: about 98 bits of chance."""
    made = [secrets.choice(kind) for kind in _KINDS]
    made += [secrets.choice("".join(_KINDS)) for _ in range(_LENGTH - len(made))]
    secrets.SystemRandom().shuffle(made)
    return "".join(made)


def check_password(password: str, *, login: str = "") -> None:
    """Refuses a password that anybody would try first. Spaces and invisible characters do not count for its length.
    Raises BadInput, which never repeats the password."""
    seen = [char for char in password if unicodedata.category(char)[0] not in "CZM"]
    if len(seen) < MIN_PASSWORD:
        raise _refused(f"A password has at least {MIN_PASSWORD} characters that can be seen.")
    plain = unicodedata.normalize("NFKC", "".join(seen)).casefold()
    if len(set(plain)) < _MIN_DIFFERENT or _longest_run(plain) * _LONGEST_RUN_SHARE > len(plain):
        raise _refused("This password repeats or counts too much.")
    if plain in _COMMON:
        raise _refused("This password is one of the first that anybody tries.")
    own = _names_in(login)
    if any(plain.replace(name, "").strip(string.digits + string.punctuation) == "" for name in own if name in plain):
        raise _refused("This password is made of the login.")


def _refused(why: str) -> BadInput:
    return BadInput(
        why, field="password", remedy="Choose a longer one, for example four words that do not belong together."
    )


def _names_in(login: str) -> set[str]:
    """Returns the login and, of an e-mail address, what stands before the @."""
    whole = "".join(unicodedata.normalize("NFKC", login).casefold().split())
    return {name for name in (whole, whole.partition("@")[0]) if name}


def _longest_run(text: str) -> int:
    """Returns the length of the longest part in which each character is the one before, or its neighbour in the same
    direction, such as "aaa", "1234" or "cba"."""
    longest = run = 1
    step: int | None = None
    for before, char in pairwise(text):
        now = ord(char) - ord(before)
        if abs(now) > 1:
            run, step = 1, None
        elif now == step:
            run += 1
        else:
            run, step = 2, now
        longest = max(longest, run)
    return longest
