"""One call of the database records the verdicts of a batch, and proof sheets are stored without compression.

Compressing the sheets took more than half of the time of recording many breaches at once. The relay and surveillance
are told when market time moves and when there are new deals, so that they need not look for them all the time.
"""

from alembic import op

revision = "0015"
down_revision = "0013"
branch_labels = None
depends_on = None

# Locks are taken in the order in which everybody takes them: challenges before accounts. The rows that refer to a
# challenge take this same lock when they are inserted, but after their account is updated: a transaction that holds the
# challenge and waits for the account would deadlock with that.
#
# The key of the shard's row is locked: a new owner has to wait, a checkpoint of the same owner has not.
#
# Only a new verdict ends an account: one found again after a restart may have been overturned since. A new verdict from
# good data also closes the review of a doubtful breach. Ids and times of the ended accounts are arrays, because the
# planner does not scan all accounts for them.
_FUNCTION = """
CREATE FUNCTION record_verdicts(
    of_shard bigint, of_epoch bigint, verdicts jsonb, challenge_ids text[], ended_ids text[], ended_times text[],
    proof_ids text[], proof_accounts text[], proof_kinds text[], proof_digests text[], proof_bodies text[],
    lock_keys text[], OUT owner_epoch bigint, OUT waiting text[]
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM FROM challenges WHERE id = ANY(challenge_ids) ORDER BY id FOR KEY SHARE;
    SELECT s.epoch INTO owner_epoch FROM shards s WHERE s.id = of_shard FOR KEY SHARE;
    IF owner_epoch IS DISTINCT FROM of_epoch THEN
        RETURN;
    END IF;

    INSERT INTO proofs (id, account_id, kind, digest, body)
    SELECT p.id, p.account_id, p.kind, p.digest, p.body::jsonb
      FROM unnest(proof_ids, proof_accounts, proof_kinds, proof_digests, proof_bodies)
        AS p (id, account_id, kind, digest, body)
    ON CONFLICT DO NOTHING;

    IF verdicts ? 'offences' THEN
        INSERT INTO offences (id, account_id, challenge_id, phase_index, rule_id, offence, consequence, sentence,
                              deducted_minor, proof_id, seq, occurred_at, epoch)
        SELECT r.* FROM jsonb_to_recordset(verdicts->'offences')
          AS r (id text, account_id text, challenge_id text, phase_index int, rule_id text, offence int,
                consequence text, sentence text, deducted_minor bigint, proof_id text, seq bigint,
                occurred_at timestamptz, epoch bigint)
        ON CONFLICT DO NOTHING;
    END IF;

    IF verdicts ? 'gates' THEN
        INSERT INTO gate_standings (account_id, rule_id, met, outcome, sentence, blocks, proof_id, occurred_at)
        SELECT r.* FROM jsonb_to_recordset(verdicts->'gates')
          AS r (account_id text, rule_id text, met boolean, outcome text, sentence text, blocks jsonb, proof_id text,
                occurred_at timestamptz)
        ON CONFLICT (account_id, rule_id) DO UPDATE
           SET (met, outcome, sentence, blocks, proof_id, occurred_at) = ROW (excluded.met, excluded.outcome,
                excluded.sentence, excluded.blocks, excluded.proof_id, excluded.occurred_at)
         WHERE excluded.occurred_at >= gate_standings.occurred_at;
    END IF;

    WITH broken AS (
        INSERT INTO breaches (id, account_id, challenge_id, phase_index, rule_id, offence, proof_id, seq, occurred_at,
                              floor_minor, equity_minor, status, epoch, received_at)
        SELECT r.* FROM jsonb_to_recordset(verdicts->'breaches')
          AS r (id text, account_id text, challenge_id text, phase_index int, rule_id text, offence int,
                proof_id text, seq bigint, occurred_at timestamptz, floor_minor bigint, equity_minor bigint,
                status text, epoch bigint, received_at timestamptz)
        ON CONFLICT DO NOTHING RETURNING account_id
    ), passed AS (
        INSERT INTO phase_passes (id, account_id, challenge_id, phase_index, proof_id, seq, occurred_at, balance_minor)
        SELECT r.* FROM jsonb_to_recordset(verdicts->'passes')
          AS r (id text, account_id text, challenge_id text, phase_index int, proof_id text, seq bigint,
                occurred_at timestamptz, balance_minor bigint)
        ON CONFLICT DO NOTHING RETURNING account_id
    ), ended AS (
        UPDATE accounts SET status = 'locked', ended_at = r.at::timestamptz
          FROM unnest(ended_ids, ended_times) AS r (id, at)
         WHERE accounts.id = r.id AND accounts.status = 'active'
           AND r.id IN (SELECT account_id FROM broken UNION ALL SELECT account_id FROM passed)
        RETURNING accounts.id
    )
    UPDATE reviews SET status = 'closed', outcome = 'settled', close_reason = 'Judged with good data.'
      FROM ended
     WHERE reviews.account_id = ended.id AND reviews.kind = 'doubtful_breach' AND reviews.status = 'open';

    INSERT INTO outbox (key, topic, target, name, payload, attempts, next_at)
    SELECT r.key, r.topic, r.target, r.name, r.payload, 0, clock_timestamp() + make_interval(secs => r.after)
      FROM jsonb_to_recordset(verdicts->'messages')
        AS r (key text, topic text, target text, name text, payload jsonb, after int)
    ON CONFLICT (key) DO NOTHING;

    SELECT coalesce(array_agg(o.key), '{}') INTO waiting
      FROM outbox o WHERE o.key = ANY(lock_keys) AND o.dispatched_at IS NULL;
END $$
"""

_ANNOUNCE_DEALS = """
CREATE FUNCTION announce_deals() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('deals', '');
    RETURN NULL;
END $$
"""


def upgrade() -> None:
    op.execute("ALTER TABLE proofs ALTER COLUMN body SET STORAGE EXTERNAL")
    op.execute(_FUNCTION)
    op.execute(_ANNOUNCE_DEALS)
    op.execute("CREATE TRIGGER announce AFTER INSERT ON deals FOR EACH STATEMENT EXECUTE FUNCTION announce_deals()")
    op.execute(
        "CREATE TRIGGER announce AFTER INSERT OR UPDATE ON market_clock FOR EACH STATEMENT"
        " EXECUTE FUNCTION announce_outbox()"
    )
    op.execute(
        "CREATE TRIGGER announce AFTER INSERT OR UPDATE OF due_at ON wakeups FOR EACH STATEMENT"
        " EXECUTE FUNCTION announce_outbox()"
    )


def downgrade() -> None:
    op.execute("DROP TRIGGER announce ON wakeups")
    op.execute("DROP TRIGGER announce ON market_clock")
    op.execute("DROP TRIGGER announce ON deals")
    op.execute("DROP FUNCTION announce_deals")
    op.execute("DROP FUNCTION record_verdicts")
    op.execute("ALTER TABLE proofs ALTER COLUMN body SET STORAGE EXTENDED")
