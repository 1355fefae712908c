"""Problems as HTTP answers: `application/problem+json` (RFC 9457)."""

from __future__ import annotations

import msgspec

from ..model import Problem
from .exchange import Exchange, Plan
from .response import Headers, Response

__all__ = ["problem_response", "refusal"]


def problem_response(problem: Problem, extra: Headers = ()) -> Response:
    """The answer that reports a problem to the client."""
    headers = [("Content-Type", "application/problem+json"), ("Cache-Control", "no-store")]
    if problem.allow:
        headers.append(("Allow", problem.allow))
    if problem.accept_patch:
        headers.append(("Accept-Patch", problem.accept_patch))
    if problem.accept_encoding:
        headers.append(("Accept-Encoding", problem.accept_encoding))
    if problem.etag:
        headers.append(("ETag", f'"{problem.etag}"'))
    if problem.websocket_version:
        headers.append(("Sec-WebSocket-Version", problem.websocket_version))
    if problem.retry_after:
        headers.append(("Retry-After", str(problem.retry_after)))
    return Response(
        problem.status, (*headers, *extra), msgspec.json.encode(problem.members()) + b"\n"
    )


def refusal(problem: Problem) -> Plan:
    """The plan that answers a problem, whatever the body."""
    response = problem_response(problem)

    def refuse(exchange: Exchange, body: bytes) -> None:
        exchange.respond(response)

    return Plan(refuse)
