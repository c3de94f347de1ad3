"""The settings: where they are read from, and errors that name the variable and the remedy."""

import pytest
from pydantic import ValidationError

from app.settings import PREFIX, BadSettings, Settings, read_settings, unknown_variables


@pytest.fixture(autouse=True)
def empty(monkeypatch, tmp_path):
    """An environment without settings of ours, in a folder without .env."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"{PREFIX}{name.upper()}", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def put(monkeypatch):
    def put(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(PREFIX + name, str(value))

    return put


def test_nothing_needs_to_be_set():
    settings = read_settings()

    assert (settings.port, settings.uses_sqlite, settings.works_inside) == (8000, True, True)
    assert settings.link_url == settings.public_url


def test_every_setting_says_what_it_is():
    silent = [name for name, field in Settings.model_fields.items() if not field.description]

    assert silent == []


def test_a_value_may_stand_in_a_file(put, tmp_path):
    (tmp_path / "key").write_text(f"{'k' * 40}\n", "utf-8")
    (tmp_path / "proxies").write_text("10.0.0.1, 10.1.0.0/16\n", "utf-8")

    put(SECRET_KEY_FILE=tmp_path / "key", TRUSTED_PROXIES_FILE=tmp_path / "proxies")

    settings = read_settings()
    assert settings.secret_key is not None
    assert settings.secret_key.get_secret_value() == "k" * 40
    assert settings.trusted_proxies == ["10.0.0.1", "10.1.0.0/16"]


def test_the_file_may_be_named_in_dotenv(tmp_path):
    (tmp_path / "key").write_text("k" * 40, "utf-8")
    (tmp_path / ".env").write_text(f"PASSBELL_SECRET_KEY_FILE={tmp_path}/key\nPASSBELL_PORT=9000\n", "utf-8")

    settings = read_settings()

    assert (settings.port, settings.secret_key is not None) == (9000, True)


def test_the_environment_goes_before_dotenv(put, tmp_path):
    (tmp_path / ".env").write_text("PASSBELL_PORT=9000\n", "utf-8")
    put(PORT="9001")

    assert read_settings().port == 9001


def test_a_missing_file_is_an_error_that_names_the_variable_and_the_file(put, tmp_path):
    put(SECRET_KEY_FILE=tmp_path / "nowhere")

    with pytest.raises(BadSettings, match=r"PASSBELL_SECRET_KEY_FILE: \S+/nowhere cannot be read: No such"):
        read_settings()


def test_a_file_of_bytes_is_an_error_that_names_the_variable(put, tmp_path):
    (tmp_path / "key").write_bytes(b"\xff\xfe")
    put(SECRET_KEY_FILE=tmp_path / "key")

    with pytest.raises(BadSettings, match=r"PASSBELL_SECRET_KEY_FILE: .* is not UTF-8 text"):
        read_settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "many"),
        ("PORT", "65536"),
        ("PUBLIC_URL", "cards.example.com"),
        ("SHORT_URL", "ftp://x"),
        ("DATABASE_URL", "mysql://x"),
        ("SECRET_KEY", "c4n4ry"),
        ("MODE", "c4n4ry"),
        ("SMS_PROVIDER", "c4n4ry"),
        ("TRUSTED_PROXIES", "10.0.0.1,proxy.example.com"),
        ("BODY_LIMIT_BYTES", "0"),
        ("BODY_DEADLINE_SECONDS", "0"),
        ("PROOF_OF_WORK_COST", "-1"),
        ("SMS_SPEND_LIMIT_PER_DAY", "0"),
        ("WORKER", "perhaps"),
    ],
)
def test_a_bad_value_names_the_variable_and_does_not_repeat_a_secret(put, name, value):
    put(**{name: value})

    with pytest.raises(BadSettings) as caught:
        read_settings()

    assert str(caught.value).startswith(f"PASSBELL_{name}: ")
    assert "\n" not in str(caught.value)
    assert "c4n4ry" not in str(caught.value)


def test_a_bad_secret_stands_in_no_error_of_the_class_itself():
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({"secret_key": "c4n4ry", "mode": "c4n4ry"})

    assert "c4n4ry" not in str(caught.value)


def test_all_bad_values_are_named_at_once(put):
    put(PORT="many", MODE="x")

    with pytest.raises(BadSettings, match=r"(?s)PASSBELL_PORT: .*\nPASSBELL_MODE: "):
        read_settings()


def test_an_empty_variable_is_as_good_as_none(put):
    put(PORT="", SECRET_KEY="", SHORT_URL="", TRUSTED_PROXIES="")

    assert read_settings() == Settings(_env_file=None)


def test_a_variable_that_sets_nothing_is_found_with_what_it_may_mean():
    names = ["PASSBELL_PROT", "PASSBELL_APNS_KEYID", "PASSBELL_QWERTZUIOP", "PASSBELL_PORT", "passbell_port"]
    others = ["PASSBELL_SECRET_KEY_FILE", "PASSBELL_TEST_POSTGRES_URL", "PATH"]

    assert unknown_variables(names + others) == {
        "PASSBELL_PROT": "PASSBELL_PORT",
        "PASSBELL_APNS_KEYID": "PASSBELL_APNS_KEY_ID",
        "PASSBELL_QWERTZUIOP": None,
    }


def test_a_trailing_slash_of_an_address_is_dropped(put):
    put(PUBLIC_URL="https://cards.example.com/", SHORT_URL="https://ex.ru/")

    assert (read_settings().public_url, read_settings().link_url) == (
        "https://cards.example.com",
        "https://ex.ru",
    )
