"""The work queue beside the work itself: who has an item, what is put aside, who looks at it, saved filters."""

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from store.models.base import Base, Recorded


class WorkMark(Base):
    """An item of the work queue that somebody has claimed or put aside. Times of the service clock.

    `holder_id` has it until `held_until`. It is put aside until `aside_until`, while its deadline, in market time, is
    `aside_deadline` and its state `aside_state`. `escalated_by` has given it to everybody with `escalated_role`, or to
    `escalated_id`.
    """

    __tablename__ = "work_marks"

    kind: Mapped[str] = mapped_column(String(24), primary_key=True)
    subject_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    holder_id: Mapped[str | None] = mapped_column(ForeignKey("users.id"))
    held_until: Mapped[datetime | None]
    aside_until: Mapped[datetime | None]
    aside_deadline: Mapped[datetime | None]
    aside_state: Mapped[str | None] = mapped_column(String(24))
    escalated_role: Mapped[str | None] = mapped_column(String(16))
    escalated_id: Mapped[str | None] = mapped_column(ForeignKey("users.id"))
    escalated_by: Mapped[str | None] = mapped_column(ForeignKey("users.id"))
    recorded_at: Mapped[Recorded]


class WorkLook(Base):
    """Somebody of the firm has an item of the work queue open. It says who is there, and locks nothing."""

    __tablename__ = "work_looks"

    kind: Mapped[str] = mapped_column(String(24), primary_key=True)
    subject_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), primary_key=True)
    seen_at: Mapped[datetime]


class SavedFilter(Base):
    """A filter of a list that a person keeps under a name. `page`: the list, such as `/queue`. `query`: as in its
    address."""

    __tablename__ = "saved_filters"

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), primary_key=True)
    page: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(60), primary_key=True)
    query: Mapped[str] = mapped_column(String(400))
    recorded_at: Mapped[Recorded]
