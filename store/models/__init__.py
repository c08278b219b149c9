"""The tables of the record. Money is in minor units; `*_at` is market time unless a comment says wall time.

A table is described when it is first asked for: a command that reads two of them does not wait for all.
"""

from typing import TYPE_CHECKING, Any

from sqlalchemy import MetaData

from store.models import parts
from store.models.base import Base

if TYPE_CHECKING:
    from store.models.account_work import AccountFreeze, AccountNote, Intervention
    from store.models.cases import Compensation, Dispute, DisputePack, DisputePolicyRow, DisputeWords
    from store.models.casework import (
        Alert,
        Case,
        CaseAccount,
        CaseAction,
        CaseAlert,
        CaseNote,
        DeductedTrade,
        DeniedPayout,
        SurveillanceCursor,
        SurveillancePolicyRow,
        SurveillanceProposal,
    )
    from store.models.certificates import Certificate
    from store.models.challenges import Account, Challenge, ProductVersion, ScalingRow, Transition
    from store.models.currencies import CurrencyRow
    from store.models.decisions import Decision, DecisionRequestRow
    from store.models.desk import TicketFill, TicketLook, TicketMacro, TicketMerge, TicketRating
    from store.models.exposure import (
        ExposureMinute,
        ExposureNow,
        ExposurePolicyRow,
        ExposureStanding,
        TraderCluster,
        WhatIf,
        WhatIfAnswer,
    )
    from store.models.factors import (
        Authenticator,
        FactorChallenge,
        Passkey,
        ProofAttempt,
        ProviderIdentity,
        ProviderInvitation,
        ProviderVisit,
        RecoveryCode,
        StepUp,
    )
    from store.models.live import (
        AccountLive,
        BalanceOperationRow,
        DailyClose,
        DailySnapshot,
        DealRow,
        EquityBar,
        Exposure,
        GateStanding,
        HistoryPoint,
        HourBar,
        NewsRelease,
        Offence,
        PhasePass,
        Review,
        Shard,
        ShardMove,
        ShardMoveAccount,
        ShardPeaks,
    )
    from store.models.mail import MailAddress, OutgoingMailRow
    from store.models.mail_in import IncomingMailRow, MailAttachment, MailAttachmentPart, MailReference
    from store.models.market import MarketClock
    from store.models.money import (
        Chargeback,
        ExchangeRate,
        LedgerAccountRow,
        LedgerBalance,
        LedgerPeriod,
        LedgerTransaction,
        Payout,
        PayoutPolicyRow,
        PayoutReading,
        PayoutTransfer,
        Posting,
        ProviderEntryRow,
        RefundRow,
        Suspension,
    )
    from store.models.notifications import Notification, NotificationChoice, NotificationTextsRow, WorkReminder
    from store.models.operations import (
        AuditAnchor,
        AuditCheckRow,
        AuditEntry,
        IdempotencyKey,
        InboxEvent,
        Intent,
        OutboxMessage,
        RemovedRows,
        SealedReason,
        Wakeup,
    )
    from store.models.people import (
        AccessReview,
        Attempts,
        Beneficiary,
        IdentityFact,
        Link,
        Session,
        StaffChange,
        Trader,
        TraderWord,
        User,
    )
    from store.models.places import AccountPlace, PlatformChange
    from store.models.programs import (
        ApiKey,
        BusinessEvent,
        EventSource,
        RateBucket,
        WebhookDelivery,
        WebhookEndpoint,
        WebhookSecret,
        WebhookTry,
    )
    from store.models.proofs import Breach, Proof
    from store.models.publishing import AccountMove, AccountMoveRow, DraftImpact, ProductDraft, ProductProposal
    from store.models.queue import SavedFilter, WorkLook, WorkMark
    from store.models.ranks import AccountRank
    from store.models.reconciliation import OpenLine, ReconciliationBreak, StatementBalanceRow, VenueCheck, VenueLimits
    from store.models.screening import (
        IdentityCheck,
        SanctionsEntry,
        SanctionsKey,
        SanctionsName,
        SanctionsVersion,
        Screening,
        ScreeningHit,
        ScreeningPolicyRow,
    )
    from store.models.selling import CouponRow, CouponUse, Receipt, ReceiptCounter, Sale
    from store.models.service import (
        ServiceDeadline,
        ServicePolicyRow,
        ServiceTime,
        TicketClock,
        TicketClockEvent,
        TicketTimer,
    )
    from store.models.ticket_desks import DeskArticleRow, DeskTicketRow, TicketDeskRow
    from store.models.tickets import Ticket, TicketMessage
    from store.models.trading import OrderEvent, StopChange, SymbolFacts
    from store.models.venues import Credential, PlatformStop, VenueClockRow
    from store.models.watch import CorrectionRow, WarningRow

