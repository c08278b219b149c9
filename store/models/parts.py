"""Which module describes which tables, and which other modules these tables refer to."""

from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Final

_CLASSES: Final = {
    "account_work": "AccountFreeze AccountNote Intervention",
    "cases": "Compensation Dispute DisputePack DisputePolicyRow DisputeWords",
    "casework": (
        "Alert Case CaseAccount CaseAction CaseAlert CaseNote DeductedTrade DeniedPayout "
        "SurveillanceCursor SurveillancePolicyRow SurveillanceProposal"
    ),
    "certificates": "Certificate",
    "challenges": "Account Challenge ProductVersion ScalingRow Transition",
    "currencies": "CurrencyRow",
    "decisions": "Decision DecisionRequestRow",
    "desk": "TicketFill TicketLook TicketMacro TicketMerge TicketRating",
    "exposure": "ExposureMinute ExposureNow ExposurePolicyRow ExposureStanding TraderCluster WhatIf WhatIfAnswer",
    "factors": (
        "Authenticator FactorChallenge Passkey ProofAttempt ProviderIdentity ProviderInvitation "
        "ProviderVisit RecoveryCode StepUp"
    ),
    "live": (
        "AccountLive BalanceOperationRow DailyClose DailySnapshot DealRow EquityBar Exposure GateStanding "
        "HistoryPoint HourBar NewsRelease Offence PhasePass Review Shard ShardMove ShardMoveAccount "
        "ShardPeaks"
    ),
    "mail": "MailAddress OutgoingMailRow",
    "mail_in": "IncomingMailRow MailAttachment MailAttachmentPart MailReference",
    "market": "MarketClock",
    "money": (
        "Chargeback ExchangeRate LedgerAccountRow LedgerBalance LedgerPeriod LedgerTransaction Payout "
        "PayoutPolicyRow PayoutReading PayoutTransfer Posting ProviderEntryRow RefundRow Suspension"
    ),
    "notifications": "Notification NotificationChoice NotificationTextsRow WorkReminder",
    "operations": (
        "AuditAnchor AuditCheckRow AuditEntry IdempotencyKey InboxEvent Intent OutboxMessage RemovedRows "
        "SealedReason Wakeup"
    ),
    "people": "AccessReview Attempts Beneficiary IdentityFact Link Session StaffChange Trader TraderWord User",
    "places": "AccountPlace PlatformChange",
    "programs": (
        "ApiKey BusinessEvent EventSource RateBucket WebhookDelivery WebhookEndpoint WebhookSecret WebhookTry"
    ),
    "proofs": "Breach Proof",
    "publishing": "AccountMove AccountMoveRow DraftImpact ProductDraft ProductProposal",
    "queue": "SavedFilter WorkLook WorkMark",
    "ranks": "AccountRank",
    "reconciliation": "OpenLine ReconciliationBreak StatementBalanceRow VenueCheck VenueLimits",
    "screening": (
        "IdentityCheck SanctionsEntry SanctionsKey SanctionsName SanctionsVersion Screening ScreeningHit "
        "ScreeningPolicyRow"
    ),
    "selling": "CouponRow CouponUse Receipt ReceiptCounter Sale",
    "service": "ServiceDeadline ServicePolicyRow ServiceTime TicketClock TicketClockEvent TicketTimer",
    "ticket_desks": "DeskArticleRow DeskTicketRow TicketDeskRow",
    "tickets": "Ticket TicketMessage",
    "trading": "OrderEvent StopChange SymbolFacts",
    "venues": "Credential PlatformStop VenueClockRow",
    "watch": "CorrectionRow WarningRow",
}
_REFERS: Final = {
    "account_work": "challenges people",
    "cases": "casework challenges decisions people proofs selling",
    "casework": "challenges money people",
    "certificates": "people",
    "challenges": "people publishing",
    "decisions": "people",
    "desk": "people tickets",
    "exposure": "people",
    "factors": "people",
    "live": "challenges proofs",
    "mail": "tickets",
    "mail_in": "tickets",
    "money": "account_work challenges currencies people proofs",
    "notifications": "people",
    "people": "currencies",
    "places": "challenges people proofs",
    "programs": "people",
    "proofs": "challenges",
    "publishing": "challenges people",
    "queue": "people",
    "ranks": "challenges",
    "reconciliation": "challenges money people",
    "screening": "people",
    "selling": "challenges people",
    "service": "people tickets",
    "ticket_desks": "people tickets",
    "tickets": "challenges money people",
    "trading": "challenges",
    "venues": "challenges people",
    "watch": "challenges",
}
OF_CLASS: Final = {name: module for module, names in _CLASSES.items() for name in names.split()}
REFERS: Final = {module: tuple(others.split()) for module, others in _REFERS.items()}


def load(module: str) -> ModuleType:
    """Describes the tables of a module, and all that they refer to: SQLAlchemy looks for those at the first statement.
    It is done before, so that no statement imports anything. Returns the module."""
    for name in _closure(module):
        import_module(f"store.models.{name}")
    return import_module(f"store.models.{module}")


def load_all() -> None:
    """Describes every table."""
    for module in _CLASSES:
        load(module)


@cache
def _closure(module: str) -> frozenset[str]:
    found, left = {module}, [module]
    while left:
        new = set(REFERS.get(left.pop(), ())) - found
        found |= new
        left += new
    return frozenset(found)
