"""The program's processes as an operator starts them: `python -m tests.flows.launch serve | worker`."""

import sys

import uvicorn
import uvloop

from app import logs, worker
from app.main import create_app
from app.settings import Settings


def main(process: str) -> None:
    """Run until the process is told to stop. The settings come from the environment."""
    settings = Settings(_env_file=None)
    logs.configure(settings.log_level, settings.log_format)
    if process == "worker":
        uvloop.run(worker.run(settings))
        return
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http="httptools",
        log_config=None,
        access_log=False,
    )


if __name__ == "__main__":
    main(sys.argv[1])
