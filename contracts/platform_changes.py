"""The activity of workflow `PlatformChange`."""

from temporalio import activity

from contracts.messages import Message, PlatformChangeStart


class PlatformChangeStatus(Message):
    state: str


@activity.defn(name="platform_changes.take_step")
async def take_step(start: PlatformChangeStart) -> PlatformChangeStatus:
    """Takes the next step of a change, as the record has it. Returns the same state when somebody else is to act, or
    the venue is not ready."""
    raise NotImplementedError
