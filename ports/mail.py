"""Port of outgoing mail.

A mail has one Message-ID in every attempt, stored before the first one. ports/money.py says how a call may end; nothing
can be looked up at a mail server, so after an unknown outcome the same mail is sent again under the same Message-ID.
"""

from dataclasses import dataclass
from typing import Protocol

from domain.mail.outgoing import OutgoingMail


class MailSender(Protocol):
    """`name`: the name in the firm's settings."""

    name: str

    async def send(self, mail: OutgoingMail) -> str:
        """Hands a mail over, and returns the server's answer. Raises RefusedForGood when the server will never take
        this mail (its `key` is the answer's code, such as 550 or 5.1.1), Unavailable when it did not take it now, and
        OutcomeUnknown when the connection ended between the mail and the answer."""
        ...

    async def healthy(self) -> str: ...

    async def aclose(self) -> None: ...


@dataclass(frozen=True)
class MailDesk:
    """What the firm sends with. `sender`: the From header of its mail, `Name <address>`. `address`: the bare address,
    to which answers come. `url`: of the firm's console and pages."""

    post: MailSender
    sender: str
    address: str
    url: str = ""

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]
