"""Codes of authenticator apps (RFC 6238): six digits, thirty seconds, one step of tolerance to each side."""

import secrets
from datetime import datetime
from typing import Final

import pyotp

_WINDOW: Final = 1
_LETTERS: Final = "abcdefghjkmnpqrstvwxyz23456789"  # none that look alike


def new_secret() -> str:
    return pyotp.random_base32()


def address(secret: str, login: str) -> str:
    """Returns what the app reads from the picture."""
    return pyotp.TOTP(secret).provisioning_uri(name=login, issuer_name="PropOS")


def step_of(secret: str, code: str, now: datetime, last_step: int | None) -> int | None:
    """Returns the step whose code this is; None for a wrong code, and for one of a step that is used or older."""
    plain = code.replace(" ", "")
    if len(plain) != 6 or not plain.isascii() or not plain.isdigit():
        return None
    totp = pyotp.TOTP(secret)
    current = totp.timecode(now)
    for step in range(current - _WINDOW, current + _WINDOW + 1):
        if (last_step is None or step > last_step) and secrets.compare_digest(totp.generate_otp(step), plain):
            return step
    return None


def new_recovery_codes(count: int) -> list[str]:
    """Returns codes such as `k7mq-2xw9-hd4p`, 58 random bits each."""
    return ["-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(3)) for _ in range(count)]


def plain_recovery_code(text: str) -> str:
    """Returns the code as it was made, however it was typed."""
    letters = "".join(each for each in text.lower() if each.isalnum())
    return "-".join(letters[at : at + 4] for at in range(0, len(letters), 4))
