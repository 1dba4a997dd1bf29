"""Settings that stand in files: the same value, whole, and one clear line when it cannot be had."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestration.dagster_runtime.instance import check_environment, make_home
from orchestration.secret_files import SettingsError, take_files, with_files
from orchestration.settings import PLACES, Settings, load, variable


@pytest.mark.parametrize("field", Settings.model_fields)
def test_every_setting_may_stand_in_a_file(field: str, tmp_path: Path) -> None:
    name, value = variable(field), str((Settings.model_fields[field].examples or [""])[0])
    if field == "funnel":  # it is read at once
        value = str(tmp_path / "funnel.toml")
        Path(value).write_text('[[step]]\nname = "in"\ntype = "login"\n')
    email = {"MILLRACE_ALERT_SMTP_HOST": "h:25", "MILLRACE_ALERT_EMAIL_FROM": "a@b"}
    others = {other: given for other, given in {**PLACES, **email}.items() if other != name}
    (tmp_path / "value").write_text(f"{value}\n")
    in_a_file = load({**others, f"{name}_FILE": str(tmp_path / "value")})
    assert in_a_file == load({**others, name: value})


@pytest.mark.parametrize("name", ["DAGSTER_HOME", "MILLRACE_CODE_SERVER_HOST", "MILLRACE_CODE_SERVER_PORT"])
def test_what_dagster_reads_may_stand_in_a_file_too(name: str, tmp_path: Path) -> None:
    (tmp_path / "value").write_text("/some value\r\n")
    environment = {f"{name}_FILE": str(tmp_path / "value"), "PATH": "/bin"}
    take_files(environment)
    assert environment == {name: "/some value", "PATH": "/bin"}


def test_only_the_line_end_at_the_end_is_not_part_of_the_value(tmp_path: Path) -> None:
    (tmp_path / "value").write_text(" a\nb \n")
    assert with_files({"MILLRACE_X_FILE": str(tmp_path / "value")}) == {"MILLRACE_X": " a\nb "}


def test_a_setting_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "value").write_text("8")
    with pytest.raises(SettingsError, match=r"^MILLRACE_LANES: is set, and MILLRACE_LANES_FILE is set too"):
        load({**PLACES, "MILLRACE_LANES": "7", "MILLRACE_LANES_FILE": str(tmp_path / "value")})


def test_an_empty_one_counts_as_not_set(tmp_path: Path) -> None:
    (tmp_path / "eight").write_text("8")
    (tmp_path / "empty").write_text("\n")
    assert load({**PLACES, "MILLRACE_LANES": "", "MILLRACE_LANES_FILE": str(tmp_path / "eight")}).lanes == 8
    assert load({**PLACES, "MILLRACE_LANES": "7", "MILLRACE_LANES_FILE": ""}).lanes == 7
    assert load({**PLACES, "MILLRACE_LANES_FILE": str(tmp_path / "empty")}).lanes == 2


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "cannot be read: No such file"), (b"s3cret\xff", "not text in UTF-8"), (b"s3cret\0", "not text")],
)
def test_a_file_that_cannot_be_used_is_one_line_without_its_content(
    content: bytes | None, said: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "value").write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        load({**PLACES, "MILLRACE_ANALYST_PASSWORD_FILE": str(tmp_path / "value")})
    [line] = str(caught.value).splitlines()
    assert line.startswith(f"MILLRACE_ANALYST_PASSWORD_FILE: {tmp_path / 'value'} ")
    assert said in line
    assert "s3cret" not in line


def test_every_command_reads_them_before_its_own_options(tmp_path: Path) -> None:
    arguments = [sys.executable, "-m", "orchestration.cli", "health", "code-server"]
    (tmp_path / "port").write_text("1\n")
    environment = {**os.environ, "MILLRACE_CODE_SERVER_PORT_FILE": str(tmp_path / "port")}
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "127.0.0.1:1" in done.stderr
    (tmp_path / "port").unlink()
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "MILLRACE_CODE_SERVER_PORT_FILE" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_dagster_home_that_is_missing_or_empty_is_made_and_any_other_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes").touch()
    for home in (tmp_path / "a" / "b", tmp_path / "empty"):
        make_home({"DAGSTER_HOME": str(home)})
        check_environment({"DAGSTER_HOME": str(home)}, code_server=False)
    make_home({"DAGSTER_HOME": str(tmp_path / "mine")})
    with pytest.raises(SettingsError, match="expected an absolute path of a folder with"):
        check_environment({"DAGSTER_HOME": str(tmp_path / "mine")}, code_server=False)
    with pytest.raises(SettingsError, match="cannot be made"):
        make_home({"DAGSTER_HOME": str(tmp_path / "mine" / "notes" / "home")})
