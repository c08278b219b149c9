"""A product as the trader reads it before buying: every term, in sentences generated from the definition."""

from collections.abc import Iterator
from typing import Final

from pydantic import BaseModel, ConfigDict

from domain.fees import ACTIVATION_DAYS, FeeTerms, Price, price_minor
from domain.payouts.words import words as payout_words
from domain.products.phase import Phase
from domain.products.product import Family, Product
from domain.rules.base import Context
from domain.wording import count, times

_FAMILIES: Final[dict[Family, str]] = {
    "one-step": "with one evaluation phase",
    "two-step": "with two evaluation phases",
    "three-step": "with three evaluation phases",
    "instant": "funded from the first trade, without an evaluation",
    "futures-end-of-day": "for futures, with limits that follow the end of each day",
    "futures-intraday": "for futures, with limits that follow every moment of the day",
    "swing": "for swing trading: positions may stay open overnight and over weekends, unless a rule forbids it",
    "crypto": "for cryptocurrencies, which trade around the clock",
}
_MEASURED: Final = (
    "Your equity is the balance plus the profit and loss of open positions, after commissions, swaps and fees.",
    "A rule that leaves any of these out says so.",
    "All amounts are exact to the smallest unit of the currency; percentages are rounded half up.",
    "A doubtful price never closes an account by itself: a person reviews it first.",
    "Times follow daylight saving time where the named zone does, so a day may have 23 or 25 hours.",
)


class Section(BaseModel):
    """A heading and its sentences; each sentence or short paragraph is one entry."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    words: tuple[str, ...]


class ProductWords(BaseModel):
    """The whole document. `content_hash`: the hash of the terms that it was generated from."""

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
    """Returns the document of `product`, generated from the definition alone."""
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
            Section(title="Trading days", words=tuple(_clocks(product))),
            *phases,
            Section(title=_funded(product), words=tuple(_phase(product, product.funded_index))),
            Section(title="Payouts", words=(*payout_words(product.payout, funded), *_decided(product))),
            Section(title="If a rule is broken", words=tuple(_broken(product))),
            Section(title="How it is measured", words=_MEASURED),
        ),
    )


def _funded(product: Product) -> str:
    return "Funded" if product.funded.name == "Funded" else f"Funded: {product.funded.name}"


def _bought(product: Product) -> Iterator[str]:
    context = product.context(1)
    yield f"A simulated trading account of {context.money(product.initial_minor)}, {_FAMILIES[product.family]}."
    yield f"The fee is {context.money(product.fee_minor)}, paid once."
    for add_on in product.add_ons:
        price_words = context.money(add_on.line(product.fee_minor, product.currency).amount_minor)
        yield f'The add-on "{add_on.name}" costs {price_words} with the purchase and changes the terms of your account.'
    if product.fees is not None:
        yield from _later_fees(product.fees, product.fee_minor, context)
    yield f"The leverage is up to 1:{product.leverage}."
    if product.phases:
        names = ", then ".join(phase.name for phase in product.phases)
        same = all(phase.initial_balance is None for _, phase in product.places())
        balance = "the same starting balance" if same else "a starting balance of its own"
        yield f"You pass {names}. You trade each phase on a new account with {balance}."
    yield "A later version of the product does not change your account, unless two people at the firm move it."


def _later_fees(fees: FeeTerms, purchase_minor: int, context: Context) -> Iterator[str]:
    def price(price: Price) -> str:
        return context.money(price_minor(price, purchase_minor, context.currency))

    if fees.reset is not None:
        yield f"A reset costs {price(fees.reset)}: your evaluation phase begins again on a new account."
    if fees.buyback is not None:
        yield f"You may buy back a broken account for {price(fees.buyback)}: its phase begins again on a new account."
    if fees.extension is not None:
        yield f"An extension costs {price(fees.extension)}."
    if fees.activation is not None:
        paid = f"paid {price(fees.activation)} for it, within {ACTIVATION_DAYS} days"
        yield f"The funded account opens once you have {paid}."
    if fees.monthly is not None:
        yield f"Until the account is funded, {price(fees.monthly)} is due every month."
    for name, costs in fees.add_ons.items():
        yield f'The add-on "{name}" costs {price(costs)}.'


def _clocks(product: Product) -> Iterator[str]:
    yield f"A trading day ends, and the next one begins, at {product.clock.words}."
    if product.loss_clock is None:
        yield "Loss limits that restart each day restart at the same time."
    else:
        yield f"Loss limits that restart each day restart at {product.loss_clock.words} instead."
    if product.warn_at_pct:
        yield f"You are warned when {product.warn_at_pct} % of what a loss limit allows is used."
    if product.warn_before_reset_minutes:
        minutes = count(product.warn_before_reset_minutes, "minute")
        yield f"You are warned {minutes} before a reset that would break a limit even if no price moves."


def _phase(product: Product, index: int) -> Iterator[str]:
    phase, context = product.phase(index), product.context(index)
    if phase.initial_balance is not None:
        yield f"Account. The account starts with a balance of {context.money(context.initial_minor)}."
    if phase.target is not None:
        goal = context.initial_minor + phase.target.over(context.initial_minor, context.currency)
        yield (
            f"Target. Make a profit of {context.size(phase.target)}: you pass with a closed balance of at least "
            f"{context.money(goal)} and no open position."
        )
    yield from _time(phase)
    yield from (rule.words(context) for rule in phase.rules)


def _time(phase: Phase) -> Iterator[str]:
    if phase.min_trading_days:
        yield f"Minimum days. You must trade on at least {count(phase.min_trading_days, 'day')}."
    if phase.time_limit_days is None:
        yield "Time. There is no time limit."
        return
    words = f"Time. You have {count(phase.time_limit_days, 'day')} from the start of the account; then the phase ends."
    if phase.extension is not None:
        often = f"up to {times(phase.extension.times)}" if phase.extension.times > 1 else "once"
        words += f" Before it ends you may ask for {count(phase.extension.days, 'more day')}, {often}."
    if phase.free_retake:
        words += " If you are in profit at the end and have broken no rule, you may restart the phase without a fee."
    yield words


def _decided(product: Product) -> Iterator[str]:
    yield f"A request is decided within {count(product.payout.decision_days, 'day')}."
    yield "The payout policy of the firm says how many people approve it."


def _broken(product: Product) -> Iterator[str]:
    yield "Each rule above states its consequences. Every breach has a proof sheet with all its figures."
    yield "When a rule closes the account, all positions are closed and trading on it ends."
    yield f"You may dispute a breach within {count(product.dispute_days, 'day')}; a person decides."
    for pattern, values in sorted(product.surveillance.items()):
        own = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in sorted(values.items()))
        yield f"For the pattern {pattern.replace('_', ' ')}, trading in this product is judged by: {own}."
