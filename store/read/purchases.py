"""What became of a purchase, as reports count it and as the list of challenges finds it again.

A purchase goes on in what is bought for it later: a reset, a buyback, the activation. The last of them says how it
stands now.
"""

from collections.abc import Callable
from typing import Final

from sqlalchemy import Boolean, ColumnElement, literal_column

# {id}: of the purchase. One row: the last evaluation phase that was passed, whether it was funded and paid, and how it
# ended; empty while it goes on.
FATE: Final = """
    WITH RECURSIVE chain AS (
        SELECT CAST({id} AS varchar) AS id, CAST({state} AS varchar) AS state, 0 AS step
         UNION ALL
        SELECT c.id, c.state, chain.step + 1
          FROM chain JOIN challenges c ON c.replaces = chain.id CROSS JOIN LATERAL (
               SELECT FROM transitions t WHERE t.subject_kind = 'challenge' AND t.subject_id = c.id
                  AND t.trigger = 'payment_settled' LIMIT 1) AS settled
    )
    SELECT coalesce(max(went.passed), 0) AS passed, bool_or(went.funded) AS funded, bool_or(went.paid) AS paid,
           CASE WHEN max(went.last) IN ('breached', 'failed') THEN 'breached'
                WHEN max(went.last) = 'expired' THEN 'expired'
                WHEN max(went.last) IN ('closed', 'refunded', 'charged_back', 'cancelled') THEN 'otherwise'
                ELSE '' END AS ended
      FROM (SELECT (SELECT max(p.phase_index) FROM phase_passes p WHERE p.challenge_id = chain.id) AS passed,
                   EXISTS (SELECT FROM transitions t WHERE t.subject_kind = 'challenge' AND t.subject_id = chain.id
                              AND t.trigger = 'funding_started') AS funded,
                   EXISTS (SELECT FROM payouts p WHERE p.challenge_id = chain.id AND p.state = 'paid') AS paid,
                   first_value(chain.state) OVER (ORDER BY chain.step DESC, chain.id DESC) AS last
              FROM chain) AS went
"""
# As sold: the price of the purchase says it, also after a move to another version.
SOLD: Final = """
    SELECT coalesce(s.product, {challenge}.product) AS product, coalesce(s.version, {challenge}.version) AS version
      FROM (SELECT) AS one LEFT JOIN sales s ON s.challenge_id = {challenge}.id
"""
# Name of a count -> which purchases it counts. `Fates` (domain/reports/shares.py) counts the same.
OUTCOMES: Final = {
    "funded": "went.funded",
    "paid": "went.paid",
    "breached": "went.ended = 'breached'",
    "expired": "went.ended = 'expired'",
    "ended_otherwise": "went.ended = 'otherwise'",
    "in_evaluation": "went.ended = '' AND NOT went.funded",
    **{f"passed_{phase}": f"went.passed >= {phase}" for phase in range(1, 10)},
}
Condition = ColumnElement[bool]


def has_outcome(value: str) -> Condition:
    """The condition for challenges that are purchases with one of OUTCOMES."""
    fate = FATE.format(id="challenges.id", state="challenges.state")
    return literal_column(f"EXISTS (SELECT FROM ({fate}) AS went WHERE {OUTCOMES[value]})", Boolean)


def sold_as(column: str) -> Callable[[str], Condition]:
    """The condition for challenges by the product, or the version, that was sold."""
    sold = SOLD.format(challenge="challenges")
    return lambda value: literal_column(f"(SELECT CAST(sold.{column} AS text) FROM ({sold}) AS sold)") == value
