"""Programs of others: their API keys and rate limits, the business events they are told of, and the webhooks sent."""

from datetime import datetime

from sqlalchemy import BigInteger, Boolean, Double, ForeignKey, Identity, Index, String, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from store.crypto import Encrypted
from store.models.base import Base, Id, MarketTime, Recorded


class ApiKey(Base):
    """A key through which a program acts for the user who made it. Only the SHA-256 of its token is stored. Wall times.

    `scopes`: names of permissions; what the owner's role no longer has does not count. `replaces`: the key that this
    one takes over from. `last_used_at` is written at most once a minute.
    """

    __tablename__ = "api_keys"

    id: Mapped[Id]
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    name: Mapped[str] = mapped_column(Encrypted("api_keys.name"))
    digest: Mapped[str] = mapped_column(String(64))
    scopes: Mapped[list[str]] = mapped_column(JSONB)
    replaces: Mapped[str | None] = mapped_column(ForeignKey("api_keys.id"))
    created_at: Mapped[Recorded]
    expires_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class RateBucket(Base):
    """How many requests a person (`usr_…`) or an API key (`key_…`) may still send. The table is not logged: after a
    crash of the database every bucket is full again. Wall time."""

    __tablename__ = "rate_buckets"
    __table_args__ = ({"prefixes": ["UNLOGGED"]},)

    subject: Mapped[str] = mapped_column(String(40), primary_key=True)
    tokens: Mapped[float] = mapped_column(Double)
    at: Mapped[datetime]


class EventSource(Base):
    """Which audit action is which business event. `propos migrate` writes it from `domain.business_events`."""

    __tablename__ = "event_sources"

    action: Mapped[str] = mapped_column(String(48), primary_key=True)
    kind: Mapped[str] = mapped_column(String(40))


class BusinessEvent(Base):
    """Something that programs of others are told of, written by triggers in the transaction of the change. `id` is the
    `webhook-id` of every webhook about it. `told`: the relay has made the notifications of it."""

    __tablename__ = "business_events"
    __table_args__ = (
        Index("ix_business_events_kind", "kind", "seq"),
        Index("ix_business_events_untold", "seq", postgresql_where=text("NOT told")),
    )

    id: Mapped[Id]
    seq: Mapped[int] = mapped_column(BigInteger, Identity(), unique=True)
    kind: Mapped[str] = mapped_column(String(40))
    subject_kind: Mapped[str] = mapped_column(String(16))
    subject_id: Mapped[str] = mapped_column(String(80))
    trader_id: Mapped[str | None] = mapped_column(String(32))
    account_id: Mapped[str | None] = mapped_column(String(32))
    challenge_id: Mapped[str | None] = mapped_column(String(32))
    occurred_at: Mapped[MarketTime]
    recorded_at: Mapped[Recorded] = mapped_column(index=True)
    told: Mapped[bool] = mapped_column(Boolean, default=False, server_default=text("false"))


class WebhookEndpoint(Base):
    """Where business events are sent. `kinds`: names of events, or `["*"]`. Wall times.

    `state`: enabled | disabled. `why`: empty | person | gone (it answered 410) | failing (for days). `failing_since`:
    the first failed try after the last good one.
    """

    __tablename__ = "webhook_endpoints"

    id: Mapped[Id]
    url: Mapped[str] = mapped_column(Encrypted("webhook_endpoints.url"))
    note: Mapped[str] = mapped_column(Encrypted("webhook_endpoints.note"))
    kinds: Mapped[list[str]] = mapped_column(JSONB)
    state: Mapped[str] = mapped_column(String(8))
    why: Mapped[str] = mapped_column(String(8), default="", server_default="")
    failing_since: Mapped[datetime | None]
    created_by: Mapped[str] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[Recorded]


class WebhookSecret(Base):
    """A signing secret of an endpoint. While it rotates there are several. `expires_at` None: until the next rotation.
    Wall times."""

    __tablename__ = "webhook_secrets"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    endpoint_id: Mapped[str] = mapped_column(ForeignKey("webhook_endpoints.id"), index=True)
    secret: Mapped[str] = mapped_column(Encrypted("webhook_secrets.secret"))
    expires_at: Mapped[datetime | None]
    recorded_at: Mapped[Recorded]


class WebhookDelivery(Base):
    """One event on its way to one endpoint. `state`: waiting | delivered | failed. `tries`: since it was last asked
    for. Wall times."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        UniqueConstraint("endpoint_id", "event_id"),
        Index("ix_webhook_deliveries_waiting", "endpoint_id", "next_at", postgresql_where=text("state = 'waiting'")),
        Index("ix_webhook_deliveries_event", "event_id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    endpoint_id: Mapped[str] = mapped_column(ForeignKey("webhook_endpoints.id"))
    event_id: Mapped[str] = mapped_column(ForeignKey("business_events.id", ondelete="CASCADE"))
    state: Mapped[str] = mapped_column(String(9))
    tries: Mapped[int] = mapped_column(default=0, server_default="0")
    next_at: Mapped[datetime]
    done_at: Mapped[datetime | None]
    recorded_at: Mapped[Recorded]


class WebhookTry(Base):
    """One try of a delivery: what was answered and after how many milliseconds. `status` None: no answer; `problem`
    says why. Wall time."""

    __tablename__ = "webhook_tries"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    delivery_id: Mapped[int] = mapped_column(ForeignKey("webhook_deliveries.id", ondelete="CASCADE"), index=True)
    status: Mapped[int | None]
    problem: Mapped[str] = mapped_column(String(120))
    milliseconds: Mapped[int]
    at: Mapped[Recorded]
