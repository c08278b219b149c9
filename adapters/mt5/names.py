"""Words and numbers of the MT5 WebAPI that this adapter uses.

tests/contract/mt5_names.json lists the names and numbers of fields and enumerations. Its test compares them with this
module, and with the wheel MT5Manager where it is present. Paths, parameters and the forms of answers are in no wheel:
they were read in copies of the vendor's pages and are unverified against a live server.
"""

from typing import Final

# EnUsersRights
USER_RIGHT_ENABLED: Final = 0x1
USER_RIGHT_PASSWORD: Final = 0x2
USER_RIGHT_TRADE_DISABLED: Final = 0x4
USER_RIGHT_TRAILING: Final = 0x20
USER_RIGHT_EXPERT: Final = 0x40
USER_RIGHT_REPORTS: Final = 0x100

# EnDealAction
DEAL_BUY: Final = 0
DEAL_SELL: Final = 1
DEAL_BALANCE: Final = 2
DEAL_CREDIT: Final = 3
DEAL_BUY_CANCELED: Final = 13
DEAL_SELL_CANCELED: Final = 14
DEAL_SO_COMPENSATION_CREDIT: Final = 20

# EnDealEntry
ENTRY_IN: Final = 0
ENTRY_OUT: Final = 1
ENTRY_INOUT: Final = 2
ENTRY_OUT_BY: Final = 3

# EnDealReason
DEAL_REASON_CLIENT: Final = 0
DEAL_REASON_EXPERT: Final = 1
DEAL_REASON_SL: Final = 3
DEAL_REASON_TP: Final = 4
DEAL_REASON_SO: Final = 5
DEAL_REASON_EXTERNAL_CLIENT: Final = 7
DEAL_REASON_SIGNAL: Final = 10
DEAL_REASON_MOBILE: Final = 16
DEAL_REASON_WEB: Final = 17

# EnPositionAction
POSITION_BUY: Final = 0
POSITION_SELL: Final = 1

# EnOrderType
OP_BUY: Final = 0
OP_SELL: Final = 1
OP_BUY_LIMIT: Final = 2
OP_SELL_LIMIT: Final = 3
OP_BUY_STOP: Final = 4
OP_SELL_STOP: Final = 5
OP_BUY_STOP_LIMIT: Final = 6
OP_SELL_STOP_LIMIT: Final = 7

# EnOrderState
ORDER_STATE_CANCELED: Final = 2
ORDER_STATE_FILLED: Final = 4
ORDER_STATE_REJECTED: Final = 5
ORDER_STATE_EXPIRED: Final = 6

# EnOrderFilling
ORDER_FILL_FOK: Final = 0

# EnTradeActions
TA_DEALER_POS_EXECUTE: Final = 200
TA_DEALER_ORD_REMOVE: Final = 204

# EnMTAPIRetcode
MT_RET_OK: Final = 0
MT_RET_OK_NONE: Final = 1
MT_RET_ERR_PARAMS: Final = 3
MT_RET_ERR_DATA: Final = 4
MT_RET_ERR_PERMISSIONS: Final = 8
MT_RET_ERR_FREQUENT: Final = 12
MT_RET_ERR_NOTFOUND: Final = 13
MT_RET_ERR_SHUTDOWN: Final = 15
MT_RET_ERR_NOTMAIN: Final = 12001
MT_RET_ERR_DEADLOCK: Final = 12003
MT_RET_ERR_LOCKED: Final = 12004
MT_RET_AUTH_SERVER_BUSY: Final = 1018
MT_RET_AUTH_SERVER_LIMIT: Final = 1022
MT_RET_USR_LOGIN_EXHAUSTED: Final = 3002
MT_RET_USR_LOGIN_PROHIBITED: Final = 3003
MT_RET_USR_LOGIN_EXIST: Final = 3004
MT_RET_USR_INVALID_PASSWORD: Final = 3006
MT_RET_TRADE_MAX_MONEY: Final = 4005
MT_RET_REQUEST_INWAY: Final = 10001
MT_RET_REQUEST_ACCEPTED: Final = 10002
MT_RET_REQUEST_PROCESS: Final = 10003
MT_RET_REQUEST_PLACED: Final = 10008
MT_RET_REQUEST_DONE: Final = 10009
MT_RET_REQUEST_DONE_PARTIAL: Final = 10010
MT_RET_REQUEST_MARKET_CLOSED: Final = 10018
MT_RET_REQUEST_NO_MONEY: Final = 10019
MT_RET_REQUEST_PRICE_OFF: Final = 10021
MT_RET_REQUEST_TOO_MANY: Final = 10024
MT_RET_REQUEST_INVALID_ORDER: Final = 10035
MT_RET_REQUEST_POSITION_CLOSED: Final = 10036

# unverified: lengths and limits as the vendor's pages give them
COMMENT_LENGTH: Final = 31  # of a deal, without the end of the text
PAGE: Final = 100  # the most rows of a page
MAIN_PASSWORD: Final = "main"  # of an account; the other one is only for looking
IDLE_SECONDS: Final = 180  # after which the server closes a silent connection
VOLUME: Final = 10_000  # Volume of one lot
VOLUME_EXACT: Final = 100_000_000  # VolumeExt of one lot
