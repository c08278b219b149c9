"""The proof that an account left a platform with this state, and the state with which it goes on at the next one."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from domain.money import Money
from domain.proofs.levels import floor_part
from domain.proofs.money import JudgedAccount, money_fields, sealed
from domain.proofs.sheets import ContinuesPart, DepartureSheet, LevelPart, PointPart
from domain.rules.marking import Instrument, QuoteBoard
from domain.rules.state import AccountRules


class Place(BaseModel):
    """The place of an account that came from another platform. Stored with its rules: never rename a field.

    `number`: of the place, from 2. `since`: the market time at which it left the last place. `base`: what is added to a
    number of this venue where the record orders the events of the account's whole life by number. `arrived`: resets
    since the departure have been done.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    since: datetime
    base: int
    continues: ContinuesPart
    arrived: bool = False


def place_of(rule_state: Mapping[str, Any] | None) -> Place | None:
    """Returns the place that a stored state of an account names; None at its first place."""
    found = (rule_state or {}).get("place")
    return Place.model_validate(found) if found else None


@dataclass(frozen=True, slots=True)
class Departure:
    """Where an account goes. `offences`: of the account, by rule. `point`: the last one of its history."""

    platform: str
    to_platform: str
    to_login: int
    offences: Mapping[str, int]
    point: PointPart | None


def departure_verdict(sheet: DepartureSheet) -> str:
    """Returns the sentence of the sheet."""
    balance = Money(minor=sheet.balance.balance_minor, currency=sheet.account.currency)
    levels = len(sheet.levels)
    return (
        f"left {sheet.platform} for {sheet.to_platform}: balance {balance}, no open position, {levels} levels, "
        f"{len(sheet.trading_days)} trading days"
    )


def departure_sheet(
    proof_id: str,
    scene: JudgedAccount,
    rules: AccountRules,
    going: Departure,
    board: QuoteBoard,
    instruments: Mapping[str, Instrument],
) -> dict[str, Any]:
    """Returns the sealed proof of a departure. The account holds no position."""
    sheet = DepartureSheet(
        **money_fields("departure", proof_id, scene, board, instruments),
        platform=going.platform,
        to_platform=going.to_platform,
        to_login=going.to_login,
        levels=level_parts(rules),
        trading_days=scene.trading_days,
        offences=dict(going.offences),
        point=going.point,
        verdict="-",
    )
    return sealed(sheet.model_copy(update={"verdict": departure_verdict(sheet)}))


def level_parts(rules: AccountRules) -> tuple[LevelPart, ...]:
    return tuple(
        LevelPart(key=spec.key, floor=floor_part(spec, state))
        for spec, state in zip(rules.specs, rules.states, strict=True)
    )


def carried_on(rules: AccountRules) -> AccountRules:
    """Returns the same levels for the next place. Numbers of events mean nothing there, so they are 0: the departure's
    sheet has them."""
    return AccountRules(rules.specs, tuple(replace(state, seq=0) for state in rules.states))


def continues(sheet: Mapping[str, Any]) -> ContinuesPart:
    """Returns what the sheets of the next place say of the departure that `sheet` proves."""
    return ContinuesPart(
        proof_id=sheet["proof_id"],
        hash=sheet["hash"],
        platform=sheet["platform"],
        login=sheet["account"]["login"],
        at=sheet["event"]["at"],
        balance_minor=sheet["balance"]["balance_minor"],
    )
