"""The outcome of an account's gates at the end of each of its days, with a proof whenever it has changed."""

from collections.abc import Iterator

from domain import keys
from domain.proofs.history import ProofSubject, gate_sheet
from domain.rules import history
from domain.rules.events import Moment
from monitor.columns.roster import AccountRow
from monitor.facts import GateFact


def changed_gates(account: AccountRow, now: Moment) -> Iterator[GateFact]:
    """Yields every gate whose outcome differs from the last recorded one, and records it on the account."""
    conduct, terms = account.conduct, account.terms
    if conduct is None:
        return
    for gate, status in history.gates(conduct.history, terms.history_rules, terms.context, now):
        if conduct.gates.get(gate.id) == status.outcome:
            continue
        conduct.gates[gate.id] = status.outcome
        proof_id = keys.gate_proof(account.account_id, terms.phase_index, gate.id, now.at)
        subject = ProofSubject(account.account_id, account.challenge_id, account.login, terms, account.continues)
        yield GateFact(
            account_id=account.account_id,
            rule_id=gate.id,
            met=status.met,
            outcome=status.outcome,
            sentence=status.sentence,
            blocks=gate.blocks,
            proof_id=proof_id,
            proof=gate_sheet(proof_id, subject, gate.id, now, conduct.events, began=conduct.began, point=conduct.point),
            at=now.at,
        )
