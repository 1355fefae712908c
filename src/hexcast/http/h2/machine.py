"""The `h2` library's state machine, set up for a server that holds many connections."""

from __future__ import annotations

from h2.config import H2Configuration
from h2.connection import H2Connection as H2Machine
from h2.settings import SettingCodes, Settings

__all__ = ["CONFIG", "ENFORCED", "MAX_STREAMS", "OFFERED", "Machine"]

MAX_STREAMS = 128
MAX_HEADER_LIST = 32 * 1024
_LAST_STREAM = 2**31 - 1

CONFIG = H2Configuration(
    client_side=False,
    header_encoding=None,
    # By the state machine, a malformed request would end the connection: `read_request` checks it.
    validate_inbound_headers=False,
    # What is sent is made here, in lower case and without what HTTP/2 forbids (`fields`).
    validate_outbound_headers=False,
    normalize_outbound_headers=False,
)


class Machine(H2Machine):
    """The state machine, with the bounds of a server that holds many connections."""

    DEFAULT_MAX_HEADER_LIST_SIZE = MAX_HEADER_LIST
    MAX_CLOSED_STREAMS = 512


def _settings(streams: int) -> Settings:
    return Settings(
        client=False,
        initial_values={
            SettingCodes.MAX_CONCURRENT_STREAMS: streams,
            SettingCodes.MAX_HEADER_LIST_SIZE: MAX_HEADER_LIST,
            SettingCodes.ENABLE_CONNECT_PROTOCOL: 1,
        },
    )


# Never changed, so all connections share them: a settings object takes five kilobytes.
OFFERED = _settings(MAX_STREAMS)
# A client may not know the limit yet when it opens streams; beyond it a stream is refused (5.1.2),
# for which the state machine would end the connection.
ENFORCED = _settings(_LAST_STREAM)
