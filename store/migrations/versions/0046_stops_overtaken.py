"""What is agreed to about a stop of trading, and not done everywhere, does not keep its opposite waiting."""

import sqlalchemy as sa
from alembic import op

revision = "0046"
down_revision = "0045"
branch_labels = None
depends_on = None

_INDEX = "uq_platform_stops_open"
_SCOPE: tuple[str | sa.TextClause, ...] = (
    "platform",
    sa.text("coalesce(symbol, '')"),
    sa.text("coalesce(product, '')"),
    "action",
)
_OPEN = sa.text("state IN ('proposed', 'approved')")


def upgrade() -> None:
    op.drop_index(_INDEX, "platform_stops")
    op.create_index(_INDEX, "platform_stops", [*_SCOPE, "lifts"], unique=True, postgresql_where=_OPEN)


def downgrade() -> None:
    op.execute("UPDATE platform_stops SET state = 'done' WHERE state = 'overtaken'")
    op.execute(
        "UPDATE platform_stops AS mine SET state = 'expired', closed_at = now() WHERE state = 'proposed' AND EXISTS ("
        "SELECT FROM platform_stops AS other WHERE other.state = 'approved' AND other.platform = mine.platform"
        " AND other.symbol IS NOT DISTINCT FROM mine.symbol AND other.product IS NOT DISTINCT FROM mine.product"
        " AND other.action = mine.action)"
    )
    op.drop_index(_INDEX, "platform_stops")
    op.create_index(_INDEX, "platform_stops", [*_SCOPE], unique=True, postgresql_where=_OPEN)
