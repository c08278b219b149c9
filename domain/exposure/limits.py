"""Which limits on exposure are kept, with hysteresis: a limit is broken at its figure, and kept again well below it."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Final

from domain.exposure.figures import Part
from domain.exposure.firm import FirmFigures
from domain.exposure.policy import EVERY, ExposurePolicy, Level, Limit
from domain.money import Money, half_up
from domain.pnl import REPORTING_CURRENCY

FIRM: Final = "firm"


class Standing(Part):
    """One limit of one symbol, currency, trader, or the firm. `value_minor`: the size that is compared."""

    limit: str
    name: str
    value_minor: int
    soft_minor: int
    hard_minor: int
    level: Level

    @property
    def key(self) -> tuple[str, str]:
        return self.limit, self.name


def standings(
    policy: ExposurePolicy, figures: FirmFigures, before: Mapping[tuple[str, str], Level]
) -> tuple[Standing, ...]:
    """Returns every limit with its level now. `before`: the levels until now. What `before` has and the figures do not
    name any more is inside: nothing is held there."""
    found: dict[tuple[str, str], Standing] = {}
    for limit in policy.limits:
        values = dict(_values(limit, figures))
        values |= {name: 0 for key, name in before if key == limit.id and name not in values}
        for name, value in values.items():
            standing = _standing(policy, limit, name, value, before.get((limit.id, name), "inside"))
            found[standing.key] = standing
    return tuple(found.values())


def level_of(limit: Limit, value_minor: int, before: Level, hysteresis_pct: Decimal) -> Level:
    """Returns the level at a value. It rises at the limit, and falls `hysteresis_pct` below it."""
    for level, above in (("hard", ("hard",)), ("soft", ("soft", "hard"))):
        figure = limit.minor("hard" if level == "hard" else "soft")
        left = half_up(figure * (100 - hysteresis_pct) / 100) if before in above else figure
        if value_minor >= left:
            return "hard" if level == "hard" else "soft"
    return "inside"


def words(standing: Standing, limit: Limit) -> str:
    """Returns a sentence for the person who looks at it."""
    value, soft, hard = (
        Money(minor=minor, currency=REPORTING_CURRENCY)
        for minor in (standing.value_minor, standing.soft_minor, standing.hard_minor)
    )
    what = "The firm's" if limit.of == "firm" else f"The traders' {limit.of} {standing.name}:"
    measure = {"net": "net position", "gross": "gross position", "slope": "debt for 1 % of the price"}.get(
        limit.measure,
        {"owed": "debt if every position were closed", "basel": "shorthand currency position"}.get(limit.measure, ""),
    )
    return f"{what} {measure} is {value}; the soft limit is {soft}, the hard limit {hard}."


def _standing(policy: ExposurePolicy, limit: Limit, name: str, value: int, before: Level) -> Standing:
    return Standing(
        limit=limit.id,
        name=name,
        value_minor=value,
        soft_minor=limit.minor("soft"),
        hard_minor=limit.minor("hard"),
        level=level_of(limit, value, before, policy.hysteresis_pct),
    )


def _values(limit: Limit, figures: FirmFigures) -> Iterator[tuple[str, int]]:
    """Yields the sizes that a limit compares, by name. What has no live rate is not compared."""
    if limit.of == "firm":
        value = {
            "net": abs(figures.net_minor),
            "gross": figures.gross_minor,
            "owed": figures.owed.closed_minor,
            "basel": figures.basel_minor,
        }[limit.measure]
        yield FIRM, value
        return
    for name, size in _named(limit, figures):
        if size is not None and limit.name in (EVERY, name):
            yield name, abs(size)


def _named(limit: Limit, figures: FirmFigures) -> Iterator[tuple[str, int | None]]:
    if limit.of == "symbol":
        for line in figures.symbols:
            yield line.symbol, {"net": line.net_minor, "gross": line.gross_minor}.get(limit.measure, line.slope_minor)
    elif limit.of == "currency":
        for each in figures.currencies:
            if each.currency != figures.currency:
                yield each.currency, each.value_minor
    else:
        for trader in figures.traders:
            yield (
                trader.trader_id,
                trader.gross_minor if limit.measure == "gross" else trader.long_minor - trader.short_minor,
            )
