"""The refusal of a worked example that the engine cannot express."""


class Unsupported(Exception):
    """The engine cannot express a kind, a parameter or a value; the text names it. `field`: the innermost field, as
    the case writes it; it is what `got` shows."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field
