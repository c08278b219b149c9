"""The hosted checkout page of the fake provider."""

from html import escape
from typing import Final

from domain.money import Money
from ports.acquirer import Checkout

PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>
body{{font:16px/1.5 system-ui,sans-serif;background:#f4f5f7;color:#1c2330;margin:0;display:grid;
  min-height:100vh;place-items:center}}
main{{background:#fff;border:1px solid #dfe3e8;border-radius:12px;padding:2rem;width:min(22rem,90vw)}}
h1{{font-size:1rem;margin:0;color:#4a5568}} .sum{{font-size:2rem;font-weight:600;margin:.25rem 0 1.25rem}}
button{{font:inherit;width:100%;padding:.7rem;border-radius:8px;border:1px solid #1d4ed8;background:#1d4ed8;
  color:#fff;cursor:pointer}}
button.plain{{background:#fff;color:#1c2330;border-color:#c3cad4;margin-top:.6rem}}
p.note{{color:#5b6675;font-size:.85rem;margin:1.25rem 0 0}}
</style></head><body><main><h1>{description}</h1><p class="sum">{amount}</p>{body}
<p class="note">Sandbox: no real money moves.</p></main></body></html>"""

_FORM: Final = """<form method="post">
<button name="outcome" value="paid">Pay {amount}</button>
<button class="plain" name="outcome" value="cancelled">Cancel</button></form>"""

_DECIDED: Final = '<p>This payment is {status}.</p><p><a href="{return_url}">Back to the shop</a></p>'


def checkout_page(checkout: Checkout, description: str, return_url: str) -> str:
    """Returns the page as HTML, every value escaped. The form is shown only while the checkout is open."""
    amount = escape(str(Money(minor=checkout.amount_minor, currency=checkout.currency)))
    if checkout.status == "open":
        body = _FORM.format(amount=amount)
    else:
        body = _DECIDED.format(status=checkout.status.replace("_", " "), return_url=escape(return_url, quote=True))
    return PAGE.format(title=f"Pay {amount}", description=escape(description), amount=amount, body=body)
