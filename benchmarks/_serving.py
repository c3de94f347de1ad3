"""The web process the benchmarks measure: `passbell serve` that prints its port first."""

import socket

import uvicorn

from app import logs
from app.cli.serve import collect_rarely, serving_config
from app.main import create_app
from app.settings import Settings


def main() -> None:
    settings = Settings()
    logs.configure(settings.log_level, "json")  # to standard error: nobody empties the pipe of the port
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    config = serving_config(settings, create_app(settings))
    collect_rarely()
    uvicorn.Server(config).run([listener])


if __name__ == "__main__":
    main()
