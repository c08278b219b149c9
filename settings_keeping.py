"""How long rows are kept. Each setting has a least number of days, and says why when somebody wants fewer."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, model_validator
from pydantic_settings import BaseSettings

Forever = Literal["forever"]


def _least(days: int, why: str) -> AfterValidator:
    def check(value: int) -> int:
        if value < days:
            raise ValueError(f"{value} days are too few. Use {days} or more: {why}")
        return value

    return AfterValidator(check)


class KeepingSettings(BaseSettings):
    """Days, or `forever`. docs/decisions/0010-what-is-kept.md says who reads which table."""

    keep_minute_bars_days: Annotated[int, _least(7, "a wrong price is looked into minute by minute")] | Forever = 60
    keep_hour_bars_days: (
        Annotated[int, _least(60, "charts and `propos rules impact` read them after the minutes")] | Forever
    ) = "forever"
    keep_deals_days: (
        Annotated[int, _least(30, "refunds and last payouts of an ended challenge read them")] | Forever
    ) = "forever"
    keep_snapshots_days: (
        Annotated[int, _least(30, "refunds and last payouts of an ended challenge read them")] | Forever
    ) = "forever"
    keep_inbox_days: (
        Annotated[int, _least(90, "an event that a provider still lists would be taken for a new one")] | Forever
    ) = 400
    keep_outbox_days: (
        Annotated[int, _least(30, "a workflow that a backup brings back gets its messages again")] | Forever
    ) = 90
    keep_idempotency_keys_days: (
        Annotated[int, _least(7, "a request that is repeated after some days must not count twice")] | Forever
    ) = 30
    keep_identity_facts_days: Annotated[int, _least(30, "the accounts of one person are found by them")] | Forever = 400
    keep_exposure_days: Annotated[int, _least(7, "the page of exposure shows a week")] | Forever = 400
    keep_events_days: Annotated[int, _least(7, "an endpoint that failed for days gets what it missed")] | Forever = 90
    keep_sign_ins_days: Annotated[int, _least(1, "limits of sign-ins count them")] | Forever = 90
    keep_mails_days: Annotated[int, _least(30, "an answer to an old mail must find its ticket")] | Forever = 400
    keep_notifications_days: Annotated[int, _least(7, "somebody who was away for a week finds them")] | Forever = 90

    @model_validator(mode="after")
    def _hours_outlast_minutes(self) -> Self:
        hours, minutes = self.keep_hour_bars_days, self.keep_minute_bars_days
        if hours != "forever" and (minutes == "forever" or hours < minutes):
            raise ValueError(
                f"PROPOS_KEEP_HOUR_BARS_DAYS is {hours}, less than PROPOS_KEEP_MINUTE_BARS_DAYS, {minutes}: hours are"
                " made of minutes that are no longer kept"
            )
        return self
