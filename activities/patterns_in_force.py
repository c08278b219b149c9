"""The patterns with the thresholds that bind each account: the pattern's own, then those of the firm's policy for any
product, then those of the version of the account's product, then those of the policy for that product."""

from collections.abc import Mapping
from typing import Any, Final

import structlog
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from domain.surveillance.base import Thresholds
from domain.surveillance.policy import ANY, SurveillancePolicy
from domain.surveillance.product_terms import PatternTerms
from domain.surveillance.thresholds import with_numbers
from firm import surveillance_policies
from store import products
from surveillance.pattern import Limits, Pattern
from surveillance.registry import pattern_types

# `product@version` -> what that version says of patterns
Sections = Mapping[str, PatternTerms]
_log: Final = structlog.get_logger("surveillance")


async def patterns_in_force(session: AsyncSession) -> dict[str, Pattern[Any]]:
    """Returns every pattern with the thresholds of the policy in force and of the products."""
    return with_policy(await surveillance_policies.in_force(session), await products.pattern_terms(session))


async def version_in_force(session: AsyncSession) -> str:
    """Returns a text that changes when the policy or what a product says of patterns may have changed."""
    return f"{(await surveillance_policies.in_force(session)).content_hash}/{await products.count(session)}"


def with_policy(policy: SurveillancePolicy, sections: Sections) -> dict[str, Pattern[Any]]:
    """Returns every pattern with the thresholds of a policy and of the products."""
    return {name: kind(_limits(name, kind, policy, sections)) for name, kind in pattern_types().items()}


def _limits(name: str, kind: type[Pattern[Any]], policy: SurveillancePolicy, sections: Sections) -> Limits[Any]:
    default, own = kind.thresholds(), policy.thresholds.get(name, {})
    firm = with_numbers(default, policy.thresholds_of(name, ANY))
    found = {product: with_numbers(default, policy.thresholds_of(name, product)) for product in own if product != ANY}
    for ref, section in sections.items():
        if name in section:
            of_version = _of_version(firm, section[name], f"{ref}: {name}")
            found[ref] = with_numbers(of_version, own.get(ref.partition("@")[0], {}))
    return Limits(firm, found)


def _of_version(firm: Thresholds, told: Mapping[str, Any], where: str) -> Thresholds:
    """A version never changes, so what a later release of ours does not know any more is left out and told."""
    try:
        return with_numbers(firm, told)
    except ValidationError:
        _log.warning("thresholds of a product are left out: they are not known", product=where)
        return firm
