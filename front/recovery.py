"""Asking for a new password. Every login is answered the same, and after the same time."""

import asyncio
import time
from typing import Final

from firm import passwords
from front.deps import ApiDeps

ANSWER: Final = "If this login exists and has a mailbox, we have sent a mail with a link. It works for 30 minutes."
_AT_LEAST: Final = 0.5  # seconds: more than it takes to write the mail


async def ask_recovery(deps: ApiDeps, login: str, address: str) -> str:
    """Returns the answer, which tells nothing about the login. Raises TooManyAttempts, which is about the address."""
    began = time.monotonic()
    await passwords.ask_recovery(deps.db, login=login, address=address, site=deps.public_url, terms=deps.sign_ins)
    await asyncio.sleep(max(0.0, _AT_LEAST - (time.monotonic() - began)))
    return ANSWER
