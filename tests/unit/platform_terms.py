"""Terms with a daily limit and a trailing one, for tests of changes of platform."""

from typing import Final

from domain.products.phase_terms import phase_terms
from domain.products.product import Product

TERMS: Final = phase_terms(
    Product.model_validate(
        {
            "product": "one",
            "version": 1,
            "name": "One",
            "family": "one-step",
            "currency": "USD",
            "initial_balance": "10000",
            "fee": "100",
            "leverage": 100,
            "clock": {"zone": "UTC", "reset": "00:00"},
            "phases": [
                {
                    "name": "Test",
                    "target": {"type": "pct_of_initial", "value": "9"},
                    "rules": [
                        {
                            "type": "daily_loss",
                            "anchor": "balance",
                            "allowance": {"type": "amount", "value": "500"},
                            "breach_when": "equity < floor",
                        },
                        {
                            "type": "max_loss_trailing",
                            "peak_basis": "intraday_equity_peak",
                            "allowance": {"type": "pct_of_peak", "value": "10"},
                            "breach_when": "equity < floor",
                        },
                    ],
                }
            ],
            "funded": {
                "name": "Funded",
                "rules": [
                    {
                        "type": "max_loss_static",
                        "allowance": {"type": "amount", "value": "900"},
                        "breach_when": "equity < floor",
                    }
                ],
            },
            "payout": {"first_after_days": 0, "every_days": 1, "split_pct": "80", "min_request": "1"},
        }
    ),
    1,
)
