"""The hosted pages of the fake Stripe: checkout, onboarding of a payee, identity check. Every value is escaped."""

from html import escape
from typing import Any, Final

from domain.money import Money, exponent
from sandbox.checkout_page import PAGE
from sandbox.stripe.state import Object

_NO_DECIMALS_HERE: Final = ("ISK", "UGX")  # two more digits at Stripe
_CHECKOUT: Final = """{message}<form method="post">
<button name="outcome" value="card">Pay {amount} by card</button>
<button class="plain" name="outcome" value="bank_debit">Pay by bank debit</button>
<button class="plain" name="outcome" value="declined">Pay with a card that is declined</button>
<button class="plain" name="outcome" value="cancelled">Cancel</button></form>"""
_ONBOARDING: Final = """<p>The payee {email} gives details and a bank account here.</p><form method="post">
<button name="outcome" value="complete">Complete</button>
<button class="plain" name="outcome" value="leave">Leave without completing</button></form>"""
_IDENTITY: Final = """<form method="post"><p><label for="name">Name on the document</label><br>
<input id="name" name="name" value="Jo Doe" maxlength="120" required></p>
<button name="outcome" value="complete">Complete</button>
<button class="plain" name="outcome" value="fail">Hand in an unreadable document</button>
<button class="plain" name="outcome" value="leave" formnovalidate>Leave without completing</button></form>"""
_DONE: Final = '<p>{text}</p><p><a href="{back}">Back</a></p>'


def amount_text(minor: int, currency: str) -> str:
    """Returns an amount of the API for a person."""
    code = currency.upper()
    return str(Money(minor=minor // 100 if code in _NO_DECIMALS_HERE and not exponent(code) else minor, currency=code))


def checkout(found: Object, declined: bool) -> str:
    amount = escape(amount_text(found["amount_total"], found["currency"]))
    description = escape(found["_line_items"]["data"][0]["description"])
    if found["status"] == "open":
        message = '<p role="alert">The card was declined. Try again.</p>' if declined else ""
        body = _CHECKOUT.format(amount=amount, message=message)
    else:
        text = "This payment is complete." if found["status"] == "complete" else "This payment has expired."
        body = done(text, found["success_url"])
    return PAGE.format(title=f"Pay {amount}", description=description, amount=amount, body=body)


def onboarding(account: Object) -> str:
    body = _ONBOARDING.format(email=escape(account["email"] or account["id"]))
    return PAGE.format(title="Your account", description="Payouts", amount="Your account", body=body)


def identity(found: Object) -> str:
    body: Any = _IDENTITY
    if found["status"] != "requires_input":
        body = done(f"This check is {found['status']}.", found["_return_url"] or "#")
    return PAGE.format(title="Identity check", description="Identity check", amount="Your document", body=body)


def gone(text: str) -> str:
    return PAGE.format(title="Not available", description="Not available", amount="", body=f"<p>{escape(text)}</p>")


def done(text: str, back: str) -> str:
    return _DONE.format(text=escape(text), back=escape(back, quote=True))
