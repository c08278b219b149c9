"""The chart of accounts of the firm's books, as data. `propos migrate` writes it into the table `ledger_accounts`.

To add an account, add a line to CHART. A name, type or normal side that is in use never changes. An account "per
connection" is a family: the books keep one account for each name in the settings, such as `provider:stripe`.
"""

import re
from dataclasses import dataclass, replace
from typing import Final, Literal

from domain.errors import UnknownAccount

AccountType = Literal["asset", "liability", "income", "expense", "memorandum"]
Side = Literal["debit", "credit"]

_CONNECTION: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,39}")


@dataclass(frozen=True, slots=True)
class LedgerAccount:
    """One account. `normal`: the side on which it grows. `title`: its name for a person."""

    name: str
    type: AccountType
    normal: Side
    title: str
    per_connection: bool = False


CHART: Final = (
    LedgerAccount("provider", "asset", "debit", "Cash at a provider or bank", per_connection=True),
    LedgerAccount("disputed", "asset", "debit", "Money taken by open chargebacks"),
    LedgerAccount("fx-position", "asset", "debit", "Open position in foreign currency"),
    LedgerAccount("settlements", "asset", "debit", "Settlements on their way to the bank"),
    LedgerAccount("in-transit", "liability", "credit", "Payouts in transit over a rail", per_connection=True),
    LedgerAccount("trader-payable", "liability", "credit", "Payouts payable to traders"),
    LedgerAccount("taxes-payable", "liability", "credit", "Taxes payable"),
    LedgerAccount("vouchers-payable", "liability", "credit", "Vouchers granted to traders and not used"),
    LedgerAccount("suspense", "liability", "credit", "Money received that was not due"),
    LedgerAccount("fees", "income", "credit", "Revenue from fees"),
    LedgerAccount("discounts", "income", "debit", "Discounts given on fees"),
    LedgerAccount("refunds", "income", "debit", "Refunds of fees"),
    LedgerAccount("payout-expense", "expense", "debit", "Profit shares of traders"),
    LedgerAccount("chargebacks", "expense", "debit", "Losses from chargebacks"),
    LedgerAccount("provider-fees", "expense", "debit", "Fees of providers and banks"),
    LedgerAccount("goodwill", "expense", "debit", "Compensations of traders"),
    LedgerAccount("write-offs", "expense", "debit", "Differences that were written off"),
    LedgerAccount("fx-gain-loss", "expense", "debit", "Loss (or gain) from foreign currency"),
    LedgerAccount("account-profit", "memorandum", "debit", "Profit that left trading accounts"),
    LedgerAccount("forfeited-profit", "memorandum", "credit", "Profit that was paid to nobody"),
)
_BY_NAME: Final = {account.name: account for account in CHART}


def account_named(name: str) -> LedgerAccount:
    """Returns the account `name`, such as `fees` or `provider:stripe`. Raises UnknownAccount."""
    family, colon, connection = name.partition(":")
    account = _BY_NAME.get(family)
    if account is None or account.per_connection != bool(colon):
        raise UnknownAccount(name)
    if not colon:
        return account
    if not _CONNECTION.fullmatch(connection):
        raise UnknownAccount(name)
    return replace(account, name=name, title=f"{account.title}: {connection}", per_connection=False)
