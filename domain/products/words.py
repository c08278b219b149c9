"""A product as the trader reads it before buying: every term that binds, in sentences made from the definition itself."""

from collections.abc import Iterator
from typing import Final

from pydantic import BaseModel, ConfigDict

from domain.money import to_minor
from domain.payouts.words import words as payout_words
from domain.products.phase import Phase
from domain.products.product import Family, Product
from domain.rules.base import Context, said, spoken

_FAMILIES: Final[dict[Family, str]] = {
    "one-step": "one evaluation phase",
    "two-step": "two evaluation phases",
    "three-step": "three evaluation phases",
    "instant": "funded from the first trade, without an evaluation",
    "futures-end-of-day": "futures, judged by where a day ends",
    "futures-intraday": "futures, judged by every moment of the day",
    "swing": "positions may be held over nights and weekends, unless a rule below says otherwise",
    "crypto": "crypto currencies, traded round the clock",
}
_MEASURED: Final = (
    "Your equity is the balance plus the profit and loss of open positions, after commissions, swaps and fees.",
    "A rule that leaves any of these out says so.",
    "All amounts are counted exactly, in the smallest unit of the currency; percentages are rounded half up.",
    "A price that is doubtful closes no account by itself: a person looks at it first.",
    "Times follow daylight saving where the named zone does, so that a day may have 23 or 25 hours.",
)


class Section(BaseModel):
    """A heading and its sentences; each sentence or short paragraph is one entry."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    words: tuple[str, ...]


class ProductWords(BaseModel):
    """The whole document. `content_hash`: of the terms that it was made from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ref: str
    title: str
    content_hash: str
    sections: tuple[Section, ...]

    @property
    def markdown(self) -> str:
        parts = [f"# {self.title}", f"Version: {self.ref}."]
        for section in self.sections:
            parts += [f"## {section.title}", "\n".join(f"- {line}" for line in section.words)]
        return "\n\n".join(parts) + "\n"

    @property
    def text(self) -> str:
        parts = [f"{self.title} ({self.ref})"]
        parts += ["\n".join([section.title, *(f"  {line}" for line in section.words)]) for section in self.sections]
        return "\n\n".join(parts) + "\n"


def describe(product: Product) -> ProductWords:
    """The document of `product`, from the definition alone."""
    last = len(product.phases)
    phases = [
        Section(title=f"Phase {number} of {last}: {phase.name}", words=tuple(_phase(product, number)))
        for number, phase in enumerate(product.phases, start=1)
    ]
    funded = product.context(product.funded_index)
    return ProductWords(
        ref=product.ref,
        title=product.name,
        content_hash=product.content_hash,
        sections=(
            Section(title="What you buy", words=tuple(_bought(product))),
            Section(title="When days end", words=tuple(_clocks(product))),
            *phases,
            Section(title=_funded(product), words=tuple(_phase(product, product.funded_index))),
            Section(title="Payouts", words=(*payout_words(product.payout, funded), *_decided(product, funded))),
            Section(title="If a rule is broken", words=tuple(_broken(product))),
            Section(title="How it is measured", words=_MEASURED),
        ),
    )


def _funded(product: Product) -> str:
    return "Funded" if product.funded.name == "Funded" else f"Funded: {product.funded.name}"


def _bought(product: Product) -> Iterator[str]:
    currency = product.currency
    yield f"A simulated trading account of {said(product.initial_minor, currency)}: {_FAMILIES[product.family]}."
    yield f"The fee is {said(product.fee_minor, currency)}, paid once."
    yield f"The leverage is up to 1:{product.leverage}."
    if product.phases:
        names = ", then ".join(phase.name for phase in product.phases)
        yield f"You pass {names}; each phase is traded on a new account that begins with the same balance."
    yield "A later version changes nothing for an account that runs, unless two people at the firm decide to move it."


def _clocks(product: Product) -> Iterator[str]:
    yield f"A trading day ends, and the next begins, at {product.clock.spoken}."
    if product.loss_clock is None:
        yield "Loss limits that are counted anew each day are counted from that moment too."
    else:
        yield f"Loss limits that are counted anew each day are counted from {product.loss_clock.spoken} instead."
    if product.warn_before_reset_minutes:
        minutes = product.warn_before_reset_minutes
        yield f"You are warned {minutes} minutes before a reset that would break a limit with no price moving."


def _phase(product: Product, index: int) -> Iterator[str]:
    phase, context = product.phase(index), product.context(index)
    if phase.target is not None:
        goal = context.initial_minor + phase.target.over(context.initial_minor, context.currency)
        yield (
            f"Target. Make {spoken(phase.target, context)}: a closed balance of {said(goal, context.currency)} with no "
            "position open moves you up."
        )
    yield from _time(phase)
    yield from (rule.words(context) for rule in phase.rules)


def _time(phase: Phase) -> Iterator[str]:
    if phase.min_trading_days:
        yield f"Minimum days. You must have traded on at least {_days(phase.min_trading_days)}."
    if phase.time_limit_days is None:
        yield "Time. There is no time limit."
        return
    told = f"Time. You have {_days(phase.time_limit_days)} from the account's start; after that the phase is over."
    if phase.extension is not None:
        times = "once" if phase.extension.times == 1 else f"up to {phase.extension.times} times"
        told += f" Before it is over you may ask for {_days(phase.extension.days)} more, {times}."
    if phase.free_retake:
        told += " If your balance is in profit then and no rule is broken, you may begin the phase anew without a fee."
    yield told


def _decided(product: Product, context: Context) -> Iterator[str]:
    yield f"A request is decided within {_days(product.payout.decision_days)}."
    over = ""
    for band in product.payout.bands:
        to = "" if band.up_to is None else f" up to {said(to_minor(band.up_to, context.currency), context.currency)}"
        who = {0: "no person has to approve", 1: "one person approves"}.get(band.approvers, "two people approve")
        yield f"Of a share{over}{to} {who}." if over or to else f"Of every request {who}."
        over = f" above{to.removeprefix(' up to')}" if to else over


def _broken(product: Product) -> Iterator[str]:
    yield "Each rule above says what follows when it is broken. Every breach has a proof sheet, with all its figures."
    yield "When a rule closes the account, all positions are closed and trading on it ends."
    yield f"You may dispute a breach within {_days(product.dispute_days)}; a person decides."


def _days(days: int) -> str:
    return "1 day" if days == 1 else f"{days} days"