__all__ = [
    "AccessReview",
    "Account",
    "AccountFreeze",
    "AccountLive",
    "AccountMove",
    "AccountMoveRow",
    "AccountNote",
    "AccountPlace",
    "AccountRank",
    "Alert",
    "ApiKey",
    "Attempts",
    "AuditAnchor",
    "AuditCheckRow",
    "AuditEntry",
    "Authenticator",
    "BalanceOperationRow",
    "Base",
    "Beneficiary",
    "Breach",
    "BusinessEvent",
    "Case",
    "CaseAccount",
    "CaseAction",
    "CaseAlert",
    "CaseNote",
    "Certificate",
    "Challenge",
    "Chargeback",
    "Compensation",
    "CorrectionRow",
    "CouponRow",
    "CouponUse",
    "Credential",
    "CurrencyRow",
    "DailyClose",
    "DailySnapshot",
    "DealRow",
    "Decision",
    "DecisionRequestRow",
    "DeductedTrade",
    "DeniedPayout",
    "DeskArticleRow",
    "DeskTicketRow",
    "Dispute",
    "DisputePack",
    "DisputePolicyRow",
    "DisputeWords",
    "DraftImpact",
    "EquityBar",
    "EventSource",
    "ExchangeRate",
    "Exposure",
    "ExposureMinute",
    "ExposureNow",
    "ExposurePolicyRow",
    "ExposureStanding",
    "FactorChallenge",
    "GateStanding",
    "HistoryPoint",
    "HourBar",
    "IdempotencyKey",
    "IdentityCheck",
    "IdentityFact",
    "InboxEvent",
    "IncomingMailRow",
    "Intent",
    "Intervention",
    "LedgerAccountRow",
    "LedgerBalance",
    "LedgerPeriod",
    "LedgerTransaction",
    "Link",
    "MailAddress",
    "MailAttachment",
    "MailAttachmentPart",
    "MailReference",
    "MarketClock",
    "NewsRelease",
    "Notification",
    "NotificationChoice",
    "NotificationTextsRow",
    "Offence",
    "OpenLine",
    "OrderEvent",
    "OutboxMessage",
    "OutgoingMailRow",
    "Passkey",
    "Payout",
    "PayoutPolicyRow",
    "PayoutReading",
    "PayoutTransfer",
    "PhasePass",
    "PlatformChange",
    "PlatformStop",
    "Posting",
    "ProductDraft",
    "ProductProposal",
    "ProductVersion",
    "Proof",
    "ProofAttempt",
    "ProviderEntryRow",
    "ProviderIdentity",
    "ProviderInvitation",
    "ProviderVisit",
    "RateBucket",
    "Receipt",
    "ReceiptCounter",
    "ReconciliationBreak",
    "RecoveryCode",
    "RefundRow",
    "RemovedRows",
    "Review",
    "Sale",
    "SanctionsEntry",
    "SanctionsKey",
    "SanctionsName",
    "SanctionsVersion",
    "SavedFilter",
    "ScalingRow",
    "Screening",
    "ScreeningHit",
    "ScreeningPolicyRow",
    "SealedReason",
    "ServiceDeadline",
    "ServicePolicyRow",
    "ServiceTime",
    "Session",
    "Shard",
    "ShardMove",
    "ShardMoveAccount",
    "ShardPeaks",
    "StaffChange",
    "StatementBalanceRow",
    "StepUp",
    "StopChange",
    "SurveillanceCursor",
    "SurveillancePolicyRow",
    "SurveillanceProposal",
    "Suspension",
    "SymbolFacts",
    "Ticket",
    "TicketClock",
    "TicketClockEvent",
    "TicketDeskRow",
    "TicketFill",
    "TicketLook",
    "TicketMacro",
    "TicketMerge",
    "TicketMessage",
    "TicketRating",
    "TicketTimer",
    "Trader",
    "TraderCluster",
    "TraderWord",
    "Transition",
    "User",
    "VenueCheck",
    "VenueClockRow",
    "VenueLimits",
    "Wakeup",
    "WarningRow",
    "WebhookDelivery",
    "WebhookEndpoint",
    "WebhookSecret",
    "WebhookTry",
    "WhatIf",
    "WhatIfAnswer",
    "WorkLook",
    "WorkMark",
    "WorkReminder",
    "every_table",
]


def every_table() -> MetaData:
    """Returns the description of all tables."""
    parts.load_all()
    return Base.metadata


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Describes the tables of the module that has this class, and those that they refer to."""
        module = parts.OF_CLASS.get(name)
        if module is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = found = getattr(parts.load(module), name)
        return found
