"""Every story and decoy by the pattern that it is about."""

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from sandbox.injection.firm import Firm, Grade
from sandbox.injection.stories import clocked, copying, hedges, identities, quoted, sizes

Plants: TypeAlias = Callable[[Firm, Grade], None]
Spares: TypeAlias = Callable[[Firm], None]

STORIES: Final[Mapping[str, Plants]] = {
    "copy_trading": copying.copying,
    "hedging": hedges.hedges,
    "challenge_farming": hedges.farming,
    "all_in": sizes.all_in,
    "martingale": sizes.martingale,
    "grid": sizes.grid,
    "tick_scalping": clocked.scalps,
    "latency_arbitrage": quoted.stale_prices,
    "news_straddle": quoted.straddles,
    "gap_exploit": quoted.gaps,
    "off_market_fill": quoted.off_market,
    "day_padding": clocked.padding,
    "style_change": clocked.changes,
    "shared_identity": identities.rings,
}
DECOYS: Final[Mapping[str, tuple[Spares, ...]]] = {
    "copy_trading": (
        copying.same_candles, copying.same_news, copying.same_round_prices, copying.public_signal, copying.own_accounts,
    ),
    "hedging": (hedges.trend_against_reversion, hedges.hedges_in_one_account),
    "challenge_farming": (hedges.unlucky_rebuyer, hedges.one_of_each),
    "all_in": (sizes.large_lots_near_stop, sizes.little_room, sizes.hedged_legs),
    "martingale": (sizes.scaled_by_volatility, sizes.drawn_sizes, sizes.larger_after_wins, sizes.risk_in_parts),
    "grid": (sizes.planned_parts, sizes.partial_closes, sizes.daily_purchases),
    "tick_scalping": (clocked.quick_stops, clocked.scalper_within_limits),
    "latency_arbitrage": (quoted.news_momentum, quoted.wide_stop_scalper, quoted.limits_filled),
    "news_straddle": (quoted.one_sided_bets, quoted.old_breakouts, quoted.other_currencies),
    "gap_exploit": (quoted.weekend_swing, quoted.crypto_weekends, quoted.small_over_weekend),
    "off_market_fill": (quoted.slipped, quoted.at_rollover),
    "day_padding": (clocked.careful_near_target, clocked.first_tries),
    "style_change": (clocked.smaller_when_funded,),
    "shared_identity": (identities.office, identities.household, identities.same_model, identities.pooled_account),
}  # fmt: skip
# Days that a market must have for the stories of a pattern, and its decoys; the others fit into a few.
NEEDED_DAYS: Final[Mapping[str, int]] = {"challenge_farming": 14, "day_padding": 16, "style_change": 22}
