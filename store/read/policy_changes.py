"""The surveillance policy in force, and the changes that people proposed. For staff."""

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import NotFound
from domain.products.diff import FieldChange
from domain.surveillance.policy import SurveillancePolicy
from domain.surveillance.thresholds import ReplayCounts
from store.models import SurveillancePolicyRow, SurveillanceProposal, User
from store.read import history
from store.read.history import DecisionView, TransitionView
from store.read.pages import View
from store.scope import FIRM


class PolicyView(View):
    """`hash`: what a proposed change is compared with."""

    hash: str
    policy: SurveillancePolicy


class PolicyChangeView(View):
    """`changes`: the values that differ from the policy for which it was proposed. `replayed`: what the new thresholds
    would have done in the past, by pattern."""

    id: str
    state: str
    reason: str
    proposed_by: str
    proposed_by_name: str
    proposed_at: datetime
    base_hash: str
    content_hash: str
    changes: tuple[FieldChange, ...]
    replay_waits: bool
    replayed: tuple[ReplayCounts, ...]
    decisions: tuple[DecisionView, ...]
    transitions: tuple[TransitionView, ...]


async def in_force(session: AsyncSession) -> PolicyView:
    newest = select(SurveillancePolicyRow.body).order_by(SurveillancePolicyRow.number.desc()).limit(1)
    body = await session.scalar(newest)
    policy = SurveillancePolicy() if body is None else SurveillancePolicy.model_validate(body)
    return PolicyView(hash=policy.content_hash, policy=policy)


async def one(session: AsyncSession, proposal_id: str) -> PolicyChangeView:
    """Raises NotFound."""
    row = (
        await session.execute(
            select(SurveillanceProposal, User.name, User.id)
            .join(User, User.id == SurveillanceProposal.proposed_by)
            .where(SurveillanceProposal.id == proposal_id)
        )
    ).one_or_none()
    if row is None:
        raise NotFound
    made, name, user_id = row
    based_on = await session.scalar(
        select(SurveillancePolicyRow.body)
        .where(SurveillancePolicyRow.content_hash == made.base_hash)
        .order_by(SurveillancePolicyRow.number.desc())
        .limit(1)
    )
    before = SurveillancePolicy().model_dump(mode="json") if based_on is None else based_on
    return PolicyChangeView(
        id=made.id,
        state=made.state,
        reason=made.reason,
        proposed_by=user_id,
        proposed_by_name=name,
        proposed_at=made.proposed_at,
        base_hash=made.base_hash,
        content_hash=made.content_hash,
        changes=differences(before, made.body),
        replay_waits="counts" not in made.replayed,
        replayed=tuple(ReplayCounts.model_validate(each) for each in made.replayed.get("counts", ())),
        decisions=await history.decisions(session, FIRM, "policy_change", proposal_id),
        transitions=await history.transitions(session, FIRM, "policy_change", proposal_id),
    )


def differences(before: dict[str, Any], after: dict[str, Any]) -> tuple[FieldChange, ...]:
    """Returns the values that differ, by their place."""
    old, new = dict(_leaves(before, "")), dict(_leaves(after, ""))
    return tuple(
        FieldChange(field=place, words=place.replace("_", " "), was=old.get(place), becomes=new.get(place))
        for place in [*new, *(place for place in old if place not in new)]
        if old.get(place) != new.get(place)
    )


def _leaves(value: Any, place: str) -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [leaf for key, part in value.items() for leaf in _leaves(part, f"{place}.{key}".lstrip("."))]
    if isinstance(value, list) and value and isinstance(value[0], dict):
        named = ((f"{part.get('family', n)}/{part.get('product', n)}", part) for n, part in enumerate(value))
        return [leaf for key, part in named for leaf in _leaves(part, f"{place}.{key}")]
    return [(place, ", ".join(map(str, value)) if isinstance(value, list) else str(value))]
