"""Task queues, and the functions that build workflow ids. No other module builds a workflow id."""

from typing import Final

CORE_QUEUE: Final = "core"
MONITOR_QUEUE: Final = "monitor"
DEPLOYMENT: Final = "propos"  # of the workers of `core`, whose versions Temporal tells apart
UNVERSIONED: Final = "unversioned"  # workers that have no version

SURVEILLANCE_WORKFLOW: Final = "surveillance/main"
SURVEILLANCE_WINDOWS_WORKFLOW: Final = "surveillance_windows/main"
RECONCILIATION_WORKFLOW: Final = "reconciliation/main"


def challenge_workflow(challenge_id: str) -> str:
    return f"challenge/{challenge_id}"


def payout_workflow(payout_id: str) -> str:
    return f"payout/{payout_id}"


def chargeback_workflow(chargeback_id: str) -> str:
    return f"chargeback/{chargeback_id}"


def dispute_workflow(dispute_id: str) -> str:
    return f"dispute/{dispute_id}"


def case_workflow(case_id: str) -> str:
    return f"case/{case_id}"


def platform_change_workflow(change_id: str) -> str:
    return f"platform_change/{change_id}"


def shard_workflow(shard: int) -> str:
    return f"shard/{shard}"


def daily_close_workflow(clock_group: str) -> str:
    return f"daily-close/{clock_group}"


def parts(workflow_id: str) -> tuple[str, str]:
    """Returns (kind, name) of a workflow id, such as ("payout", "pay_01…"); the name is empty when there is none."""
    kind, _, name = workflow_id.partition("/")
    return kind, name
