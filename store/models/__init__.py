"""The record. Every system reads these same tables; money is minor units, `*_at` is market time unless it says wall."""

from store.models.base import Base
from store.models.cases import (
    Alert,
    Case,
    CaseAccount,
    Decision,
    Dispute,
    SurveillanceCursor,
    Ticket,
    TicketMessage,
)
from store.models.challenges import Account, Challenge, ProductVersion, Transition
from store.models.live import (
    AccountLive,
    BalanceOperationRow,
    Breach,
    DailyClose,
    DailySnapshot,
    DealRow,
    EquityBar,
    Exposure,
    MarketClock,
    PhasePass,
    Proof,
    Review,
    Shard,
)
from store.models.money import LedgerTransaction, Payout, Posting, ProviderEntryRow
from store.models.operations import AuditEntry, IdempotencyKey, InboxEvent, Intent, OutboxMessage, Wakeup
from store.models.people import Session, Trader, User

__all__ = [
    "Account",
    "AccountLive",
    "Alert",
    "AuditEntry",
    "BalanceOperationRow",
    "Base",
    "Breach",
    "Case",
    "CaseAccount",
    "Challenge",
    "DailyClose",
    "DailySnapshot",
    "DealRow",
    "Decision",
    "Dispute",
    "EquityBar",
    "Exposure",
    "IdempotencyKey",
    "InboxEvent",
    "Intent",
    "LedgerTransaction",
    "MarketClock",
    "OutboxMessage",
    "Payout",
    "PhasePass",
    "Posting",
    "ProductVersion",
    "Proof",
    "ProviderEntryRow",
    "Review",
    "Session",
    "Shard",
    "SurveillanceCursor",
    "Ticket",
    "TicketMessage",
    "Trader",
    "Transition",
    "User",
    "Wakeup",
]
