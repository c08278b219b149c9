"""The providers of a firm that has configured none: a Stripe, a bank and a simple provider, all simulated by the
sandbox.

The adapters are the real ones, pointed at the sandbox. The simple provider (`sandbox`) was the only one in earlier
versions; it stays for what it took and sent then.
"""

from typing import Final

from pydantic import SecretStr

from adapters.stripe.kinds import OWN_TYPES, PAYEE_TYPES
from domain.errors import BadInput
from sandbox.bank.ibans import BIC, firm_iban
from sandbox.config import SETTLED_BY, StripeEndpoint
from settings import AdapterValues, Settings

ACQUIRER: Final = "stripe"
RAIL: Final = "bank"
CHECKER: Final = "stripe"
CURRENCIES: Final = ("EUR", "USD", "GBP")
_HOLDER: Final = "The Firm"
_ACCOUNT: Final = "acct_sandbox"
_KINDS: Final = ("account", "connect", "thin")


def payment_values(settings: Settings) -> dict[str, AdapterValues]:
    """Returns the settings of the simulated acquirers, rails, statement sources and identity checkers by group."""
    simple = settings.simulated_provider()
    key = {"key": f"sk_test_{settings.required('sandbox_token')}", "url": f"{settings.sandbox_url.rstrip('/')}/stripe"}
    events = key | {"webhook_secrets": ",".join(_secrets(settings)), "account": _ACCOUNT}
    bank = {
        "folder": str(settings.bank_path.absolute()),
        "accounts": ", ".join(f"{currency}:{firm_iban(currency)}:{BIC}" for currency in CURRENCIES),
        "holder": _HOLDER,
        "clock": "bank",
        "first_statement": "1",
        "collect_minutes": "0",
        "settlements_from": SETTLED_BY,
    }
    return {
        "acquirers": {"stripe": _secret(events), **simple},
        "rails": {"bank": _secret(bank), "stripe": _secret(events), **simple},
        "statements": {"bank": _secret(bank), "stripe": _secret(key), **simple},
        "identity": {"stripe": _secret(events), "manual": {}},
    }


def stripe_endpoints(settings: Settings) -> tuple[StripeEndpoint, ...]:
    """Returns the receivers of the simulated Stripe's webhooks, as docs/stripe.md has a firm set them up."""
    url = f"{settings.api_url}/webhooks/payments/{settings.own_provider('stripe')}"
    types = {"account": OWN_TYPES, "connect": PAYEE_TYPES, "thin": ("*",)}
    return tuple(
        StripeEndpoint.model_validate({"name": kind, "url": url, "secret": secret, "kind": kind, "events": types[kind]})
        for kind, secret in zip(_KINDS, _secrets(settings), strict=True)
    )


def _secrets(settings: Settings) -> list[str]:
    """Returns the signing secrets of the three endpoints. Raises BadInput."""
    secrets = [part.strip() for part in settings.required("sandbox_stripe_secrets").split(",")]
    if len(secrets) != len(_KINDS) or not all(len(secret) >= 8 for secret in secrets):
        raise BadInput(
            "PROPOS_SANDBOX_STRIPE_SECRETS must be three secrets of at least 8 characters, separated by commas.",
            field="PROPOS_SANDBOX_STRIPE_SECRETS",
            remedy="Give three random words: for the firm's account, for payees' accounts, for thin events.",
        )
    return secrets


def _secret(values: dict[str, str]) -> dict[str, SecretStr]:
    return {field: SecretStr(value) for field, value in values.items()}
