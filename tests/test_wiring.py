"""The installation's secret: made once, by whichever process starts first, and never lost unnoticed."""

import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.settings import Settings
from app.wiring import BadSecretKey, load_secret_key

PROCESSES = 8


def test_processes_that_start_at_once_have_one_secret(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, _env_file=None)
    at_once = threading.Barrier(PROCESSES)

    def start(_number: int) -> bytes:
        at_once.wait()
        return load_secret_key(settings)

    with ThreadPoolExecutor(PROCESSES) as threads:
        secrets = set(threads.map(start, range(PROCESSES)))

    (secret,) = secrets
    assert len(secret) == 64
    assert [each.name for each in tmp_path.iterdir()] == ["secret_key"]
    assert stat.S_IMODE((tmp_path / "secret_key").stat().st_mode) == 0o600


def test_a_secret_that_was_lost_is_not_replaced_by_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "secret_key").touch()

    with pytest.raises(BadSecretKey, match="restore it from a backup"):
        load_secret_key(Settings(data_dir=tmp_path, _env_file=None))
