"""Every refusal of PropOS, as one tree. No refusal class is defined anywhere else.

    PropOSError
    |-- BadInput                 422  a field is wrong; names the field and the remedy
    |   |-- UnknownCurrency           the currency is not in the table, so its minor units are unknown
    |   |-- ProductInvalid            a product file does not define a valid product
    |   |-- YamlInvalid               a text is not YAML, or is larger than a person would write
    |   |-- PriceFileInvalid          a recorded price file cannot be replayed
    |   |-- StatementInvalid          a trading statement cannot be imported; names the row
    |   |-- CalendarUnreadable        a news calendar has rows that cannot be read
    |   |-- CaseUnreadable            a file of worked examples cannot be read
    |   `-- RequestTooSlow       408  the body of a request did not arrive in time
    |-- BadRequest               400  the request cannot be read at all
    |-- BadSignature             400  a webhook that cannot be trusted
    |-- NotSignedIn              401
    |-- NotAllowed               403  the person may not do this
    |   `-- SelfApproval              the requester, or the same person twice
    |-- NotFound                 404  unknown, or belongs to somebody else: the answer is the same
    |   `-- CursorForgotten           a list cannot continue after an id: read it from the beginning
    |-- MethodNotAllowed         405  the address exists but does not take this HTTP method
    |-- Conflict                 409  the current state does not allow it
    |   |-- AlreadyDecided            somebody else decided first; says who
    |   |-- IllegalTransition         the state machine has no such step
    |   |-- PayoutOpen                one payout at a time
    |   |-- ExtensionRefused          no more time for this phase; says why
    |   |-- OrderRefused            nothing of the kind can be ordered now; says why
    |   |-- DecisionVoid              a decision arrived that nobody requested in this form; decide again
    |   |   |-- DecisionUnasked           no request for it is on the record
    |   |   |-- DecisionDiffers           the request is by somebody else or about something else
    |   |   |-- DecisionReplayed          a copy of a request's message
    |   |   `-- DecisionExpired           the request is too old
    |   |-- IdempotencyMismatch       same key, other input
    |   |-- ChangedMeanwhile          a form was filled in on facts that have changed since
    |   |-- RefusedForGood            the other side refuses this key, now and on every repeat
    |   |-- StaleEpoch                a newer owner judges this shard
    |   `-- DataLocked                another `propos up` uses the data folder
    |-- PayoutRefused            422  the payout is not eligible; carries the reasons, their figures and their proof
    |-- TooLarge                 413
    |-- TooManyAttempts          429  too many failed sign-ins in a row
    |-- Unavailable              503  a part is down; says which
    |   |-- NotConfigured             the record names a platform or a provider that this process does not know
    |   |-- InProgress           409  an earlier call under this key is not finished: ask again later
    |   |-- OutcomeUnknown            the effect may have happened: look it up by key first
    |   |   `-- AnswerLost       504  the sandbox's payment provider did not answer in time
    |   `-- RateMissing               no live quote converts one currency into the other
    |       |-- QuoteMissing              a symbol has no quote yet, so the equity is unknown
    |       `-- StateMissing              the venue has not stated the account's equity yet
    |-- ApiRefused               500  the demo's own client was refused; `problem` is the type of the refusal
    `-- InternalError            500  a defect on our side

`type` is stable and for programs; the message is a sentence for a person.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar


class PropOSError(Exception):
    """A refusal. `type` is stable; `status` is its HTTP status in the API."""

    type: ClassVar[str] = "error"
    status: ClassVar[int] = 500

    def __init__(self, message: str, *, field: str | None = None, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.remedy = remedy


class BadInput(PropOSError):
    type, status = "bad-input", 422


class UnknownCurrency(BadInput):
    type = "unknown-currency"

    def __init__(self, currency: str) -> None:
        super().__init__(
            f"There is no currency {currency[:20]!r}.",
            field="currency",
            remedy="Use the code of an ISO 4217 currency, such as USD, or USDT or USDC.",
        )


class ProductInvalid(BadInput):
    type = "product-invalid"


class YamlInvalid(BadInput):
    type = "yaml-invalid"


class PriceFileInvalid(BadInput):
    type = "price-file-invalid"


class StatementInvalid(BadInput):
    type = "statement-invalid"


class CalendarUnreadable(BadInput):
    """Rows of a news calendar cannot be read. Nothing of the file is imported."""

    type = "calendar-unreadable"


class CaseUnreadable(BadInput):
    """The file is not a list of worked examples in the format."""

    type = "case-unreadable"


class RequestTooSlow(BadInput):
    type, status = "too-slow", 408


class BadRequest(PropOSError):
    type, status = "bad-request", 400


class BadSignature(PropOSError):
    type, status = "bad-signature", 400


class NotSignedIn(PropOSError):
    type, status = "not-signed-in", 401

    def __init__(self, message: str = "Sign in first.") -> None:
        super().__init__(message)


class NotAllowed(PropOSError):
    type, status = "not-allowed", 403


class SelfApproval(NotAllowed):
    type = "self-approval"


class NotFound(PropOSError):
    type, status = "not-found", 404

    def __init__(self, message: str = "There is nothing here under that id.") -> None:
        super().__init__(message)


class CursorForgotten(NotFound):
    type = "cursor-forgotten"


class MethodNotAllowed(PropOSError):
    type, status = "method-not-allowed", 405


class Conflict(PropOSError):
    type, status = "conflict", 409


class AlreadyDecided(Conflict):
    type = "already-decided"

    def __init__(self, subject: str, decision: str, by: str) -> None:
        super().__init__(f"{subject} was already decided: {decision} by {by}.")
        self.by = by


class ChangedMeanwhile(Conflict):
    """A form was filled in on facts that have changed since: somebody else decided, or the item is now on hold."""

    type = "changed-meanwhile"


class IllegalTransition(Conflict):
    type = "illegal-transition"

    def __init__(self, noun: str, state: str, trigger: str) -> None:
        super().__init__(f"A {noun} that is {state.replace('_', ' ')} cannot take '{trigger.replace('_', ' ')}'.")
        self.state, self.trigger = state, trigger


class PayoutOpen(Conflict):
    type = "payout-open"

    def __init__(self, payout_id: str) -> None:
        super().__init__(f"Payout {payout_id} is still open; wait for it to end or cancel it first.")


class ExtensionRefused(Conflict):
    type = "extension-refused"


class OrderRefused(Conflict):
    type = "order-refused"


class DecisionVoid(Conflict):
    """No request of a person allows this decision. Nothing was decided."""

    type = "decision-void"

    def __init__(self, message: str) -> None:  # only the sentence crosses Temporal, so the remedy is in it
        super().__init__(f"{message} Open the item again and decide again.")


class DecisionUnasked(DecisionVoid):
    type = "decision-unasked"

    def __init__(self) -> None:
        super().__init__("Nobody asked for this decision: no request for it is on the record.")


class DecisionDiffers(DecisionVoid):
    type = "decision-differs"


class DecisionReplayed(DecisionVoid):
    type = "decision-replayed"

    def __init__(self) -> None:
        super().__init__("This is a copy of a decision, sent under another id.")


class DecisionExpired(DecisionVoid):
    type = "decision-expired"

    def __init__(self, expired_at: datetime) -> None:
        super().__init__(f"This decision had to be carried out by {expired_at:%Y-%m-%d %H:%M} UTC and came too late.")


class IdempotencyMismatch(Conflict):
    type = "idempotency-mismatch"

    def __init__(self, key: str) -> None:
        super().__init__(f"Idempotency key {key!r} was used before with other input; use a new key.")


class RefusedForGood(Conflict):
    """The final answer to one call: its key is used up, and a repeat is refused with the same message."""

    type = "refused-for-good"

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


class StaleEpoch(Conflict):
    type = "stale-epoch"

    def __init__(self, shard: int, epoch: int, current: int) -> None:
        super().__init__(f"Shard {shard} is owned by epoch {current}; epoch {epoch} may not write.")


class DataLocked(Conflict):
    """Another `propos up` owns the data folder."""

    type = "data-locked"

    def __init__(self, data_dir: Path, holder: str) -> None:
        super().__init__(
            f"{data_dir} is in use by another `propos up` (process {holder}).",
            remedy=f"Use that one, or stop it with: propos stop --data {data_dir}",
        )


class PayoutRefused(PropOSError):
    """`reasons`: clauses for people. `refusals`: the same for programs, each {"code", "sentence", "figures"} with
    amounts in minor units and instants as ISO text. `proof`: the sealed sheet of the refusal; `proof_id`: its id."""

    type, status = "payout-refused", 422

    def __init__(
        self,
        reasons: list[str],
        *,
        refusals: Sequence[Mapping[str, Any]] = (),
        proof: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__("This payout cannot be made: " + "; ".join(reasons) + ".")
        self.reasons = reasons
        self.refusals = [dict(refusal) for refusal in refusals]
        self.proof = proof

    @property
    def proof_id(self) -> str | None:
        return None if self.proof is None else str(self.proof["proof_id"])


class TooLarge(PropOSError):
    type, status = "too-large", 413


class TooManyAttempts(PropOSError):
    type, status = "too-many-attempts", 429


class Unavailable(PropOSError):
    type, status = "unavailable", 503


class NotConfigured(Unavailable):
    """The row is right and the process is not: it is tried again until the settings are there."""

    type = "not-configured"

    def __init__(self, what: str, name: str, variables: str) -> None:
        super().__init__(
            f"No {what} {name!r} is configured here.", remedy=f"Set {variables}__{name.upper()}__... in every process."
        )


class InProgress(Unavailable):
    type, status = "in-progress", 409


class OutcomeUnknown(Unavailable):
    type = "outcome-unknown"


class AnswerLost(OutcomeUnknown):
    type, status = "answer-lost", 504


class RateMissing(Unavailable):
    """No live quote converts one currency into the other."""

    type = "rate-missing"


class QuoteMissing(RateMissing):
    """A symbol with an open position has no usable quote yet, so the equity is unknown."""

    type = "quote-missing"


class StateMissing(RateMissing):
    """The venue has not stated the account's equity since its last change."""

    type = "state-missing"


class ApiRefused(PropOSError):
    """The API refused a call of the demo. `problem`: the `type` of the refusal."""

    type = "refused"

    def __init__(self, problem: Mapping[str, Any]) -> None:
        super().__init__(str(problem.get("detail") or problem.get("title") or problem))
        self.problem = str(problem.get("type", "")).rsplit("/", 1)[-1]


class InternalError(PropOSError):
    type, status = "internal", 500
