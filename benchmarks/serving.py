"""The web process the benchmarks measure: prints its port, then serves until it is terminated."""

import socket

import uvicorn

from app import logs
from app.main import create_app
from app.settings import Settings


def main() -> None:
    settings = Settings()
    logs.configure(settings.log_level, "json")  # to standard error: nobody empties the pipe of the port
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    config = uvicorn.Config(create_app(settings), log_level="warning", access_log=False)
    uvicorn.Server(config).run([listener])


if __name__ == "__main__":
    main()
