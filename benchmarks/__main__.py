"""Run every benchmark, one after the other: `python -m benchmarks [name ...]`; a table at the end.

Each prints one JSON line per result as it comes. Run it on an idle machine.
"""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
WITHIN_SECONDS = 600
NAMING = ("benchmark", "implementation", "engine", "database", "variant", "tasks")


def main(wanted: list[str]) -> int:
    """Run those wanted, or all; 1 when one of them failed."""
    known = sorted(path.stem for path in HERE.glob("*.py") if not path.stem.startswith("_"))
    if unknown := set(wanted) - set(known):
        print(f"no benchmark {', '.join(sorted(unknown))}: there are {', '.join(known)}", file=sys.stderr)
        return 2
    results: list[dict[str, Any]] = []
    failed: list[str] = []
    for name in wanted or known:
        try:
            results += _run(name)
        except subprocess.CalledProcessError as error:
            failed.append(f"{name}: exit status {error.returncode}")
    print(_table(results))
    for each in failed:
        print(f"FAILED {each}", file=sys.stderr)
    return 1 if failed else 0


def _run(name: str) -> Iterator[dict[str, Any]]:
    command = [sys.executable, "-m", f"benchmarks.{name}"]
    with subprocess.Popen(command, cwd=HERE.parent, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        watch = threading.Timer(WITHIN_SECONDS, process.kill)  # also of one that hangs and prints nothing
        watch.start()
        try:
            for line in process.stdout:
                print(line, end="", flush=True)
                if line.startswith("{"):
                    yield json.loads(line)
            status = process.wait()
        finally:
            watch.cancel()
    if status:
        raise subprocess.CalledProcessError(status, command)


def _table(results: list[dict[str, Any]]) -> str:
    rows = [(_name(result), _figures(result)) for result in results]
    width = max((len(name) for name, _ in rows), default=0)
    return "\n".join(f"{name:<{width}}  {figures}" for name, figures in rows)


def _name(result: dict[str, Any]) -> str:
    return ", ".join(str(result[key]) for key in NAMING if key in result)


def _figures(result: dict[str, Any]) -> str:
    """Everything that is not a name, the value with its unit first."""
    first = f"{result['value']} {result.get('unit', '')}  " if "value" in result else ""
    others = {key: value for key, value in result.items() if key not in (*NAMING, "value", "unit")}
    return first + "  ".join(f"{key}={value}" for key, value in others.items() if not isinstance(value, dict))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
