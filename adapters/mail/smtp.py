"""Mail by SMTP to the firm's mail server (a smarthost): STARTTLS, TLS from the beginning, or plain on the same machine.

Each mail has its own connection. A refusal is for good only when the server says it of this mail or its recipient; a
refusal of ourselves (sign-in, sender) is a matter of settings, and the mail is tried again.
"""

import re
from typing import Final, Literal, NoReturn, Self

import aiosmtplib
from aiosmtplib.errors import (
    SMTPDataError,
    SMTPException,
    SMTPRecipientRefused,
    SMTPResponseException,
    SMTPServerDisconnected,
    SMTPTimeoutError,
)
from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from domain.errors import OutcomeUnknown, RefusedForGood, Unavailable
from domain.mail.outgoing import OutgoingMail, as_bytes
from ports.mail import MailSender
from ports.plugin import Plugin

_ENHANCED: Final = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")
_HERE: Final = frozenset({"127.0.0.1", "::1", "localhost"})


class SmtpSettings(BaseModel):
    """`security`: starttls (port 587), tls (port 465), or none, which is only for a server on the same machine or in
    a private network, and then without a password. `certificates`: a file of authorities instead of the system's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str
    port: int = Field(0, ge=0, le=65535)
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str | None = None
    password: SecretStr | None = None
    certificates: str | None = None
    hostname: str | None = None
    timeout: float = Field(15.0, gt=0, le=19)

    @model_validator(mode="after")
    def _password_is_safe(self) -> Self:
        if (self.user is None) != (self.password is None):
            raise ValueError("user and password belong together; set both or none")
        if self.security == "none" and self.password is not None and self.host not in _HERE:
            raise ValueError("a password is not sent without TLS; choose starttls or tls")
        return self

    @property
    def used_port(self) -> int:
        return self.port or {"starttls": 587, "tls": 465, "none": 25}[self.security]


class SmtpSender:
    def __init__(self, name: str, settings: SmtpSettings) -> None:
        self.name, self._settings = name, settings

    async def send(self, mail: OutgoingMail) -> str:
        client = self._client()
        content = as_bytes(mail)
        try:
            await self._connect(client)
            try:
                await client.mail(mail.envelope_sender)
            except SMTPResponseException as error:
                self._not_now(error)
            try:
                await client.rcpt(mail.to)
            except SMTPRecipientRefused as error:
                self._refused(error)
            except (SMTPServerDisconnected, SMTPTimeoutError) as error:
                raise Unavailable(f"The mail server went away: {type(error).__name__}.") from None
            return await self._hand_over(client, content)
        finally:
            client.close()

    async def _hand_over(self, client: aiosmtplib.SMTP, content: bytes) -> str:
        """From here on the server may have the mail although its answer is lost."""
        try:
            answer = await client.data(content)
        except SMTPDataError as error:
            self._refused(error)
        except (SMTPServerDisconnected, SMTPTimeoutError, OSError) as error:
            raise OutcomeUnknown(f"The mail server did not answer the mail: {type(error).__name__}.") from None
        return f"{answer.code} {answer.message}"[:200]

    def _client(self) -> aiosmtplib.SMTP:
        settings = self._settings
        return aiosmtplib.SMTP(
            hostname=settings.host,
            port=settings.used_port,
            use_tls=settings.security == "tls",
            start_tls=settings.security == "starttls",
            username=settings.user,
            password=None if settings.password is None else settings.password.get_secret_value(),
            cert_bundle=settings.certificates,
            local_hostname=settings.hostname,
            timeout=settings.timeout,
        )

    async def _connect(self, client: aiosmtplib.SMTP) -> None:
        """Raises Unavailable: nothing was sent yet."""
        try:
            await client.connect()
        except SMTPResponseException as error:
            self._not_now(error)
        except (SMTPException, OSError, ValueError) as error:
            where = f"{self._settings.host}:{self._settings.used_port}"
            raise Unavailable(
                f"The mail server {where} cannot be used: {type(error).__name__}.",
                remedy="Check host, port, security and certificates of the mail sender.",
            ) from None

    def _not_now(self, error: SMTPResponseException) -> NoReturn:
        raise Unavailable(
            f"The mail server refused us with {error.code}.", remedy="Check user, password and sender address."
        ) from None

    def _refused(self, error: SMTPResponseException) -> NoReturn:
        """5xx is for good; 4xx, such as greylisting, is for now."""
        found = _ENHANCED.search(error.message)
        code = found[1] if found else str(error.code)
        if 500 <= error.code < 600:
            raise RefusedForGood(code, f"The mail server refuses this mail with {code}.") from None
        raise Unavailable(f"The mail server does not take this mail now: {code}.") from None

    async def healthy(self) -> str:
        client = self._client()
        try:
            await self._connect(client)
            return f"The mail server {self._settings.host} takes mail."
        finally:
            client.close()

    async def aclose(self) -> None:
        return None


def _build(name: str, settings: SmtpSettings) -> MailSender:
    return SmtpSender(name, settings)


PLUGIN: Final = Plugin(SmtpSettings, None, _build)
