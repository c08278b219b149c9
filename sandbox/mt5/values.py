"""Numbers of the wire that the fake uses. They are written down here and again in the adapter, so that a wrong one on
either side shows; tests/contract/mt5_names.json says where they come from."""

from typing import Final

ENABLED: Final = 0x1
TRADE_DISABLED: Final = 0x4
DEFAULT_RIGHTS: Final = 0x163

BUY: Final = 0
SELL: Final = 1
BALANCE: Final = 2
BALANCE_KINDS: Final = range(2, 8)  # balance, credit, charge, correction, bonus, commission
CREDIT: Final = 3

IN: Final = 0
OUT: Final = 1

BY_CLIENT: Final = 0
BY_DEALER: Final = 2
BY_STOP_LOSS: Final = 3
BY_TAKE_PROFIT: Final = 4

POSITION_EXECUTE: Final = 200
ORDER_REMOVE: Final = 204

ORDER_PLACED: Final = 1
ORDER_CANCELLED: Final = 2
ORDER_FILLED: Final = 4

LOTS: Final = 10_000  # Volume of one lot
LOTS_EXACT: Final = 100_000_000  # VolumeExt of one lot

DONE: Final = "0 Done"
PARAMS: Final = "3 Invalid parameters"
PERMISSIONS: Final = "8 Not enough permissions"
NOT_FOUND: Final = "13 Not found"
LOGIN_INVALID: Final = "1001 Invalid account"
LOGIN_PROHIBITED: Final = "3003 Login prohibited"
LOGIN_EXISTS: Final = "3004 Login exists"
BAD_PASSWORD: Final = "3006 Invalid password"
TOO_MUCH: Final = "4005 Too much money"
REQUEST_DONE: Final = "10009 Request done"
REQUEST_INVALID: Final = "10013 Invalid request"
MARKET_CLOSED: Final = "10018 Market closed"
NO_MONEY: Final = "10019 Not enough money"
TOO_MANY: Final = "10024 Too many requests"
POSITION_CLOSED: Final = "10036 Position is closed"
