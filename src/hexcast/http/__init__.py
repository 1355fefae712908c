"""Connections: HTTP/1.1, HTTP/2, TLS and WebSocket frames. This room knows no topics.

Begin with `exchange`: one request and its answer, the only thing that the rooms below see of a
connection. `h1`, `h2` and `tls` each have a connection, its exchanges and their parts; `detect`
picks among them by the first bytes. `negotiate` reads what a request accepts, `compression`
encodes bodies.
"""

from .compression import BODY_PAYS, STREAMS, code, compressible, digest
from .context import ServerContext
from .decoding import Decoder, body_coding, decode_body
from .detect import ProtocolDetector
from .exchange import Body, Exchange, Frame, Handler, Plan, Tunnel, plain
from .h1.parser import MessageReader
from .negotiate import (
    STREAM_CODINGS,
    accepted_codings,
    accepts,
    available_dictionary,
    entity_tags,
    pattern_of,
    prefers_html,
    revalidates,
    wait_preference,
)
from .problems import problem_response, refusal
from .request import Request
from .response import Headers, Preload, Response, head_block
from .tls.context import Tls, dev_certificate
from .tls.transport import TlsTransport
from .websocket import frames

__all__ = [
    "BODY_PAYS",
    "STREAMS",
    "STREAM_CODINGS",
    "Body",
    "Decoder",
    "Exchange",
    "Frame",
    "Handler",
    "Headers",
    "MessageReader",
    "Plan",
    "Preload",
    "ProtocolDetector",
    "Request",
    "Response",
    "ServerContext",
    "Tls",
    "TlsTransport",
    "Tunnel",
    "accepted_codings",
    "accepts",
    "available_dictionary",
    "body_coding",
    "code",
    "compressible",
    "decode_body",
    "dev_certificate",
    "digest",
    "entity_tags",
    "frames",
    "head_block",
    "pattern_of",
    "plain",
    "prefers_html",
    "problem_response",
    "refusal",
    "revalidates",
    "wait_preference",
]
