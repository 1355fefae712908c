"""The errors of the value room: what was wrong, and where.

Three families, so that a caller can answer each with one status: `Malformed` is input that
cannot be read (400), `LimitExceeded` is input or a result that is too much (413), `PatchConflict`
is a well-formed patch that does not fit the value it was sent to (409).
"""

from __future__ import annotations


class Malformed(ValueError):
    """Input that cannot be read as what it claims to be."""


class MalformedJson(Malformed):
    """Text that is not JSON (RFC 8259) in UTF-8.

    ``offset`` counts bytes from 0; ``line`` and ``column`` count from 1, a column being one
    character. All three name the place of the fault.
    """

    def __init__(self, reason: str, before: str) -> None:
        """``before`` is all the text that precedes the fault."""
        self.reason = reason
        self.offset = len(before.encode())
        self.line = before.count("\n") + 1
        self.column = len(before) - before.rfind("\n")
        super().__init__(
            f"not JSON: {reason} at line {self.line}, column {self.column} (byte {self.offset})"
        )


class MalformedText(Malformed):
    """Text to be appended that is not UTF-8; ``offset`` is the first bad byte's, from 0."""

    def __init__(self, offset: int) -> None:
        self.offset = offset
        super().__init__(f"not UTF-8 text: bad byte at offset {offset}")


class MalformedPatch(Malformed):
    """JSON that is not a JSON patch; ``operation`` is the faulty one's place in it, from 0.

    ``operation`` is None where the fault is in the patch as a whole.
    """

    def __init__(self, reason: str, operation: int | None = None) -> None:
        self.reason = reason
        self.operation = operation
        where = "" if operation is None else f" at operation {operation}"
        super().__init__(f"not a JSON patch: {reason}{where}")


class LimitExceeded(ValueError):
    """A text, or what a patch would make of a value, is beyond one of the `Limits`."""


class TooLarge(LimitExceeded):
    """More bytes than ``limit``."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(f"larger than {limit} bytes")


class TooDeep(LimitExceeded):
    """Objects and arrays nested more than ``limit`` deep.

    ``offset`` is the byte at which the nesting passes the limit, None where the value came out
    of a patch and has no text yet.
    """

    def __init__(self, limit: int, offset: int | None = None) -> None:
        self.limit = limit
        self.offset = offset
        where = "" if offset is None else f" at byte {offset}"
        super().__init__(f"nested more than {limit} deep{where}")


class TooManyMembers(LimitExceeded):
    """More than ``limit`` members and array elements in all."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(f"more than {limit} members and elements")


class TooManyOperations(LimitExceeded):
    """A JSON patch of more than ``limit`` operations."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(f"a JSON patch of more than {limit} operations")


class PatchConflict(ValueError):
    """A JSON patch that does not fit the value.

    ``operation`` is the failed operation's place in the patch, from 0; ``path`` the JSON Pointer
    that failed, as written in the patch.
    """

    def __init__(self, operation: int, op: str, path: str, reason: str) -> None:
        self.operation = operation
        self.path = path
        self.reason = reason
        super().__init__(f'operation {operation} ({op} "{path}"): {reason}')


class FailedTest(PatchConflict):
    """A ``test`` found another value than it asked for."""


class MissingPath(PatchConflict):
    """A path leads to nothing, or through something that has no members."""
