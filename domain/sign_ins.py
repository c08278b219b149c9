"""Sign-ins: how long one lasts, how many attempts are allowed, and the browser and place of one in words."""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `most` attempts within `window`, counted from the first one. `most` 0: none is allowed."""

    most: int
    window: timedelta

    def window_is_over(self, begun_at: datetime, now: datetime) -> bool:
        return now - begun_at >= self.window


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInTerms:
    """The firm's terms of sign-ins.

    `idle`: a sign-in ends this long after it was used last. `longest`: it ends this long after it began. `wrong`:
    failed attempts of one login, counted apart for each known browser and together for all others. `checks`: wrong old
    passwords of one user. `sign_ups`, `firm_sign_ups`: of one address, and of all together. `recoveries`: of one
    address. `mails`: to one mailbox, of a kind. `confirm_email`: a trader must confirm the address before buying.
    """

    idle: timedelta = timedelta(hours=2)
    longest: timedelta = timedelta(hours=12)
    wrong: Limit = Limit(10, timedelta(minutes=5))
    checks: Limit = Limit(10, timedelta(minutes=5))
    sign_ups: Limit = Limit(20, timedelta(hours=1))
    firm_sign_ups: Limit = Limit(500, timedelta(hours=1))
    recoveries: Limit = Limit(10, timedelta(hours=1))
    mails: Limit = Limit(5, timedelta(hours=1))
    confirm_email: bool = True

    def end_of(self, began_at: datetime, used_at: datetime) -> datetime:
        """Returns when a sign-in ends that is not used again."""
        return min(began_at + self.longest, used_at + self.idle)


STANDARD: Final = SignInTerms()

_BROWSERS: Final[Sequence[tuple[str, str]]] = (
    # the order matters: most browsers name others before themselves
    ("Edg", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("FxiOS/", "Firefox"), ("CriOS/", "Chrome"),
    ("HeadlessChrome/", "Chrome"), ("Chrome/", "Chrome"), ("Safari/", "Safari"),
)  # fmt: skip
_SYSTEMS: Final[Sequence[tuple[str, str]]] = (
    ("iPhone", "an iPhone"), ("iPad", "an iPad"), ("Android", "Android"), ("Windows", "Windows"), ("CrOS", "ChromeOS"),
    ("Mac OS X", "a Mac"), ("Linux", "Linux"),
)  # fmt: skip
_PROGRAM: Final = re.compile(r"([A-Za-z][A-Za-z0-9._-]{1,30})(?:/[0-9]|$)")


def device_words(user_agent: str) -> str:
    """Returns what a user agent says of itself, such as "Firefox on Windows" or "the program python-httpx". It is what
    the other side claims, never a proof."""
    browser = next((name for mark, name in _BROWSERS if mark in user_agent), "")
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), "")
    if browser and system:
        return f"{browser} on {system}"
    if browser or system:
        return browser or f"A browser on {system}"
    if program := _PROGRAM.match(user_agent):
        return f"The program {program[1]}"
    return "An unknown device"


def place_words(address: str) -> str:
    """Returns what an address says by itself, such as "this machine"; "" where that is nothing: PropOS has no data base
    of places."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return ""
    ip = getattr(ip, "ipv4_mapped", None) or ip
    if ip.is_loopback:
        return "this machine"
    if ip.is_link_local:
        return "the same network link"
    if ip in _SHARED:
        return "a network of a provider"
    return "a private network" if ip.is_private else ""


_SHARED: Final = ipaddress.ip_network("100.64.0.0/10")
