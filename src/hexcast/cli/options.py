"""Options made from the Settings record: names, types, defaults and help stand there alone.

Precedence: the command line over the environment (`HEXCAST_PORT`, …) over the TOML file of
`--config` over the defaults. The first two and the last are typer's own; the file's values are
given to it as the defaults of this run (`Context.default_map`).
"""

from __future__ import annotations

import inspect
import tomllib
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import msgspec
import typer

from ..settings import Settings

__all__ = ["check", "explanations", "read_config", "with_settings"]

_TYPES: dict[str, Any] = get_type_hints(Settings)
_METAVARS = {int: "N", float: "SECONDS"}


def with_settings(command: Callable[[Settings], int]) -> Callable[..., None]:
    """Make a command that takes Settings, and gives an exit code, one that takes options."""

    def run(**values: Any) -> None:
        del values["config"]
        given: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in values.items()
        }
        settings = Settings(**given)
        check(settings)
        raise typer.Exit(command(settings))

    parameters = [_config_parameter(), *_parameters()]
    run.__name__ = command.__name__
    run.__doc__ = command.__doc__
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # PEP 362
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _parameters() -> list[inspect.Parameter]:
    help = explanations()
    defaults = Settings()
    parameters = []
    for field in fields(Settings):
        kind = _TYPES[field.name]
        numeric = kind in (int, float)
        name = field.name.replace("_", "-")
        on = kind is bool and getattr(defaults, field.name)
        option = typer.Option(
            f"--{name}/--no-{name}" if on else f"--{name}",
            envvar=f"HEXCAST_{field.name.upper()}",
            help=help[field.name],
            min=0 if numeric else None,
            max=65535 if field.name == "port" else None,
            metavar=None if kind is bool else _METAVARS.get(kind, "TEXT"),
        )
        default = getattr(defaults, field.name)
        if isinstance(default, tuple):
            kind, default = list[str], list(default)
        parameters.append(
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=default,
                annotation=Annotated[kind, option],
            )
        )
    return parameters


def _config_parameter() -> inspect.Parameter:
    option = typer.Option(
        "--config",
        envvar="HEXCAST_CONFIG",
        help="A TOML file of settings, named as these options.",
        metavar="FILE",
        exists=True,
        dir_okay=False,
        is_eager=True,  # before the options whose defaults it sets
        callback=_use_config,
    )
    return inspect.Parameter(
        "config",
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[Path | None, option],
    )


def _use_config(context: typer.Context, path: Path | None) -> Path | None:
    if path is not None:
        try:
            context.default_map = read_config(path)
        except (OSError, ValueError) as error:
            raise typer.BadParameter(str(error), param_hint="--config") from error
    return path


def read_config(path: Path) -> dict[str, Any]:
    """The settings of a TOML file. Raises ValueError that names what is wrong, or OSError."""
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except ValueError as error:  # no TOML, or no UTF-8
        raise ValueError(f"{path}: {error}") from error
    settings = {}
    for given, value in table.items():
        name = given.replace("-", "_")
        if name not in _TYPES:
            raise ValueError(f"{path}: there is no setting {given!r}")
        if name in settings:
            raise ValueError(f"{path}: {given!r} is set twice")
        try:
            settings[name] = msgspec.convert(value, _TYPES[name])
        except msgspec.ValidationError as error:
            raise ValueError(f"{path}: {given}: {error}") from error
    return settings


def check(settings: Settings) -> None:
    """Refuse what no server could mean; what is for the server to judge, it refuses itself.

    Raises typer.BadParameter.
    """
    path = settings.base_path
    if path and (not path.startswith("/") or path.endswith("/")):
        raise typer.BadParameter(
            f"{path!r} does not begin with '/', or ends with it", param_hint="--base-path"
        )


def explanations() -> dict[str, str]:
    """The help text of each setting."""
    return {field.name: field.metadata["help"] for field in fields(Settings)}
