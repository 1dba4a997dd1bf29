"""Values of the environment that stand in files: NAME_FILE names a file that holds the value of NAME.

What belongs here: that rule, for Millrace's own variables and those that Dagster reads by our files. What does not:
which settings there are and what is right for them (`settings`), whose import takes four times as long.
"""

from collections.abc import Mapping, MutableMapping
from pathlib import Path

_SUFFIX = "_FILE"
_PREFIXES = ("MILLRACE_", "DAGSTER_HOME")


class SettingsError(Exception):
    """A setting is missing or wrong. Its text has one line a setting, fit to be printed."""


def with_files(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment with the values that stand in files, and without the names of the files.

    A line end at the end of a file does not belong to the value. An empty file is a setting that is not set.

    Raises:
        SettingsError: one line for each file that cannot be read and each setting that is there twice.
    """
    named = {name: place for name, place in environment.items() if _names_a_file(name)}
    found = {name: value for name, value in environment.items() if name not in named}
    complaints: list[str] = []
    for name, place in named.items():
        setting = name.removesuffix(_SUFFIX)
        if not place:
            continue
        if found.get(setting):
            complaints.append(f"{setting}: is set, and {name} is set too; one of them is enough")
            continue
        try:
            found[setting] = _read(Path(place))
        except ValueError as error:
            complaints.append(f"{name}: {error}; for example {name}=/run/secrets/{setting.lower()}")
    if complaints:
        raise SettingsError("\n".join(complaints))
    return found


def take_files(environment: MutableMapping[str, str]) -> None:
    """Put the values of files into an environment, for what reads it without us, as Dagster does.

    Raises:
        SettingsError: as `with_files`; the environment is as it was.
    """
    found = with_files(environment)
    for name in set(environment) - set(found):
        del environment[name]
    environment.update({name: value for name, value in found.items() if environment.get(name) != value})


def _names_a_file(name: str) -> bool:
    return name.startswith(_PREFIXES) and name.endswith(_SUFFIX)


def _read(path: Path) -> str:
    """The text of a file.

    Raises:
        ValueError: why there is none; it never quotes the file.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not text in UTF-8") from None
    if "\0" in text:
        raise ValueError(f"{path} is not text")
    return text.rstrip("\r\n")
