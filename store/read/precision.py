"""How often each pattern was right, by the version of its thresholds, from the outcomes of cases. For staff."""

from collections.abc import Collection
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.surveillance.casework import ACTED
from domain.surveillance.precision import Outcomes, wilson
from store.models import Alert, Case, CaseAlert
from store.read.pages import View


class ShareView(View):
    """A share with its 95 % Wilson interval, each 0..1."""

    share: Decimal
    low: Decimal
    high: Decimal


class CountedView(View):
    """Cases by outcome. `precision`: confirmed / (confirmed + false positive); None while there is none of both."""

    confirmed: int
    false_positive: int
    inconclusive: int
    undecided: int
    precision: ShareView | None


class PrecisionRow(View):
    """`above`: cases of findings that reached their threshold. `blind`: those of them whose score nobody saw before
    deciding. `below`: the sample under the threshold; its precision is the share of them that abuse was found in."""

    pattern: str
    thresholds_version: str
    above: CountedView
    blind: CountedView
    below: CountedView


class Precision(View):
    items: tuple[PrecisionRow, ...]


_VERSION = func.coalesce(Alert.evidence["thresholds_version"].astext, "")


def _counted(*more: ColumnElement[bool]) -> list[Any]:
    """Distinct cases by outcome. A granted appeal makes a confirmed case a false one."""
    kinds = (
        Case.state.in_(ACTED),
        case((Case.state == "overturned", True), else_=Case.outcome == "false_positive"),
        and_(Case.outcome == "inconclusive", Case.state != "overturned"),
        Case.state == "open",
    )
    return [func.count(Case.id.distinct()).filter(and_(kind, *more)) for kind in kinds]


async def by_pattern(session: AsyncSession, patterns: Collection[str] | None = None) -> Precision:
    """Returns a row for each pattern and version of its thresholds, by name; the newest version of a pattern first.
    `patterns`: only these."""
    above, blind, below = ~Case.is_sample, and_(~Case.is_sample, Case.is_blind), Case.is_sample.is_(True)
    statement = (
        select(Alert.detector, _VERSION, *_counted(above), *_counted(blind), *_counted(below))
        .join(CaseAlert, CaseAlert.alert_id == Alert.id)
        .join(Case, Case.id == CaseAlert.case_id)
        .group_by(Alert.detector, _VERSION)
        .order_by(Alert.detector, func.max(Alert.recorded_at).desc())
    )
    if patterns is not None:
        statement = statement.where(Alert.detector.in_(patterns))
    return Precision(
        items=tuple(
            PrecisionRow(
                pattern=name,
                thresholds_version=version,
                above=counted(Outcomes(*numbers[:4])),
                blind=counted(Outcomes(*numbers[4:8])),
                below=counted(Outcomes(*numbers[8:])),
            )
            for name, version, *numbers in await session.execute(statement)
        )
    )


def counted(found: Outcomes) -> CountedView:
    share = wilson(found.confirmed, found.confirmed + found.false_positive)
    return CountedView(
        confirmed=found.confirmed,
        false_positive=found.false_positive,
        inconclusive=found.inconclusive,
        undecided=found.undecided,
        precision=None
        if share is None
        else ShareView(share=_rounded(share.share), low=_rounded(share.low), high=_rounded(share.high)),
    )


def _rounded(value: float) -> Decimal:
    return Decimal(repr(value)).quantize(Decimal("0.0001"))
