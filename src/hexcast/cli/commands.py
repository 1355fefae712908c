"""The commands and their options. What they do is in modules of their own, imported when run, so
that `hexcast --help` comes at once."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from .. import __version__
from ..settings import Settings
from .options import with_settings

if TYPE_CHECKING:
    from ..client import Verb

__all__ = ["app"]

app = typer.Typer(
    help="Keeps open web pages current: publish a change once, every client gets just that change.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_DEFAULTS = Settings()

Url = Annotated[
    str,
    typer.Option("--url", envvar="HEXCAST_URL", help="The server.", metavar="URL"),
]
Ca = Annotated[
    str | None,
    typer.Option(
        "--ca",
        envvar="HEXCAST_CA",
        metavar="FILE",
        help="Trust the certificates in this PEM file, in place of the system's.",
    ),
]
Insecure = Annotated[
    bool, typer.Option("--insecure", help="Take whatever certificate the server shows.")
]
DEFAULT_URL = f"http://{_DEFAULTS.host}:{_DEFAULTS.port}"

_TOKEN_NOTE = "HEXCAST_TOKEN, if set, is sent as the token."


class Way(StrEnum):
    """What `--way` takes."""

    AUTO = "auto"
    SSE = "sse"
    WEBSOCKET = "websocket"
    LONG_POLL = "long-poll"
    POLL = "poll"
    REFRESH = "refresh"
    PUSH = "push"


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"hexcast {__version__}")
        raise typer.Exit


@app.callback()
def hexcast(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Keeps open web pages current: publish a change once, every client gets just that change."""


@app.command()
@with_settings
def serve(settings: Settings) -> int:
    """Serve topics until SIGTERM or SIGINT.

    Settings come from the command line, else from the environment, else from the file of --config.
    """
    from .serve import serve

    return serve(settings)


@app.command()
@with_settings
def demo(settings: Settings) -> int:
    """Serve this machine's live figures.

    Publishes processors, memory, disk and network as states under machine/ each second, and what
    changes notably as the stream machine/events.
    """
    from .demo.demo import demo

    return demo(settings)


@app.command(epilog=_TOKEN_NOTE)
def pub(
    topic: Annotated[str, typer.Argument(help="Where to publish.")],
    data: Annotated[
        str | None,
        typer.Argument(help="What to publish. Without it: standard input, a record a line."),
    ] = None,
    put: Annotated[
        bool, typer.Option("--put", help="Set a state's value; else a stream's next record.")
    ] = False,
    patch: Annotated[
        bool, typer.Option("--patch", help="Change a state's JSON value by a merge patch.")
    ] = False,
    append: Annotated[
        bool, typer.Option("--append", help="Add to a state's text; of input, lines as lines.")
    ] = False,
    end: Annotated[
        bool, typer.Option("--end", help="Mark the (last) record as the topic's last for now.")
    ] = False,
    event: Annotated[
        str | None, typer.Option(metavar="NAME", help="The event's name, for EventSource.")
    ] = None,
    type: Annotated[
        str | None,
        typer.Option(metavar="TYPE", help="Content type; else JSON, text or octets by the data."),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            help="Idempotency key: the same again publishes nothing. For lines, KEY-1, KEY-2, …",
        ),
    ] = None,
    url: Url = DEFAULT_URL,
    ca: Ca = None,
    insecure: Insecure = False,
) -> None:
    """Publish DATA, or the lines of standard input.

    Each line goes out as it comes, as a record of its own; all are acknowledged. Of a single record
    the id is printed. Exits with 1 when anything was refused.
    """
    from ..client import Trust
    from ..model import Problem, check_event
    from .pub import Publication, pub

    if put + patch + append > 1:
        raise typer.BadParameter("one of --put, --patch and --append")
    if event is not None:
        try:
            check_event(event)
        except Problem as problem:
            raise typer.BadParameter(problem.detail, param_hint="--event") from None
    op: Verb = "put" if put else "patch" if patch else "append" if append else "post"
    publication = Publication(topic, op, event, type, key, end)
    raise typer.Exit(pub(url, publication, data, Trust(ca, insecure)))


@app.command(epilog=_TOKEN_NOTE)
def sub(
    topics: Annotated[
        list[str], typer.Argument(metavar="TOPIC…", help="Topics, or patterns such as 'a/*'.")
    ],
    way: Annotated[
        Way, typer.Option(help="How to receive; auto takes the best that gets through.")
    ] = Way.AUTO,
    since: Annotated[
        str | None,
        typer.Option(metavar="CURSOR", help="Begin after this id, or with: earliest, now."),
    ] = None,
    last: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Begin with each stream's newest N.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print each record as JSON.")] = False,
    url: Url = DEFAULT_URL,
    ca: Ca = None,
    insecure: Insecure = False,
) -> None:
    """Follow topics: a line for each record.

    Goes on until the topic ends; page refresh cannot tell that it has. Comes back with its cursor
    when the connection is lost, so that no record is lost with it.
    """
    from ..client import Trust
    from ..model import parse_cursor
    from .sub import sub

    if since is not None:
        try:
            parse_cursor(since)
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--since") from None

    trust = Trust(ca, insecure)
    raise typer.Exit(sub(url, topics, way.value, since=since, last=last, json=json, trust=trust))


bench = typer.Typer(help="Measure.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(bench, name="bench")


@bench.callback()
def _bench() -> None:
    """Measure this machine's Hexcast."""


@bench.command()
def ways(
    seconds: Annotated[float, typer.Option(min=6, max=600, help="How long, in all.")] = 21.0,
    rate: Annotated[float, typer.Option(min=0.2, max=200, help="Changes a second.")] = 5.0,
    size: Annotated[int, typer.Option(min=200, max=262_144, help="Bytes of the value.")] = 12_288,
    every: Annotated[
        float, typer.Option(min=1, max=30, help="Seconds between polls, and refreshes.")
    ] = 2.0,
) -> None:
    """The six ways side by side: what /lab shows, as a table.

    Starts a server of its own and a client for each way; sends a third of the time the page, the
    whole value, and only the change.
    """
    from .bench.bench import Wanted, bench_ways

    raise typer.Exit(bench_ways(Wanted(seconds, rate, size, every)))
