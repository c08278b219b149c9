"""The figures of an account that the sizes of a conduct rule may be a percentage of, folded over its events."""

from domain.rules.base import Context, State
from domain.rules.events import Event, PaidOut, Rolled
from domain.rules.terms import Size, SizeFigures


class SizeBasis(State):
    """The balance at the last reset, the highest one at a reset, and what the last payout left (and the one before it,
    in case the last one comes back), in minor units. None: there was none, so that the initial balance counts."""

    anchor_minor: int | None = None
    peak_minor: int | None = None
    payout_minor: int | None = None
    payout_before_minor: int | None = None


def basis_after(basis: SizeBasis, event: Event, initial_minor: int) -> SizeBasis:
    """Returns the figures after an event; `basis` itself when they did not change."""
    if isinstance(event, Rolled):
        peak = max(event.balance_minor, initial_minor if basis.peak_minor is None else basis.peak_minor)
        update: dict[str, int | None] = {"anchor_minor": event.balance_minor, "peak_minor": peak}
    elif isinstance(event, PaidOut) and (event.stage == "held" or event.leaves):
        update = {"payout_minor": event.balance_minor, "payout_before_minor": basis.payout_minor}
    elif isinstance(event, PaidOut) and event.stage == "released":
        update = {"payout_minor": basis.payout_before_minor}
    else:
        return basis
    return basis.model_copy(update=update)


def figures(basis: SizeBasis, context: Context, balance_minor: int | None) -> SizeFigures:
    """Returns the figures for a size. `balance_minor`: the balance now; None: that of the last reset."""
    initial = context.initial_minor
    anchor = initial if basis.anchor_minor is None else basis.anchor_minor
    return SizeFigures(
        initial=initial,
        anchor=anchor,
        peak=initial if basis.peak_minor is None else basis.peak_minor,
        balance=anchor if balance_minor is None else balance_minor,
        payout_balance=initial if basis.payout_minor is None else basis.payout_minor,
    )


def follows_events(size: Size | None) -> bool:
    """Returns whether a size depends on more than the initial balance and the balance of the moment."""
    return size is not None and (bool(size.steps) or size.type not in ("amount", "pct_of_initial", "pct_of_balance"))
