"""Business keys of reviews and of the steps of a subject. domain/keys.py says what a business key is."""

from datetime import date, datetime
from typing import Final

# reviews


def restarted_review(workflow_id: str) -> str:
    return f"restarted/{workflow_id}"


def webhook_review(endpoint_id: str, at: str) -> str:
    return f"webhook/{endpoint_id}/{at}"


def stuck_review(workflow_id: str) -> str:
    return f"stuck/{workflow_id}"


def unread_source(name: str) -> str:
    return f"source/{name}"


def waiting_review(workflow_id: str) -> str:
    return f"waits/{workflow_id}"


def nudge(workflow_id: str, step_id: int) -> str:
    """Asks a workflow to look again. `step_id`: of its subject's last step."""
    return f"nudge/{workflow_id}/{step_id}"


def repeated_review(key: str, again: str) -> str:
    """The review of trouble that goes on after a person has closed the review `key`. `again`: a day or number."""
    return f"{key}/{again}"


def dropped_review(workflow_id: str, why: str) -> str:
    return f"dropped/{workflow_id}/{why}"


def missed_reset_review(account_id: str, day: date) -> str:
    return f"missed_reset/{account_id}/{day}"


def offence_review(offence_id: str) -> str:
    return f"offence/{offence_id}"


def stray_transfer_review(transfer_key: str) -> str:
    return f"stray_transfer/{transfer_key}"


def payment_review(kind: str, challenge_id: str, about: str = "") -> str:
    """`about`: what tells several reviews of one kind and challenge apart."""
    return f"{kind}/{challenge_id}/{about}" if about else f"{kind}/{challenge_id}"


# mail


def mail_message(subject_id: str) -> str:
    """The message that hands a mail over, and its target. `subject_id`: of the mail, or of its ticket as the target."""
    return f"mail/{subject_id}"


def mail_flood_review(sender: str, hour: str) -> str:
    """`sender`: a digest of the address."""
    return f"mail_flood/{sender}/{hour}"


def untold_review(event: str, day: date) -> str:
    """`event`: the kind of business event."""
    return f"untold/{event}/{day.isoformat()}"


# tickets at a desk of a third party


def desk_ticket(ticket_id: str, opened: int) -> str:
    """A ticket at the desk. `opened`: how often it was opened there, this time included."""
    return f"ticket/{ticket_id}" if opened == 1 else f"ticket/{ticket_id}/{opened}"


def desk_message(message_id: str) -> str:
    return f"message/{message_id}"


def desk_note(ticket_id: str, opened: int) -> str:
    """The note on a ticket for the people of the desk."""
    return f"note/{ticket_id}/{opened}"


def desk_copy(ticket_id: str, cause: str = "") -> str:
    """The message that has a ticket copied to the desk; its target without a `cause`."""
    return f"desk/{ticket_id}/{cause}" if cause else f"desk/{ticket_id}"


def desk_poll(ticket_id: str, at: datetime) -> str:
    """The event of a change that was found without a webhook. `ticket_id`: of the desk, `at`: the desk's time."""
    return f"poll/{ticket_id}/{at.isoformat()}"


def other_customer_review(ticket_id: str, opened: int) -> str:
    return f"other_customer/{ticket_id}/{opened}"


def doubtful_articles_review(ticket_id: str, article_id: str) -> str:
    """`article_id`: of the desk, of the first article that is in doubt."""
    return f"doubtful_articles/{ticket_id}/{article_id}"


# steps of a challenge, payout or ticket


def counted_step(taken: int, trigger: str) -> str:
    """A step that can be taken many times: `taken` steps were taken before it."""
    return f"{taken}/{trigger}"


def phase_start(account_id: str) -> str:
    return f"start/{account_id}"


def phase_expired(account_id: str) -> str:
    return f"expired/{account_id}"


def account_grown(account_id: str, number: int) -> str:
    return f"grown/{account_id}/{number}"


def challenge_replaced(challenge_id: str) -> str:
    return f"replaced/{challenge_id}"


_INTERVENTION: Final = "intervention/"


def intervention(intervention_id: str) -> str:
    """The step of the challenge that it leads to, and the signal that asks for it."""
    return f"{_INTERVENTION}{intervention_id}"


ADJUSTMENT: Final = "adjust/"


def adjustment(intervention_id: str) -> str:
    """The message, and the operation by which staff correct the balance of an account."""
    return f"{ADJUSTMENT}{intervention_id}"


def carried_out_by(key: str) -> str | None:
    """Returns the intervention that the message of this key carries out; None for another message."""
    found = next((each for each in (_INTERVENTION, ADJUSTMENT) if key.startswith(each)), None)
    return None if found is None else key.removeprefix(found)


def challenge_closed(cause: str) -> str:
    """The step by which the firm closes a challenge. `cause`: the id of what says so; after one closing was overturned,
    another cause can close the challenge again."""
    return f"closed/{cause}"


def phase_extension(request_key: str) -> str:
    return f"extension/{request_key}"


def phase_identity(phase_index: int) -> str:
    return f"identity/{phase_index}"


def reinstatement(dispute_id: str) -> str:
    return f"reinstate/{dispute_id}"


def window_over(breach_id: str) -> str:
    return f"window/{breach_id}"


def refund_step(request_key: str) -> str:
    return f"refund/{request_key}"


def refund_freeze(refund_key: str) -> str:
    """The intent to freeze an account before the refund `refund_key` is asked for."""
    return f"{refund_key}/freeze"


def refund_refused(refund_key: str) -> str:
    return f"refused/{refund_key}"


def new_rates(number: int) -> str:
    """`number`: of the last exchange rate that was new."""
    return f"rates/{number}"


def late_clock(ticket_id: str, clock: str, start: int) -> str:
    """The review of a clock of a ticket that is late. `start`: how often the clock had been started by then."""
    return f"late/{ticket_id}/{clock}/{start}"


def freeze_message(freeze_id: str) -> str:
    """To the platform: disable trading and leave open positions alone."""
    return f"freeze/{freeze_id}"
