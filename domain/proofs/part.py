"""The base of every part of a proof sheet."""

from typing import Any, Final

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

_LATER: Final = ("figures", "subject", "point")


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_serializer(mode="wrap")
    def _without_unused(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leaves the later field out where it is not used, as in earlier sheets."""
        return {name: value for name, value in serialize(self).items() if value is not None or name not in _LATER}
