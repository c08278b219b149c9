"""`propos platform reconcile`: the accounts of a platform against the record, now."""

import asyncio
import json
import sys
from datetime import timedelta
from typing import Any
from uuid import uuid4

from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from cli.compose import build_database, temporal
from contracts.ids import RECONCILIATION_WORKFLOW
from contracts.operations import ComparisonReport, ComparisonRequest
from domain.errors import BadInput, Unavailable
from domain.reconciliation import WORDS
from settings import Settings
from store.read import reconciliation
from store.read.pages import Window

_PROGRESS = 5.0  # seconds between two lines of progress
_SHOWN = 100


def show_reconcile(settings: Settings, name: str, *, as_json: bool) -> bool:
    """Prints what differs; returns whether nothing does. Raises BadInput for a platform that is not configured,
    Unavailable."""
    if name not in settings.platform_values():
        known = ", ".join(sorted(settings.platform_values())) or "none"
        said = f"There is no platform {name!r}; configured: {known}."
        raise BadInput(said, field="name", remedy="Give one of these.")
    report, open_now = asyncio.run(_compare(settings, name))
    if as_json:
        print(json.dumps({**report.model_dump(mode="json"), "open": open_now}, indent=2))
    else:
        print(f"{name}: {report.compared} accounts compared")
        for each in open_now:
            about = each["account"] or f"login {each['login']}"
            print(f"{WORDS[each['kind']]}: {about}. Record: {each['ours']}. Platform: {each['theirs']}. {each['id']}")
        if sum(report.breaks.values()) > len(open_now):
            print(f"and {sum(report.breaks.values()) - len(open_now)} more: see /reconciliation")
        if report.suspected:
            print(f"{report.suspected} differences were seen once, and may still be on their way.")
        if not report.breaks and not report.suspected:
            print("The platform and the record agree.")
    return not report.breaks and not report.suspected


async def _compare(settings: Settings, name: str) -> tuple[ComparisonReport, list[dict[str, Any]]]:
    client = await temporal(settings)
    handle = client.get_workflow_handle(RECONCILIATION_WORKFLOW)
    request = ComparisonRequest(key=uuid4().hex, platform=name)
    calling = asyncio.ensure_future(
        handle.execute_update(
            "compare_platform",
            request,
            id=request.key,
            result_type=ComparisonReport,
            rpc_timeout=timedelta(hours=3),
        )
    )
    while not (await asyncio.wait((calling,), timeout=_PROGRESS))[0]:
        print(f"comparing {name}; it waits for a round that runs", file=sys.stderr)
    try:
        report = await calling
    except WorkflowUpdateFailedError as failed:
        cause = failed.cause
        said = cause.message if isinstance(cause, ApplicationError) else str(cause)
        raise Unavailable(f"{name} could not be compared: {said}", remedy="See propos doctor.") from failed
    db = build_database(settings, pool_size=1)
    try:
        async with db.transaction() as session:
            rows = await reconciliation.of_platform(session, name, Window(limit=_SHOWN))
    finally:
        await db.close()
    return report, [
        {
            "id": row.id,
            "kind": row.kind,
            "account": row.account_number,
            "login": row.subject,
            "ours": row.detail["ours"],
            "theirs": row.detail["theirs"],
        }
        for row in rows
    ]
