"""The commands and their options. Exit codes: 0 done, 1 failed, 2 wrong usage."""

import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer

from antiphon.errors import AntiphonError

app = typer.Typer(
    name="antiphon",
    help="AI assistants that people talk to in real time, from anywhere.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

ConfigFile = Annotated[Path | None, typer.Option("--config", help="Settings file; antiphon.yaml when there is one.")]
Host = Annotated[str | None, typer.Option(help="Address to listen on.")]
Port = Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks and debug lines.")]


@app.command()
def serve(host: Host = None, port: Port = None, config: ConfigFile = None, debug: Debug = False) -> None:
    """Serve the page, the API and the sockets on one port."""
    from antiphon.cli.serve import serve as run

    run(config, host=host, port=port, debug=debug)


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


@app.command("demo-server")
def demo_server(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 4010,
    rate: Annotated[
        float | None, typer.Option(min=0.1, help="Tokens a second; as fast as possible when not given.")
    ] = None,
) -> None:
    """Serve the demo model over the OpenAI protocol, for tests and experiments."""
    from antiphon.cli.demo_server import demo_server as run

    run(host, port, rate)


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
