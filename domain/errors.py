"""Every refusal of PropOS, as one tree. The classes for files are in domain/file_errors.py, those for decisions that
arrived in domain/decision_errors.py, those for changes of platform in domain/platform_errors.py, those for API keys in
domain/key_errors.py, those about signing in in domain/sign_in_errors.py. No refusal class is defined anywhere else.

    PropOSError
    |-- BadInput                 422  a field is wrong; names the field and the remedy
    |   |-- UnknownCurrency           the currency is not in the table, so its minor units are unknown
    |   |-- PolicyInvalid             the firm's policy file does not define a valid policy
    |   |-- NoUsableRate              no exchange rate is new enough to pay in another currency
    |   |-- UnknownAccount            the chart of accounts has no such account
    |   |-- ProductInvalid            a product file does not define a valid product
    |   |-- YamlInvalid               a text is not YAML, or is larger than a person would write
    |   |-- PriceFileInvalid          a recorded price file cannot be replayed
    |   |-- RecordingInvalid          a gateway's recording cannot be replayed; names the line
    |   |-- StatementInvalid          a trading statement cannot be imported; names the row
    |   |-- CalendarUnreadable        a news calendar has rows that cannot be read
    |   |-- RatesUnreadable           a file of exchange rates has rows that cannot be read
    |   |-- CaseUnreadable            a file of worked examples cannot be read
    |   |-- BankFileRefused           a file of a bank cannot be booked; names file, element and remedy
    |   |   |-- BankFileUnreadable          it is cut off, too large, not XML, or an element is wrong
    |   |   |-- BankFileRepeated            it was read before
    |   |   |-- BankFileMisaddressed        it is about an account or an order that is not ours
    |   |   |-- BankFileOutOfOrder          a statement before it is missing
    |   |   `-- BankFileUnbalanced          its sums do not add up
    |   |-- SanctionsUnreadable       a sanctions list or a file of names cannot be read; names the row
    |   |-- SurveillanceFileInvalid   a file for surveillance is missing, or lacks a column
    |   |-- ThresholdsInvalid         a file of thresholds names a pattern or a value that cannot be
    |   `-- RequestTooSlow       408  the body of a request did not arrive in time
    |-- BadRequest               400  the request cannot be read at all
    |-- BadSignature             400  a webhook that cannot be trusted
    |-- NotSignedIn              401
    |   `-- SignInRefused             a passkey or an identity provider signs nobody in
    |-- NotAllowed               403  the person may not do this
    |   |-- SelfApproval              the requester, or the same person twice
    |   |-- EmailUnconfirmed          the trader has not confirmed the e-mail address yet
    |   |-- ApprovalLimit             the person has approved as much today as the policy allows
    |   |-- NeedsPerson               an API key may not do this: it needs a signed-in person
    |   |-- OutOfScope                the API key lacks the scope
    |   |-- StepUpRequired            a fresh proof of the person is needed first; says how
    |   `-- ProofRefused              a password, code or passkey does not prove who the person is
    |-- NotFound                 404  unknown, or belongs to somebody else: the answer is the same
    |   `-- CursorForgotten           a list cannot continue after an id: read it from the beginning
    |-- MethodNotAllowed         405  the address exists but does not take this HTTP method
    |-- Conflict                 409  the current state does not allow it
    |   |-- AlreadyDecided            somebody else decided first; says who
    |   |-- NothingLeft               the subject is at its end
    |   |-- IllegalTransition         the state machine has no such step
    |   |-- PayoutOpen                one payout at a time
    |   |-- StaleDecision             the subject is no longer what the person saw; says what changed
    |   |-- EvidenceChanged           the evidence of a case is not what was recorded when it joined
    |   |-- NothingToWithdraw         no approval of this person counts, or the money has left
    |   |-- ExtensionRefused          no more time for this phase; says why
    |   |-- OrderRefused            nothing of the kind can be ordered now; says why
    |   |   `-- CouponRefused         a coupon cannot be used for this order; says why
    |   |-- ChargebackClosed          a chargeback takes no answer of the firm (any more)
    |   |-- RefundTooLarge            more than is left of the payment
    |   |-- PlatformChangeRefused     an account cannot change its platform now; says every reason
    |   |-- PlatformChanges           the account is on its way to another platform: wait for it
    |   |-- DecisionVoid              a decision arrived that nobody requested in this form; decide again
    |   |   |-- DecisionUnasked           no request for it is on the record
    |   |   |-- DecisionDiffers           the request is by somebody else or about something else
    |   |   |-- DecisionReplayed          a copy of a request's message
    |   |   `-- DecisionExpired           the request is too old
    |   |-- IdempotencyMismatch       same key, other input
    |   |-- ChangedMeanwhile          a form was filled in on facts that have changed since
    |   |-- RefusedForGood            the other side refuses this key, now and on every repeat
    |   |-- LastFactor                the last factor of a person whose role needs one
    |   |-- KeyInUse                  an encryption key is still needed; says by what
    |   |-- StaleEpoch                a newer owner judges this shard
    |   `-- DataLocked                another `propos up` uses the data folder
    |-- PayoutRefused            422  the payout is not eligible; carries the reasons, their figures and their proof
    |-- TooLarge                 413
    |-- TooManyAttempts          429  too many failed sign-ins in a row
    |-- TooManyRequests          429  more requests than the firm allows a person or an API key
    |-- Unavailable              503  a part is down; says which
    |   |-- NotConfigured             the record names a platform or a provider that this process does not know
    |   |-- InProgress           409  an earlier call under this key is not finished: ask again later
    |   |-- OutcomeUnknown            the effect may have happened: look it up by key first
    |   |   `-- AnswerLost       504  the sandbox's payment provider did not answer in time
    |   |-- WaitsForPerson            the platform refused a step for good: it is tried again once a person has looked
    |   `-- RateMissing               no live quote converts one currency into the other
    |       |-- QuoteMissing              a symbol has no quote yet, so the equity is unknown
    |       `-- StateMissing              the venue has not stated the account's equity yet
    |-- ApiRefused               500  the demo's own client was refused; `problem` is the type of the refusal
    `-- InternalError            500  a defect on our side

`type` is stable and for programs; the message is a sentence for a person.
"""

