"""Names and words of DXtrade's wire.

"read": in the models of the MIT client of this venue. "unverified": nobody outside has published it, or we know it from
clients whose authors have not published a specification. docs/dxtrade.md lists both.
"""

from typing import Final, Literal

ADMIN: Final = "/dxweb/rest"  # read
TRADING: Final = "/dxsca-web"  # read
EVENTS_SOCKET: Final = "/dxsca-web/?format=JSON"  # unverified
QUOTES_SOCKET: Final = "/dxsca-web/md?format=JSON"  # unverified

Status = Literal["FULL_TRADING", "CLOSE_ONLY", "NO_TRADING", "TERMINATED", "EXPIRED"]  # read
FULL_TRADING: Final[Status] = "FULL_TRADING"
CLOSE_ONLY: Final[Status] = "CLOSE_ONLY"
NO_TRADING: Final[Status] = "NO_TRADING"
ENDED: Final[frozenset[Status]] = frozenset({"TERMINATED", "EXPIRED"})

# Types of a cash transaction (read). Which of them a trade causes is unverified.
OF_TRADES: Final = frozenset({"SETTLEMENT", "COMMISSION", "COST", "FINANCING", "REBATE"})

# The server ends a connection whose client does not answer PingRequest with Ping (unverified, like all push messages).
PING_REQUEST: Final = "PingRequest"
PING: Final = "Ping"
REJECT: Final = "Reject"
MARKET_DATA: Final = "MarketData"
PORTFOLIOS: Final = "AccountPortfolios"
METRICS: Final = "AccountMetrics"
TRANSFERS: Final = "CashTransfers"
EVENTS: Final = "AccountEvents"
SUBSCRIBE: Final = "SubscriptionRequest"  # behind each of the five names above

# Entries of an account's metadata, which are ours. That a value may have this length is unverified.
KEY: Final = "proposKey"  # of the call that opened the account
GROUP: Final = "proposGroup"
LEVERAGE: Final = "proposLeverage"
DONE: Final = "proposDone"  # tags of the latest changes of the account's trading, oldest first
SETTLED: Final = "proposSettled"  # "key@time" of payouts that are settled, oldest first
REMEMBERED: Final = 32

COMMENT_LIMIT: Final = 200  # of a transfer's description (unverified)
PAGE: Final = 500  # rows asked for at once; the venue's own limit is unverified
# The API's own numbers are not published: far below what public clients use.
CALLS_PER_SECOND: Final = 20
