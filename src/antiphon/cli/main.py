"""The commands and their options. Exit codes: 0 done, 1 failed, 2 wrong usage."""

import sys
import traceback
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from antiphon import __version__
from antiphon.cli.options import AsJson, ConfigFile, Debug, EvalOptions, FinetuneOptions, ReplayOptions, taking
from antiphon.errors import AntiphonError

app = typer.Typer(
    name="antiphon",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Host = Annotated[str | None, typer.Option(help="Address to listen on.")]
Port = Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")]


def _say_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"antiphon {__version__}")
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Say which version this is.")
]


class Action(StrEnum):
    """What `antiphon config` does."""

    show = "show"
    check = "check"


@app.callback()
def antiphon(version: Version = False) -> None:
    """AI assistants that people talk to in real time, from anywhere."""


@app.command()
def serve(
    host: Host = None,
    port: Port = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=256, help="Processes that share the port; needs PostgreSQL and Redis.")
    ] = None,
    config: ConfigFile = None,
    debug: Debug = False,
) -> None:
    """Serve the page, the API and the sockets on one port."""
    from antiphon.cli.serve import serve as run

    run(config, host=host, port=port, workers=workers, debug=debug)


@app.command()
def chat(
    url: Annotated[str | None, typer.Option(help="A running server, for example http://127.0.0.1:4000.")] = None,
    conversation: Annotated[str | None, typer.Option(help="Id of a conversation to go on with.")] = None,
    assistant: Annotated[str | None, typer.Option(help="Whom to talk to in a new conversation.")] = None,
    config: ConfigFile = None,
    debug: Debug = False,
) -> None:
    """Talk in the terminal, to a running server or to an assistant in this process."""
    from antiphon.cli.chat.run import chat as run

    run(config, url=url, conversation=conversation, assistant=assistant, debug=debug)


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Where to write it; made when it is missing.")] = Path(),
    name: Annotated[
        str | None, typer.Option(help="What the assistant is called; the folder's name when not given.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Which model answers, as provider:model; asked when not given.")
    ] = None,
    database: Annotated[
        str | None, typer.Option(help="Where conversations are kept; a SQLite file when not given.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing and take what is found.")] = False,
) -> None:
    """Begin a project: settings, an assistant with a tool, and how to start them. Nothing is overwritten."""
    from antiphon.cli.init.run import init as run

    run(folder, name=name, model=model, database=database, yes=yes)


@app.command()
def doctor(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Look at everything the house needs, and say what to do where it is not well."""
    from antiphon.cli.doctor.run import doctor as run

    run(config, as_json=as_json)


@app.command("config")
def show_config(
    action: Annotated[
        Action, typer.Argument(help="show: what is set and where; check: what is wrong with it.")
    ] = Action.show,
    config: ConfigFile = None,
    everything: Annotated[bool, typer.Option("--all", help="Defaults too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show every setting with its source, or check them all."""
    from antiphon.cli.config import config as run

    run(config, action.value, everything=everything, as_json=as_json)


@app.command()
def plugins(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """List the plugins that can be switched on, and those that are."""
    from antiphon.cli.plugins import plugins as run

    run(config, as_json=as_json)


@app.command()
def migrate(
    to: Annotated[
        str | None,
        typer.Option(metavar="REVISION", help="Which schema to go to, also back; the newest when not given."),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; code 1 when something is to be done.")
    ] = False,
    sql: Annotated[bool, typer.Option("--sql", help="Change nothing; print the SQL it takes.")] = False,
    config: ConfigFile = None,
    debug: Debug = False,
) -> None:
    """Bring the database to the schema of this version, or to another one."""
    from antiphon.cli.migrate import migrate as run

    run(config, to=to, check=check, sql=sql, debug=debug)


@app.command()
@taking(ReplayOptions)
def replay(options: ReplayOptions) -> None:
    """Answer a turn that was stored once more, and show both answers. Nothing is stored."""
    from antiphon.cli.replay import replay as run

    run(options)


@app.command("eval")
@taking(EvalOptions)
def evaluate(options: EvalOptions) -> None:
    """Ask a set of questions of one model or several, and check the answers."""
    from antiphon.cli.evaluate import evaluate as run

    run(options)


@app.command()
@taking(FinetuneOptions)
def finetune(options: FinetuneOptions) -> None:
    """Export conversations as examples, and have a vendor train a model with them."""
    from antiphon.cli.finetune import finetune as run

    run(options)


@app.command("demo-server")
def demo_server(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 4010,
    rate: Annotated[
        float | None, typer.Option(min=0.1, help="Tokens a second; as fast as possible when not given.")
    ] = None,
    requests_per_minute: Annotated[
        int | None, typer.Option(min=1, help="Refuse a key beyond that, as vendors do; never when not given.")
    ] = None,
) -> None:
    """Serve the demo model over the protocols of the vendors, for tests and experiments."""
    from antiphon.cli.demo_server import demo_server as run

    run(host, port, rate, requests_per_minute)


def main() -> None:
    """The console script: errors of the house become one sentence."""
    debug = "--debug" in sys.argv
    try:
        app()
    except AntiphonError as error:
        if debug:
            traceback.print_exc()
        sys.stderr.write(f"antiphon: {error.public}\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