from collections.abc import Mapping, Sequence
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


class NoUsableRate(BadInput):
    type = "no-usable-rate"


class UnknownAccount(BadInput):
    type = "unknown-account"

    def __init__(self, account: str) -> None:
        super().__init__(
            f"The chart of accounts has no account {account[:80]!r}.",
            field="account",
            remedy="`propos ledger trial-balance` lists the accounts.",
        )


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


class ApprovalLimit(NotAllowed):
    """A person has approved as much today as the firm's policy lets one person approve."""

    type = "approval-limit"


class NotFound(PropOSError):
    type, status = "not-found", 404

    def __init__(self, message: str = "There is nothing here under that id.", *, remedy: str | None = None) -> None:
        super().__init__(message, remedy=remedy)


class CursorForgotten(NotFound):
    type = "cursor-forgotten"


class MethodNotAllowed(PropOSError):
    type, status = "method-not-allowed", 405


class Conflict(PropOSError):
    type, status = "conflict", 409


class AlreadyDecided(Conflict):
    type = "already-decided"

    def __init__(self, subject: str, decision: str, by: str, *, name: str = "") -> None:
        super().__init__(f"{subject} was already decided: {decision} by {name or by}.")
        self.by = by


class NothingLeft(Conflict):
    """The subject of a decision is at its end."""

    type = "nothing-left"


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


class StaleDecision(Conflict):
    """The subject of a decision is no longer the one that the person saw. `changed`: what differs."""

    type = "stale-decision"

    def __init__(self, noun: str, changed: Sequence[str], *, field: str = "seen") -> None:
        super().__init__(
            f"This {noun} has changed since you saw it: {', '.join(changed)}. Nothing was decided.",
            field=field,
            remedy=f"Read it again, and decide with the `{field}` that comes with it.",
        )
        self.changed = tuple(changed)


class NothingToWithdraw(Conflict):
    type = "nothing-to-withdraw"


class ExtensionRefused(Conflict):
    type = "extension-refused"


class OrderRefused(Conflict):
    type = "order-refused"


class CouponRefused(OrderRefused):
    type = "coupon-refused"


class ChargebackClosed(Conflict):
    """A chargeback that takes no answer of the firm (any more)."""

    type = "chargeback-closed"


class RefundTooLarge(Conflict):
    type = "refund-too-large"


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


class KeyInUse(Conflict):
    """An encryption key cannot be changed yet: something needs it as it is."""

    type = "key-in-use"

    def __init__(self, key_id: str, needed_by: Sequence[str], *, remedy: str) -> None:
        super().__init__(f"The key {key_id!r} cannot be changed yet: {'; '.join(needed_by)}.", remedy=remedy)
        self.needed_by = tuple(needed_by)


class StaleEpoch(Conflict):
    type = "stale-epoch"

    def __init__(self, shard: int, epoch: int, current: int) -> None:
        super().__init__(f"Shard {shard} is owned by epoch {current}; epoch {epoch} may not write.")


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


class WaitsForPerson(Unavailable):
    """The platform refused a step for good. A review asks a person to look; closing it lets the step try again."""

    type = "waits-for-person"

    def __init__(self, what: str) -> None:
        super().__init__(
            f"The platform refused {what} for good.", remedy="Mend it at the platform, then close the review about it."
        )


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
