"""Every kind of work that waits for a person."""

from typing import Final

from front.subjects.account_move import ACCOUNT_MOVE
from front.subjects.beneficiary import BENEFICIARY
from front.subjects.case import CASE
from front.subjects.chargeback import CHARGEBACK
from front.subjects.compensation import COMPENSATION
from front.subjects.dispute import DISPUTE
from front.subjects.identity import IDENTITY
from front.subjects.intervention import INTERVENTION
from front.subjects.parked_message import INBOX, OUTBOX
from front.subjects.payout import PAYOUT
from front.subjects.platform_change import PLATFORM_CHANGE
from front.subjects.policy_change import POLICY_CHANGE
from front.subjects.product_version import PRODUCT_VERSION
from front.subjects.reconciliation_break import BREAK
from front.subjects.review import REVIEW
from front.subjects.screening import SANCTION_HIT
from front.subjects.staff_change import STAFF_CHANGE
from front.subjects.subject import Subjects
from front.subjects.ticket import TICKET

SUBJECTS: Final = Subjects(
    (
        PAYOUT,
        CHARGEBACK,
        DISPUTE,
        COMPENSATION,
        CASE,
        IDENTITY,
        BENEFICIARY,
        SANCTION_HIT,
        PRODUCT_VERSION,
        ACCOUNT_MOVE,
        INTERVENTION,
        PLATFORM_CHANGE,
        POLICY_CHANGE,
        STAFF_CHANGE,
        BREAK,
        REVIEW,
        TICKET,
        INBOX,
        OUTBOX,
    )
)
