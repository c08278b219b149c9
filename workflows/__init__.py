"""Every workflow of the queue `core`."""

from typing import Final

from workflows.case import CaseWorkflow
from workflows.challenge import ChallengeWorkflow
from workflows.daily_close import DailyCloseWorkflow
from workflows.dispute import DisputeWorkflow
from workflows.monitor_shard import MonitorShardWorkflow
from workflows.payout import PayoutWorkflow
from workflows.reconciliation import ReconciliationWorkflow
from workflows.surveillance import SurveillanceWorkflow

WORKFLOWS: Final[tuple[type, ...]] = (
    CaseWorkflow,
    ChallengeWorkflow,
    DailyCloseWorkflow,
    DisputeWorkflow,
    MonitorShardWorkflow,
    PayoutWorkflow,
    ReconciliationWorkflow,
    SurveillanceWorkflow,
)
