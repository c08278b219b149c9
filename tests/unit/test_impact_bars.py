"""The bars of an impact: each pair on the scale of its plot, losses to the left of nothing."""

from console.present.impact import WIDTH, bars
from domain.histories.impact_report import Effect, FateCount, ImpactReport


def test_outcomes_and_money_have_scales_of_their_own_and_losses_go_the_other_way() -> None:
    outcomes, money = bars(
        ImpactReport(
            product="two-step@1",
            against="two-step@2",
            currency="USD",
            challenges=10,
            changed=3,
            by_the_hour=0,
            left_out=0,
            differs=0,
            fates=(FateCount(fate="passed", before=2, after=8), FateCount(fate="expired", before=0, after=0)),
            payouts_before=1,
            payouts_after=4,
            money=(Effect(name="fees less payouts", before_minor=30_000, after_minor=-10_000),),
            money_effect_minor=-40_000,
            endings=(),
        )
    )
    assert [pair.label for pair in outcomes.pairs] == ["Passed", "Payouts"], "what never occurs has no bar"
    passed = outcomes.pairs[0]
    assert (passed.before.width, passed.after.width, outcomes.zero) == (WIDTH // 4, WIDTH, 0)
    (net,) = money.pairs
    assert (net.before.start, net.before.width) == (WIDTH // 4, WIDTH * 3 // 4)
    assert (net.after.start, net.after.width) == (0, WIDTH // 4) and "100.00" in net.after.text
