"""Sales: what was sold with each challenge at which price, and how its amounts are divided in the books."""

from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncSession

from domain import ledger as entries
from domain.ledger import Entry
from domain.products.product import Product
from domain.selling.price import Parts, Quote, plain
from firm.selling import coupons
from store.clock import market_now
from store.models import Challenge, Sale, Trader


@dataclass(frozen=True, slots=True)
class Sold:
    """What a buyer orders. `of`: the product on sale; `terms`: those of the account, with the add-ons. `coupons`: their
    codes. `seller`: the firm on the receipt. `accepted`: the buyer accepted exactly these terms."""

    of: Product
    terms: Product
    quote: Quote
    add_ons: tuple[str, ...] = ()
    coupons: tuple[str, ...] = ()
    seller: dict[str, object] = field(default_factory=dict)
    accepted: bool = False


def plainly(product: Product, fee_of: str, price_minor: int) -> Sold:
    """Returns an order of something at its price, without add-ons, coupons and taxes."""
    return Sold(product, product, plain(fee_of, label_of(product, fee_of), price_minor, product.currency))


def label_of(product: Product, fee_of: str) -> str:
    """Returns the words for the fee of an order on its receipt."""
    return product.name if fee_of == "purchase" else f"{product.name}: {fee_of}"


async def record(session: AsyncSession, challenge: Challenge, sold: Sold, *, user_id: str) -> None:
    """Keeps what was sold with a new challenge, and uses up its coupons."""
    trader, now = await session.get_one(Trader, challenge.trader_id), await market_now(session)
    session.add(
        Sale(
            challenge_id=challenge.id,
            trader_id=challenge.trader_id,
            product=sold.of.product,
            version=sold.of.version,
            add_ons=list(sold.add_ons),
            quote=sold.quote.model_dump(mode="json"),
            currency=sold.quote.currency,
            net_minor=sold.quote.net_minor,
            tax_minor=sold.quote.tax_minor,
            total_minor=sold.quote.total_minor,
            country=trader.country,
            seller=sold.seller,
            terms_hash=sold.terms.content_hash,
            accepted_at=now if sold.accepted else None,
            accepted_by=user_id if sold.accepted else None,
            sold_at=now,
        )
    )
    await session.flush()
    await coupons.use(session, challenge, sold.coupons)


async def quote_of(session: AsyncSession, challenge: Challenge) -> Quote:
    """Returns the price of a challenge. One that was sold by an earlier version has a single line."""
    sale = await session.get(Sale, challenge.id)
    if sale is None:
        return plain(challenge.fee_of, challenge.fee_of, challenge.fee_minor, challenge.currency)
    return Quote.model_validate(sale.quote)


async def in_books(session: AsyncSession, challenge: Challenge, entry: Entry, *, since: int, until: int) -> Entry:
    """Returns an entry about the fee of a challenge with the price, the discounts and the taxes on their accounts. An
    entry about suspended money is returned unchanged. `since`, `until`: how much of the payment was with the firm
    before and after it, in minor units."""
    if not any(line.account == "fees" for line in entry.lines):
        return entry
    parts: Parts = (await quote_of(session, challenge)).parts
    return entries.in_parts(entry, parts.between(since, until))


async def net_left(session: AsyncSession, challenge: Challenge, left_minor: int) -> int:
    """Returns the fee without its taxes in what is left of a payment, in minor units."""
    return (await quote_of(session, challenge)).parts.first(max(0, left_minor)).net_minor
