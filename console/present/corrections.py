"""A case about data that the venue took back: the verdict as it was, and as it would be."""

from dataclasses import replace
from typing import Any

from console.views.decision import Choice, DecisionView
from console.views.parts import Link, SumLine
from domain.money import Money

_WORDS = {True: "still stands", False: "falls", None: "cannot be computed from the sheet alone"}


def of_correction(view: DecisionView, evidence: dict[str, Any], sentence: str, *, is_open: bool) -> DecisionView:
    """The case's view with both computations and with what each choice means here."""
    was, now, change = evidence["verdict"], evidence["corrected"], evidence["correction"]

    def money(minor: int) -> Money:
        return Money(minor=minor, currency=evidence["currency"])

    effect = (
        "Nothing has changed by itself. Clearing leaves the verdict as it is. Confirming disputes a breach in the "
        "trader's name, and the dispute decides whether the account is reinstated."
    )
    choices = (Choice("clear", "The verdict stands"), Choice("confirm", "Dispute the verdict", "danger"))
    return replace(
        view,
        effect=f"{sentence} {effect if is_open else f'This case is {view.state}.'}",
        lines=(
            SumLine("Equity as judged", money(was["equity_minor"])),
            *((SumLine("Level", money(was["level_minor"])),) if was["level_minor"] is not None else ()),
            SumLine(
                "Equity with the corrected data",
                money(now["equity_minor"]),
                f"the verdict {_WORDS[now['stands']]}",
                True,
            ),
        ),
        facts=(
            *((("Not known", "; ".join(now["unknown"])),) if now["unknown"] else ()),
            ("Correction", _said(change)),
            *view.facts,
        ),
        evidence=[Link("Proof sheet", f"/proofs/{evidence['proof_id']}", "", was["kind"]), *view.evidence],
        choices=choices if view.choices else (),
    )


def _said(change: dict[str, Any]) -> str:
    seq = f"event {change['corrects_seq']:,}"
    if change["bid"] is not None:
        said = f"{seq} should have been bid {change['bid']}, ask {change['ask']}"
    elif change["change_minor"] is not None:
        said = f"{seq} should have changed the balance by {change['change_minor']} minor units"
    else:
        said = f"{seq} is cancelled"
    return f"{said}: {change['reason']}" if change["reason"] else said
