"""Every kind of work that waits for a person."""

from typing import Final

from front.subjects.account_move import ACCOUNT_MOVE
from front.subjects.case import CASE
from front.subjects.dispute import DISPUTE
from front.subjects.identity import IDENTITY
from front.subjects.parked_message import INBOX, OUTBOX
from front.subjects.payout import PAYOUT
from front.subjects.product_version import PRODUCT_VERSION
from front.subjects.review import REVIEW
from front.subjects.subject import Subjects
from front.subjects.ticket import TICKET

SUBJECTS: Final = Subjects(
    (PAYOUT, DISPUTE, CASE, IDENTITY, PRODUCT_VERSION, ACCOUNT_MOVE, REVIEW, TICKET, INBOX, OUTBOX)
)
