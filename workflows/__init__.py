"""Every workflow of the queue `core`."""

from typing import Final

from workflows.case import Case
from workflows.challenge import Challenge
from workflows.daily_close import DailyClose
from workflows.dispute import Dispute
from workflows.monitor_shard import MonitorShard
from workflows.payout import Payout
from workflows.reconciliation import Reconciliation
from workflows.surveillance import Surveillance

WORKFLOWS: Final[tuple[type, ...]] = (
    Case,
    Challenge,
    DailyClose,
    Dispute,
    MonitorShard,
    Payout,
    Reconciliation,
    Surveillance,
)
