"""The base of every part of a proof sheet."""

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class GrownPart(Part):
    """A part with a field that came later: `later`. Unused, it is left out, as in earlier sheets."""

    later: ClassVar[str]

    @model_serializer(mode="wrap")
    def _without_unused(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data: dict[str, Any] = serialize(self)
        if data[self.later] is None:
            del data[self.later]
        return data
