"""The chapters of the description, in the order in which people read them."""

from typing import Final

_CHAPTERS: Final = {
    "challenges": "Products on sale; challenges: bought, refunded, extended.",
    "selling": "The price of a purchase before it is ordered, and receipts.",
    "accounts": "Accounts with live money, rooms to limits, deals, bars, breaches, warnings and proof sheets.",
    "orders": "Whether an order would break a rule, before it is placed.",
    "payouts": "Payouts: simulated, requested, followed.",
    "people": "Traders, how people sign in, and where traders are paid.",
    "disputes": "Disputes of breaches, appeals against actions, and compensations.",
    "support": "Tickets, their mails, macros and clocks.",
    "surveillance": "Cases, reviews and the policy of surveillance. Staff only.",
    "decisions": "What people decide about everything that waits in the work queue. No API key decides.",
    "books": "Deals of all accounts and the lines of the ledger.",
    "reconciliation": "What the firm's records and the other side's differ in, and what the firm owes.",
    "reports": "Pass and payout rates, revenue, times of decisions, and what the firm would owe, by month.",
    "chargebacks": "Payments that buyers dispute at their bank.",
    "exposure": "What all traders hold together, what a shock would do, and stops of trading.",
    "firm": "Work queue, summary, search, audit log, messages that wait for a person.",
    "saved views": "Filters of lists that you keep under a name. For staff.",
    "product versions": "New versions of products, and moves of running accounts to them.",
    "platforms": "The configured trading platforms.",
    "platform changes": "Accounts that change their platform.",
    "staff": "Staff, their roles and sign-ins, permissions.",
    "sign-ins": "Your own sign-ins, password and e-mail address.",
    "factors": "Your own passkeys, authenticator app and recovery codes; step-ups.",
    "programs": "API keys, endpoints of webhooks, business events.",
    "certificates": "Public pages by which traders show what they passed or were paid.",
    "notifications": "What people are told, in a list and by mail, and their choices.",
    "webhooks": "What payment providers, mail servers and ticket desks send. Signed by them.",
    "workflows": "What happened in the workflow of a challenge, a payout or a dispute, event by event.",
    "health": "Whether the process is there and can work.",
}
TAGS: Final = tuple({"name": name, "description": words} for name, words in _CHAPTERS.items())
