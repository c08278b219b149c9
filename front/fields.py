"""What arrives from outside, checked where it enters: ids, keys, texts, amounts, bank accounts."""

import re
from typing import Annotated, Any, Final

from fastapi import Header, Query
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from domain.errors import BadInput, NotFound
from domain.money import Money
from store.read.pages import MAX_LIMIT, Window

_KEY: Final = re.compile(r"[A-Za-z0-9._:/+=-]{8,120}")
_AMOUNT: Final = re.compile(r"[0-9]{1,13}(\.[0-9]{1,3})?")
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


ChallengeId = Annotated[str, id_of("chl")]
AccountId = Annotated[str, id_of("acc")]
BreachId = Annotated[str, id_of("brc")]
ProofId = Annotated[str, id_of("prf")]
PayoutId = Annotated[str, id_of("pay")]
DisputeId = Annotated[str, id_of("dsp")]
CaseId = Annotated[str, id_of("cas")]
ReviewId = Annotated[str, id_of("rev")]
TicketId = Annotated[str, id_of("tkt")]
ProposalId = Annotated[str, id_of("ppr")]
MoveId = Annotated[str, id_of("mov")]
TraderId = Annotated[str, id_of("trd")]


def _plain(text: str) -> str:
    if _CONTROL.search(text):
        raise ValueError("control characters are not text")
    return text


def _email(text: str) -> str:
    if not _EMAIL.fullmatch(text):
        raise ValueError("is not an e-mail address; write it like mara@example.org")
    return text


def _text(longest: int) -> Any:
    return StringConstraints(strip_whitespace=True, min_length=1, max_length=longest)


Line = Annotated[str, _text(200), AfterValidator(_plain)]
Words = Annotated[str, _text(4000), AfterValidator(_plain)]
Reason = Annotated[str, _text(1000), AfterValidator(_plain)]
Email = Annotated[str, _text(254), AfterValidator(_plain), AfterValidator(_email)]
Password = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_plain)]
Country = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
Slug = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{1,40}$")]
State = Annotated[str, Field(pattern=r"^[a-z_]{1,24}$")]
AnyId = Annotated[str, Field(pattern=r"^[a-z0-9_@./:+-]{1,80}$")]


def _amount_text(value: Any) -> Any:
    if isinstance(value, int | float):
        # pydantic makes a field error of a ValueError, but not of a TypeError
        raise ValueError('write the amount as a string such as "1240.50"')
    return value


AmountText = Annotated[str, BeforeValidator(_amount_text), StringConstraints(strip_whitespace=True, max_length=40)]


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


class DecisionBody(Input):
    """What every decision of a person carries."""

    reason: Reason
