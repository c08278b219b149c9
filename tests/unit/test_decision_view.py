"""What an open item says about itself."""

from console.views.decision import Check


def test_what_failed_comes_before_what_is_to_be_looked_at_and_what_is_fine() -> None:
    checks = [Check("deadline", "ok", ""), Check("cases", "bad", ""), Check("approvals", "warn", "")]
    assert [check.verdict for check in sorted(checks, key=lambda check: check.rank)] == ["failed", "check", "ok"]
