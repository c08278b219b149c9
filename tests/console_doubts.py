"""What the feed's quality and the warnings leave for people in the console's tests: on the active account."""

from datetime import timedelta
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncSession

from domain.keys import new_id
from domain.products.phase_terms import phase_terms
from domain.products.product import Product
from domain.proofs import money as proof
from domain.proofs.money import BalancePart, EventPart, JudgedAccount
from domain.rules import floors
from domain.rules.marking import Instrument, Position, QuoteBoard
from firm import corrections
from store.models import Account, CorrectionRow, Review, WarningRow
from tests.console_history import INITIAL, NOW


async def doubts(session: AsyncSession, account: Account, product: Product) -> str:
    """Two warnings and a doubtful breach; gives the review's id."""
    day = {"floor_minor": 9_500_000, "allowance_minor": 500_000, "operator": "equity < floor", "direction": "floor"}
    used = {**day, "equity_minor": 9_590_000, "room_minor": 90_000, "used_pct": "82.00"}
    reset = {**day, "floor_minor": 9_800_000, "equity_minor": 9_590_000, "room_minor": -210_000}
    reset |= {"reset_at": "2014-05-02T22:00:00+00:00"}
    for kind, minutes, figures in (("limit_used", 31, used), ("reset_would_breach", 12, reset)):
        session.add(
            WarningRow(
                account_id=account.id,
                kind=kind,
                rule_id="daily_loss",
                period=f"{kind}/2014-05-02",
                at=NOW - timedelta(minutes=minutes),
                figures=figures,
            )
        )
    detail = _detail(account, product)
    review = Review(
        id=new_id("rev"),
        key=f"doubtful_breach/{account.id}/daily_loss/2014-05-02",
        kind="doubtful_breach",
        account_id=account.id,
        status="open",
        occurred_at=NOW - timedelta(minutes=3),
        detail=detail,
    )
    session.add(review)
    await session.flush()
    return review.id


def _detail(account: Account, product: Product) -> dict[str, object]:
    terms, at = phase_terms(product, account.phase_index), NOW - timedelta(minutes=3)
    spec = terms.specs[0]
    state, board = floors.opened(spec), QuoteBoard()
    board.put("XAUUSD", Decimal("1281.10"), Decimal("1284.50"), 91_004, at)
    board.put("EURUSD", Decimal("1.38641"), Decimal("1.38653"), 71_300, at - timedelta(hours=2))
    instruments = {
        "XAUUSD": Instrument("XAUUSD", Decimal(100), "USD"),
        "EURUSD": Instrument("EURUSD", Decimal(100000), "USD"),
    }
    held = [
        Position("P0099", "XAUUSD", "buy", Decimal(18), Decimal("1284.40"), at - timedelta(hours=1)),
        Position("P0098", "EURUSD", "buy", Decimal("1.5"), Decimal("1.38700"), at - timedelta(hours=3)),
    ]
    balance = INITIAL + 60_000
    equity = balance + sum(proof.position_part(p, board, instruments, "USD").profit_minor for p in held)
    scene = JudgedAccount(
        account_id=account.id,
        challenge_id=account.challenge_id,
        login=account.login or 0,
        terms=terms,
        event=EventPart(kind="tick", seq=91_004, at=at, symbol="XAUUSD"),
        balance=BalancePart(opening_minor=balance, opening_at=None, opening_seq=0, movements=(), balance_minor=balance),
        positions=held,
        equity_minor=equity,
        trading_days=(),
    )
    return {
        "rule_id": spec.rule_id,
        "operator": spec.operator,
        "offence": 1,
        "phase_index": account.phase_index,
        "seq": 91_004,
        "floor_minor": state.floor_minor,
        "equity_minor": equity,
        "sheet": proof.breach_sheet(new_id("prf"), scene, spec, state, board, instruments),
        "doubts": [
            {
                "kind": "stale",
                "subject": "EURUSD",
                "seq": 71_300,
                "at": (at - timedelta(hours=2)).isoformat(),
                "words": "EURUSD has been silent for 2 h while others tick",
            }
        ],
    }


async def correction(session: AsyncSession, seq: int) -> None:
    """The venue corrects the quote that a stored breach rests on; the case is opened."""
    body = {"corrects_seq": seq, "bid": "1284.00", "ask": "1284.50", "change_minor": None, "reason": "wrong print"}
    session.add(CorrectionRow(feed="sandbox", seq=99_000, corrects_seq=seq, at=NOW, body=body))
    await session.flush()
    await corrections.open_cases(session)
