"""Every workflow of the queue `core`.

The sandbox imports the module of a workflow anew for each run, with the package around it. So the package itself
imports nothing, and a run loads only its own workflow.
"""

from typing import Final

from workflows.case import CaseWorkflow
from workflows.challenge import ChallengeWorkflow
from workflows.chargeback import ChargebackWorkflow
from workflows.daily_close import DailyCloseWorkflow
from workflows.dispute import DisputeWorkflow
from workflows.monitor_shard import MonitorShardWorkflow
from workflows.payout import PayoutWorkflow
from workflows.platform_change import PlatformChangeWorkflow
from workflows.reconciliation import ReconciliationWorkflow
from workflows.surveillance import SurveillanceWorkflow
from workflows.surveillance_windows import SurveillanceWindowsWorkflow

WORKFLOWS: Final[tuple[type, ...]] = (
    CaseWorkflow,
    ChallengeWorkflow,
    ChargebackWorkflow,
    DailyCloseWorkflow,
    DisputeWorkflow,
    MonitorShardWorkflow,
    PayoutWorkflow,
    PlatformChangeWorkflow,
    ReconciliationWorkflow,
    SurveillanceWindowsWorkflow,
    SurveillanceWorkflow,
)
