"""Checks the sheets about refused payouts."""

from collections.abc import Iterator
from dataclasses import replace

from pydantic import ValidationError

from domain.errors import PropOSError, UnknownCurrency
from domain.money import Money
from domain.payouts import PayoutFacts
from domain.products.phase_terms import PhaseTerms
from domain.proofs import money as proof
from domain.proofs.check_money import check_basis, state_of
from domain.proofs.difference import Difference, compare, compare_part, compare_sentences
from domain.proofs.payout import facts_json, refusal_parts, refusal_verdict, room_part
from domain.proofs.sheets import PayoutRefusalSheet
from domain.rules.floors import floor_of


def check_refusal(sheet: PayoutRefusalSheet, terms: PhaseTerms) -> Iterator[Difference]:
    try:
        facts = PayoutFacts.model_validate(sheet.facts)
        gross = Money(minor=sheet.request.gross_minor, currency=sheet.request.currency)
    except ValidationError as exc:
        for error in exc.errors():
            yield Difference(".".join(["facts", *map(str, error["loc"])]), str(error["input"])[:60], error["msg"])
        return
    except UnknownCurrency as exc:
        yield Difference("request.currency", sheet.request.currency, exc.message)
        return
    yield from compare("facts", sheet.facts, facts_json(facts))
    yield from compare("facts.initial_minor", facts.initial_minor, terms.initial_minor)
    yield from compare("request.currency", gross.currency, terms.product.currency)
    yield from compare_part("clock", sheet.clock, proof.clock_part(terms.product.clock, facts.now))
    yield from _rooms(sheet, terms, facts)
    try:
        parts = refusal_parts(terms, facts, gross, sheet.rooms)
    except (PropOSError, LookupError, ValueError) as exc:
        yield Difference("facts", "as stated", f"facts the terms can judge: {exc}")
        return
    yield from compare_sentences("refusals", sheet.refusals, parts)
    yield from compare("verdict", sheet.verdict, refusal_verdict(sheet.refusals))
    if not parts:
        yield Difference("verdict", sheet.verdict, "a refusal sheet proves a refusal")


def _rooms(sheet: PayoutRefusalSheet, terms: PhaseTerms, facts: PayoutFacts) -> Iterator[Difference]:
    yield from compare("rooms", [room.key for room in sheet.rooms], [spec.key for spec in terms.specs])
    for index, (room, spec) in enumerate(zip(sheet.rooms, terms.specs, strict=False)):
        field = f"rooms.{index}"
        yield from check_basis(f"{field}.basis", room.basis, spec, None)
        state = state_of(room.basis, room.locked_by_payout)
        level = floor_of(spec, state.basis_minor, locked=state.locked, figures=state.figures)
        yield from compare(f"{field}.floor_minor", room.floor_minor, level)
        if room.locked_by_payout and spec.settles not in ("locks", "zero"):
            yield Difference(f"{field}.locked_by_payout", "True", "no payout fixes this floor")
        expected = room_part(spec, replace(state, floor_minor=level), facts, sheet.request.gross_minor)
        yield from compare_part(field, room, expected, but=("basis", "floor_minor", "locked_by_payout"))
