"""What arrives from outside, checked where it enters: ids, keys, texts, amounts, bank accounts."""

import re
from collections.abc import Iterable
from typing import Annotated, Any, Final

from fastapi import Header, Query
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from contracts.messages import Target
from domain.errors import BadInput, NotFound
from domain.money import Money
from store.read.pages import MAX_LIMIT, Window

KEY: Final = r"[A-Za-z0-9._:/+=-]{8,120}"  # an Idempotency-Key
BINARY: Final = {"schema": {"type": "string", "format": "binary"}}  # how OpenAPI describes a file
_KEY: Final = re.compile(KEY)
_AMOUNT: Final = re.compile(r"[0-9]{1,13}(\.[0-9]{1,3})?")
_GROUPED: Final = re.compile(r"[1-9][0-9]{0,2}(,[0-9]{3})+(\.[0-9]+)?")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_EMAIL: Final = re.compile(r"[^@\s]{1,64}@[^@\s.]+(\.[^@\s.]+)+")
_IBAN: Final = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")


class Input(BaseModel):
    """A request body: unknown fields are refused, so nobody sets what was not offered."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def id_of(prefix: str) -> Any:
    """The validator of an id such as `pay_…`; raises NotFound for what cannot be one."""
    pattern = re.compile(rf"{prefix}_[0-9a-z]{{26}}")

    def check(value: str) -> str:
        # the same answer as for an unknown id
        if not pattern.fullmatch(value):
            raise NotFound
        return value

    return AfterValidator(check)


def one_of(values: Iterable[str]) -> Any:
    """The validator of a text that is one of these; anything else is refused, naming the field."""
    known = sorted(values)

    def check(value: str) -> str:
        if value not in known:
            raise ValueError(f"is none of {', '.join(known)}")
        return value

    return AfterValidator(check)


ChallengeId = Annotated[str, id_of("chl")]
AccountId = Annotated[str, id_of("acc")]
BreachId = Annotated[str, id_of("brc")]
ProofId = Annotated[str, id_of("prf")]
PayoutId = Annotated[str, id_of("pay")]
DisputeId = Annotated[str, id_of("dsp")]
CompensationId = Annotated[str, id_of("cmp")]
ChargebackId = Annotated[str, id_of("cbk")]
CaseId = Annotated[str, id_of("cas")]
ActionId = Annotated[str, id_of("(?:act|ded)")]
PolicyChangeId = Annotated[str, id_of("pch")]
SignInId = Annotated[str, id_of("ses")]
UserId = Annotated[str, id_of("usr")]
StaffChangeId = Annotated[str, id_of("sch")]
ReviewId = Annotated[str, id_of("rev")]
BreakId = Annotated[str, id_of("brk")]
TicketId = Annotated[str, id_of("tkt")]
MacroId = Annotated[str, id_of("mac")]
ProposalId = Annotated[str, id_of("ppr")]
DraftId = Annotated[str, id_of("dft")]
InterventionId = Annotated[str, id_of("itv")]
PlatformChangeId = Annotated[str, id_of("plc")]
MoveId = Annotated[str, id_of("mov")]
TraderId = Annotated[str, id_of("trd")]
KeyId = Annotated[str, id_of("key")]
EndpointId = Annotated[str, id_of("whk")]
MessageId = Annotated[str, id_of("msg")]
HitId = Annotated[str, id_of("sht")]
BeneficiaryPath = Annotated[str, id_of("ben")]
EventId = Annotated[str, Field(pattern=r"^evt_[0-9a-z]{26}$")]  # in a body, so 422 and not 404
NotificationId = Annotated[str, id_of("ntf")]
NotificationRef = Annotated[str, Field(pattern=r"^ntf_[0-9a-z]{26}$")]  # in a body, so 422 and not 404
ReceiptId = Annotated[str, id_of("rcp")]
CertificateId = Annotated[str, id_of("crt")]
BeneficiaryId = Annotated[str, Field(pattern=r"^ben_[0-9a-z]{26}$")]  # in a body, so 422 and not 404


def plain(text: str) -> str:
    """Raises ValueError for control characters."""
    if _CONTROL.search(text):
        raise ValueError("control characters are not text")
    return text


def _email(text: str) -> str:
    if not _EMAIL.fullmatch(text):
        raise ValueError("is not an e-mail address; write it like mara@example.org")
    return text


def _text(longest: int) -> Any:
    return StringConstraints(strip_whitespace=True, min_length=1, max_length=longest)


Line = Annotated[str, _text(200), AfterValidator(plain)]
ViewName = Annotated[str, _text(60), AfterValidator(plain)]
Words = Annotated[str, _text(4000), AfterValidator(plain)]
Reason = Annotated[str, _text(1000), AfterValidator(plain)]
Email = Annotated[str, _text(254), AfterValidator(plain), AfterValidator(_email)]
Password = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(plain)]
Country = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
PlatformName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,38}$")]
Slug = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{1,40}$")]
AnyId = Annotated[str, Field(pattern=r"^[a-z0-9_@./:+-]{1,80}$")]


def _amount_text(value: Any) -> Any:
    if isinstance(value, int | float):
        # pydantic makes a field error of a ValueError, but not of a TypeError
        raise ValueError('write the amount as a string such as "1240.50"')
    return value


AmountText = Annotated[str, BeforeValidator(_amount_text), StringConstraints(strip_whitespace=True, max_length=40)]


def ungrouped(text: str, *, field: str = "amount") -> str:
    """Returns an amount that a person wrote, such as "1,240.50", without the commas between thousands. Raises BadInput
    naming `field` for any other comma: "0,50" could be 50 cents or 50."""
    if "," in text and not _GROUPED.fullmatch(text):
        raise BadInput(
            f"{field}: a comma is only for thousands, as in 1,240.50.", field=field, remedy="Write 0.50 with a point."
        )
    return text.replace(",", "")


def positive_money(text: str, currency: str, *, field: str = "amount") -> Money:
    """Read "1240.50"; raises BadInput naming `field` for anything but a positive amount of `currency`."""
    if not _AMOUNT.fullmatch(text):
        raise BadInput(f"{field} is not a positive amount.", field=field, remedy="Write it like 1240.50.")
    money = Money.parse(text, currency, field=field)
    if money.minor <= 0:
        raise BadInput(f"{field} must be more than zero.", field=field, remedy="Write it like 1240.50.")
    return money


def iban(text: str) -> str:
    """An IBAN without spaces, its check digits verified (ISO 13616); raises BadInput."""
    plain = re.sub(r"\s", "", text).upper()
    right = _IBAN.fullmatch(plain) and int("".join(str(int(c, 36)) for c in plain[4:] + plain[:4])) % 97 == 1
    if not right:
        raise BadInput("iban is not a valid IBAN.", field="iban", remedy="Check it digit by digit.")
    return plain


def idempotency_key(
    key: Annotated[
        str | None, Header(alias="Idempotency-Key", description="Makes repeating this request harmless.")
    ] = None,
) -> str:
    """The header that every POST carries; raises BadInput."""
    if key is None or not _KEY.fullmatch(key):
        raise BadInput(
            "Idempotency-Key: this header is needed, 8 to 120 letters, digits or . _ : / + = -",
            field="Idempotency-Key",
            remedy="Send a fresh UUID, and the same one when you repeat the request.",
        )
    return key


def window(
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 50,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> Window:
    """Which page is asked for."""
    return Window(limit=limit, cursor=cursor)


class TokenBody(Input):
    """`token`: the last part of the link in the mail."""

    token: Line


class DecisionBody(Input):
    """What every decision of a person carries. `seen`: that of what the person read, where the subject has one; every
    approval of a payout or of a deduction needs it."""

    reason: Reason
    seen: Annotated[str, Field(pattern=r"^[0-9a-f.]{1,120}$")] | None = None


class DisputeDecisionBody(DecisionBody):
    """`reason` is for the firm: no trader reads it. `message` is what the trader is told; without one, and when nobody
    who agreed wrote one, a standard sentence. `seen` is that of the dispute."""

    message: Words | None = None


RailName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,30}$")]


class SendAgainBody(DecisionBody):
    """`rail`: over which the payout is sent; empty for the same one. `beneficiary`: the digest of the account that it
    is sent to, from `send_to` of the payout."""

    rail: Annotated[str, Field(pattern=r"^([a-z][a-z0-9_-]{0,38})?$")] = ""
    beneficiary: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]

    @property
    def target(self) -> Target:
        return Target(self.rail, self.beneficiary)
