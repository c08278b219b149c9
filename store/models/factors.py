"""Factors of a person, challenges for them, step-ups, and identities at an identity provider. Wall times."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, LargeBinary, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from store.crypto import Encrypted
from store.models.base import Base, Id, Recorded


class Passkey(Base):
    """A WebAuthn credential. `sign_count` is 0 for authenticators that do not count. `backed_up`: it is synced."""

    __tablename__ = "passkeys"

    id: Mapped[Id]
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    credential_id: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    sign_count: Mapped[int] = mapped_column(BigInteger)
    transports: Mapped[list[str]] = mapped_column(JSONB)
    backed_up: Mapped[bool]
    name: Mapped[str] = mapped_column(Encrypted("passkeys.name"))
    created_at: Mapped[Recorded]
    last_used_at: Mapped[datetime | None]


class Authenticator(Base):
    """The secret that a person's authenticator app shares. `confirmed_at` is None until the first code was right.
    `last_step`: the newest step whose code was used, so that a code works once."""

    __tablename__ = "authenticators"

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), primary_key=True)
    secret: Mapped[str] = mapped_column(Encrypted("authenticators.secret"))
    last_step: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[Recorded]
    confirmed_at: Mapped[datetime | None]


class RecoveryCode(Base):
    """A code that replaces a lost factor once; only its keyed digest is stored."""

    __tablename__ = "recovery_codes"

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    used_at: Mapped[datetime | None]


class FactorChallenge(Base):
    """A challenge for a passkey, used once. `purpose`: register, sign_in, second_factor or step_up. `holder`: digest of
    the session's token, or of the cookie of a browser that nobody has signed in at. `about`: digest of what is
    decided, for a step-up."""

    __tablename__ = "factor_challenges"
    __table_args__ = (Index("ix_factor_challenges_expires_at", "expires_at"),)

    id: Mapped[Id]
    purpose: Mapped[str] = mapped_column(String(16))
    holder: Mapped[str] = mapped_column(String(64))
    about: Mapped[str] = mapped_column(String(64))
    challenge: Mapped[bytes] = mapped_column(LargeBinary)
    expires_at: Mapped[datetime]


class ProofAttempt(Base):
    """A proof that was tried. Those of a person are removed when one is right."""

    __tablename__ = "proof_attempts"
    __table_args__ = (Index("ix_proof_attempts_user", "user_id", "at"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    at: Mapped[Recorded]


class StepUp(Base):
    """A fresh proof of a person in a session, for one class of actions and one digest. `used_key`: the key of the
    request that it was used for, which the decision carries as well."""

    __tablename__ = "step_ups"
    __table_args__ = (Index("ix_step_ups_about", "user_id", "about"),)

    id: Mapped[Id]
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    holder: Mapped[str] = mapped_column(String(64))
    action: Mapped[str] = mapped_column(String(16))
    about: Mapped[str] = mapped_column(String(64))
    method: Mapped[str] = mapped_column(String(16))
    made_at: Mapped[Recorded]
    used_at: Mapped[datetime | None]
    used_key: Mapped[str | None] = mapped_column(String(64), index=True)


class ProviderIdentity(Base):
    """A person at an identity provider: the provider and its subject, never an e-mail address."""

    __tablename__ = "provider_identities"

    issuer: Mapped[str] = mapped_column(String(400), primary_key=True)
    subject: Mapped[str] = mapped_column(String(255), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    linked_by: Mapped[str] = mapped_column(String(32))
    linked_at: Mapped[Recorded]


class ProviderVisit(Base):
    """A browser that went to the identity provider; used once. `state` and `holder` are digests of what the browser
    carries. `user_id`: whom the identity is linked to on return, because the person is signed in; `invitation`: digest
    of the invitation that says it instead. Without both the person signs in."""

    __tablename__ = "provider_visits"
    __table_args__ = (Index("ix_provider_visits_expires_at", "expires_at"),)

    state: Mapped[str] = mapped_column(String(64), primary_key=True)
    holder: Mapped[str] = mapped_column(String(64))
    nonce: Mapped[str] = mapped_column(String(64))
    verifier: Mapped[str] = mapped_column(Encrypted("provider_visits.verifier"))
    next_page: Mapped[str] = mapped_column(String(400))
    user_id: Mapped[str | None] = mapped_column(ForeignKey("users.id"))
    invitation: Mapped[str | None] = mapped_column(String(64))
    expires_at: Mapped[datetime]


class ProviderInvitation(Base):
    """An invitation to link a login to an identity, used once; only a digest of its token is stored."""

    __tablename__ = "provider_invitations"

    token_digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    invited_by: Mapped[str] = mapped_column(String(32))
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
