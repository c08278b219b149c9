"""A payout as its trader follows it: where it is, who has it, what it comes to."""

from fastapi.responses import HTMLResponse

from console.desk import Visit
from console.formats import plain_money
from console.views.decision import DecisionView
from console.views.frame import Crumb
from domain.money import Money
from firm.payouts import following
from store.read import payouts


async def page(visit: Visit, item: DecisionView) -> HTMLResponse:
    """Raises NotFound."""
    row = await payouts.one(visit.session, visit.scope, item.subject_id)
    sent = Money(minor=row.sent_minor, currency=row.currency)
    return await visit.render(
        "my_payout.html",
        [Crumb("Overview", "/"), Crumb("Payouts", "/payouts"), Crumb(f"Payout {plain_money(sent)}")],
        sent=sent,
        item=item,
        steps=following.steps(row),
    )
