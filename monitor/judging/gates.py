"""Where an account's gates stand after each of its days, with a proof whenever that has changed."""

from collections.abc import Iterator

from domain.ids import derived_id
from domain.rules import history
from domain.rules.events import Moment
from domain.rules.proof_history import Whose, gate_sheet
from monitor.columns.roster import Account
from monitor.facts import GateFact


def changed_gates(account: Account, now: Moment) -> Iterator[GateFact]:
    """Every gate whose outcome differs from what was last told of it; what is told from now on is remembered."""
    standing, terms = account.standing, account.terms
    if standing is None:
        return
    for gate, status in history.gates(standing.history, terms.history_rules, terms.context, now):
        if standing.gates.get(gate.id) == status.outcome:
            continue
        standing.gates[gate.id] = status.outcome
        proof_id = derived_id("prf", account.account_id, terms.phase_index, gate.id, now.at.isoformat())
        whose = Whose(account.account_id, account.challenge_id, account.login, terms)
        yield GateFact(
            account_id=account.account_id,
            rule_id=gate.id,
            met=status.met,
            outcome=status.outcome,
            sentence=status.sentence,
            blocks=gate.blocks,
            proof_id=proof_id,
            proof=gate_sheet(proof_id, whose, gate.id, now, standing.events, began=standing.began),
            at=now.at,
        )
