"""Activities of workflow `SurveillanceWindows`."""

from datetime import datetime

from temporalio import activity

from contracts.messages import Message, SurveillanceWindowsStart


class WindowPart(Message):
    """A part of the work of one window: `pattern` looks at part `part` of `parts` of the accounts, or at the whole
    firm when `parts` is 1."""

    pattern: str
    part: int = 0
    parts: int = 1


class WindowPlan(Message):
    """`at`: market time of this window; None: nothing has been traded. `parts`: empty when it is not due yet."""

    at: datetime | None = None
    parts: tuple[WindowPart, ...] = ()


class WindowReport(Message):
    """What came of one part. `sampled`: cases of what is a little below the line. `cannot_judge`: why the pattern could
    not judge; empty when it could."""

    findings: int
    new: int
    sampled: int = 0
    cannot_judge: str = ""


@activity.defn(name="surveillance.plan_window")
async def plan_window(start: SurveillanceWindowsStart) -> WindowPlan:
    """Returns the parts of the next window, if six hours of market time have passed since the last one."""
    raise NotImplementedError


@activity.defn(name="surveillance.judge_window")
async def judge_window(part: WindowPart) -> WindowReport:
    """Has one pattern look at one part of the last weeks, and opens a case for each finding."""
    raise NotImplementedError
