"""Requests over HTTP with httpx: every one with a deadline, a size limit, and errors of our own."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass

import httpx

from .. import __version__
from .encoding import base_url
from .errors import ConnectionFailed, ProtocolError, Refused
from .tls import Trust

__all__ = ["Answer", "Transport", "connection_errors"]

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 30.0
ANSWER_BYTES = 64 * 2**20

# A server sends something on every stream at least every 15 s. After two such spans and a little
# for the network, a silent connection is a dead one.
SILENCE_SECONDS = 32.0

# The first bytes of a stream come at once, unless something in between holds them back.
FIRST_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport:
    """The connections of one client to one server."""

    def __init__(self, url: str, token: str | None = None, trust: Trust | None = None) -> None:
        """Raises ValueError where `url`, or the file that `trust` names, cannot be used."""
        self.url = base_url(url)
        self.trust = trust or Trust()
        self.headers = {"User-Agent": f"hexcast/{__version__}"}
        if token is not None:
            self.headers["Authorization"] = f"Bearer {token}"
        self._http = httpx.AsyncClient(
            headers=self.headers,
            verify=self.trust.context() if self.url.startswith("https:") else False,
            timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
            # A subscription holds its connection for as long as it lives: they must not wait for
            # each other.
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
        )

    async def request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        seconds: float = ANSWER_SECONDS,
    ) -> Answer:
        """Send a request and read the whole answer, whatever its status.

        Raises ConnectionFailed when that takes longer than `seconds`, ProtocolError when the answer
        is larger than 64 MiB.
        """
        with connection_errors(self.url):
            async with (
                asyncio.timeout(seconds + CONNECT_SECONDS),
                self._http.stream(
                    method,
                    self.url + path,
                    headers=headers,
                    content=body,
                    timeout=httpx.Timeout(seconds, connect=CONNECT_SECONDS),
                ) as response,
            ):
                return Answer(response.status_code, response.headers, await _read(response))

    @asynccontextmanager
    async def stream(
        self, path: str, *, headers: Mapping[str, str]
    ) -> AsyncIterator[tuple[Answer, AsyncIterator[bytes]]]:
        """GET an answer that stays open: its head, and its bytes as they come.

        Raises Refused for an error status, ConnectionFailed when nothing comes for
        `SILENCE_SECONDS` or the connection breaks.
        """
        request = self._http.build_request(
            "GET",
            self.url + path,
            headers=headers,
            timeout=httpx.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS),
        )
        with connection_errors(self.url):
            async with asyncio.timeout(CONNECT_SECONDS + FIRST_SECONDS):
                response = await self._http.send(request, stream=True)
            async with aclosing(response):
                if response.status_code >= 400:
                    async with asyncio.timeout(ANSWER_SECONDS):
                        body = await _read(response)
                    raise Refused.from_response(response.status_code, response.headers, body)
                kind = response.headers.get("content-type", "").partition(";")[0].strip()
                if response.status_code != 204 and kind != "text/event-stream":
                    raise ProtocolError(
                        f"status {response.status_code} and {kind or 'no content type'} "
                        "in place of an event stream"
                    )
                async with aclosing(_prompt(response)) as pieces:
                    yield Answer(response.status_code, response.headers, b""), pieces

    async def aclose(self) -> None:
        """Close what is open."""
        await self._http.aclose()


async def _prompt(response: httpx.Response) -> AsyncGenerator[bytes, None]:
    """The body's pieces, of which the first must come soon."""
    pieces = response.aiter_bytes()
    async with asyncio.timeout(FIRST_SECONDS):
        first = await anext(pieces, b"")
    if first:
        yield first
        async for piece in pieces:
            yield piece


async def _read(response: httpx.Response) -> bytes:
    body = bytearray()
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > ANSWER_BYTES:
            raise ProtocolError(f"the answer is larger than {ANSWER_BYTES} bytes")
    return bytes(body)


@contextmanager
def connection_errors(url: str, *, reached: bool = True) -> Iterator[None]:
    """Turn what the network and the libraries raise into ConnectionFailed or ProtocolError.

    `reached` says whether there is a connection already.
    """
    try:
        yield
    except httpx.ConnectError as error:
        _check_trust(url, error)
        raise ConnectionFailed(f"cannot reach {url}: {_cause(error)}", reached=False) from error
    except httpx.ConnectTimeout as error:
        raise ConnectionFailed(f"cannot reach {url} in time", reached=False) from error
    except httpx.TimeoutException as error:
        raise ConnectionFailed(f"{url} does not answer in time") from error
    except (httpx.DecodingError, httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
        raise ProtocolError(f"{url}: {_cause(error)}") from error
    except httpx.TransportError as error:
        raise ConnectionFailed(f"the connection to {url} broke: {_cause(error)}") from error
    except TimeoutError as error:
        text = f"{url} does not answer in time" if reached else f"cannot reach {url} in time"
        raise ConnectionFailed(text, reached=reached) from error
    except OSError as error:
        _check_trust(url, error)
        text = f"the connection to {url} broke" if reached else f"cannot reach {url}"
        raise ConnectionFailed(f"{text}: {_cause(error)}", reached=reached) from error


def _check_trust(url: str, error: BaseException) -> None:
    """Raise ProtocolError for a certificate that is not trusted: trying again is of no use."""
    deepest = _deepest(error)
    if isinstance(deepest, ssl.SSLCertVerificationError):
        raise ProtocolError(
            f"the certificate of {url} is not trusted: {deepest.verify_message}"
        ) from error


def _deepest(error: BaseException) -> BaseException:
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return error.exceptions[0] if isinstance(error, ExceptionGroup) else error


def _cause(error: BaseException) -> str:
    """The plainest words at the bottom of an error: what the system said, where it said it."""
    deepest = _deepest(error)
    if isinstance(deepest, ssl.SSLError):  # its number is the TLS library's, not the system's
        return (deepest.reason or str(deepest)).replace("_", " ").lower()
    if isinstance(deepest, OSError) and deepest.errno is not None and deepest.errno > 0:
        return os.strerror(deepest.errno)
    return str(error) or type(error).__name__
