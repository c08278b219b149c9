"""The simulated companies count the faults that really happened, through new settings and restarts."""

import json
from pathlib import Path

from sandbox.bank.bank import SandboxBank
from sandbox.bank.faults import BankFaults
from sandbox.stripe.fake import FakeStripe
from sandbox.stripe.faults import Faults


def test_a_fake_stripe_counts_what_happened() -> None:
    fake = FakeStripe("http://fake.test", "sk_test_key", ())
    fake.set_faults(Faults(too_many=2))
    assert fake.state.faults.use("too_many") and not fake.state.faults.use("error_before")
    fake.set_faults(Faults(hold=True))
    fake.state.faults.count("late_effect")
    fake.state.save_faults()
    rows = {kind: list[tuple[str, object]]() for kind in fake.kinds}
    for row in fake.drain():
        rows[row.kind] = [each for each in rows[row.kind] if each[0] != row.id]
        rows[row.kind].append((row.id, json.loads(row.value or "null")))
    again = FakeStripe("http://fake.test", "sk_test_key", ())
    again.restore(rows, 0)
    assert again.state.faults.hold
    assert again.state.faults.uses == {"too_many": 1, "late_effect": 1}


def test_a_bank_counts_what_happened(tmp_path: Path) -> None:
    bank = SandboxBank(tmp_path / "one", ("USD",))
    bank.faults = BankFaults(truncate=1).counted_since(bank.faults.uses)
    assert bank.faults.use("truncate") and not bank.faults.use("truncate")
    bank.faults = BankFaults().counted_since(bank.faults.uses)
    bank.save_faults()
    rows = {kind: list[tuple[str, object]]() for kind in (*bank.kinds, "bank_booked")}
    for row in bank.drain():
        rows[row.kind].append((row.id, json.loads(row.value or "null")))
    again = SandboxBank(tmp_path / "two", ("USD",))
    again.restore(rows, 0)
    assert again.faults.uses == {"truncate": 1}
