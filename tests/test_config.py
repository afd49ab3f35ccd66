"""The settings: options, variables, documentation, refusals, precedence. (OPS2)"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from twisted.internet.testing import MemoryReactorClock

from docs.settings_table import PAGE, page_with_table
from helix.config import SETTINGS, Config, Setting, SettingError, read_config
from helix.errors import StoreError
from helix.store.opening import open_store
from helix.tap import Options

TWISTD = Path(sys.executable).with_name("twistd")
TIMEOUT = 30.0

OTHER_VALUES = {
    "listen": "tcp:4001",
    "store": "sqlite:other.db",
    "broker": "none",
    "workers": "2",
    "allow-origin": "https://app.example.com",
    "max-joins-per-second": "0.5",
    "base-path": "/helix",
    "frame-ancestors": "https://app.example.com",
    "auth": "jwt:hmac:/etc/helix/secret",
    "oidc-scopes": "openid groups",
    "public-url": "https://flows.example.com",
    "trusted-proxy": "10.0.0.0/8",
    "session-idle-timeout": "2.5",
    "log-format": "json",
    "allow-slow-websocket": "1",
    "management-deletes": "1",
}
"""A value that is not the default, for the settings that don't take 20000."""

each_setting = pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)


def run_twistd(
    directory: Path, *arguments: str, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HELIX_")}
    return subprocess.run(
        [TWISTD, "--nodaemon", "--pidfile=", "helix", *arguments],
        cwd=directory,
        env={**kept, "COLUMNS": "200", **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )


def other_value(setting: Setting) -> str:
    return OTHER_VALUES.get(setting.name, "30000")


def value_of(config: Config, setting: Setting) -> object:
    return getattr(config, setting.attribute)


def parsed(setting: Setting, text: str) -> object:
    values = tuple(map(setting.parse, text.split() if setting.repeatable else [text]))
    return values if setting.repeatable else values[0]


@pytest.fixture(scope="module")
def help_text(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What ``twistd helix --help`` says, with single spaces."""
    shown = run_twistd(tmp_path_factory.mktemp("help"), "--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    return " ".join(shown.stdout.split())


@each_setting
def test_ops2_help_shows_the_option_with_its_variable(help_text: str, setting: Setting) -> None:
    option = f"--{setting.name}" if setting.flag else f"--{setting.name}="
    default = f", default: {setting.default}" if setting.default and not setting.flag else ""
    assert f" {option} {setting.help} [{setting.variable}{default}]" in help_text


def test_ops2_help_shows_no_other_options(help_text: str) -> None:
    shown = set(re.findall(r" --([a-z-]+)=? [A-Z]", help_text))
    assert shown == {setting.name for setting in SETTINGS} | {"help", "version"}


def test_ops2_every_setting_has_its_place_in_the_config() -> None:
    attributes = {attribute.name for attribute in Config.__attrs_attrs__}
    assert attributes == {setting.attribute for setting in SETTINGS}


def test_ops2_documentation_lists_the_settings_as_they_are() -> None:
    """Where it fails, ``python docs/settings_table.py`` writes the page anew."""
    page = PAGE.read_text(encoding="utf-8")
    assert page_with_table(page) == page
    assert all(f"`--{s.name}`<br>`{s.variable}`" in page for s in SETTINGS)


def reason_of(*arguments: str) -> str:
    """What a start ends with whose options or variables can't be."""
    with pytest.raises(SystemExit) as ended:
        Options().parseOptions(arguments)
    return str(ended.value)


@each_setting
def test_ops2_bad_option_ends_the_start_with_one_line(setting: Setting) -> None:
    assert re.fullmatch(rf"twistd helix: .*{setting.name}\b.*", reason_of(f"--{setting.name}=?"))


@each_setting
def test_ops2_bad_variable_ends_the_start_with_one_line(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(setting.variable, "?")
    assert re.fullmatch(
        rf"twistd helix: {setting.variable}: .+ is wanted.*, not ('\?'|what is given)", reason_of()
    )


def test_ops2_that_line_is_all_that_a_start_says(tmp_path: Path) -> None:
    variable = SETTINGS[-1].variable
    for ended in (
        run_twistd(tmp_path, f"--{SETTINGS[0].name}=?"),
        run_twistd(tmp_path, environment={variable: "?"}),
    ):
        assert (ended.returncode, ended.stdout) == (1, "")
        assert re.fullmatch(r"twistd helix: .+\n", ended.stderr)
    assert variable in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--no-such-option"], "no-such-option"),
        (["--max-connections"], "max-connections"),
        (["stray"], "number of arguments"),
        (["--listen=nonsense:1"], "nonsense:1"),
        (["--listen=tcp:port"], "tcp:port"),
        (["--listen=tcp:4000", "--listen="], "--listen"),
    ],
)
def test_ops2_mistaken_command_line_ends_the_start_with_one_line(
    tmp_path: Path, arguments: list[str], names: str
) -> None:
    ended = run_twistd(tmp_path, *arguments)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert re.fullmatch(rf"twistd helix: .*{re.escape(names)}.*\n", ended.stderr)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("max-connections", ["0", "-1", "1000001", "1.5", "", " ", "ten"]),
        ("max-joins-per-second", ["0", "0.09", "100001", "nan", "inf", "-inf", ""]),
        ("listen", ["", " ", "tcp"]),
        (
            "allow-origin",
            [
                "app.example.com",
                "https://",
                "https://a/b",
                "https://a?b",
                "https://a:x",
                "https://*",
                "https://*.",
                "https://a*.b",
                "https://a.*.b",
                "https://*.*.b",
                "https://u@a",
                "https://u:p@*.a",
                "https://a#b",
            ],
        ),
        (
            "allow-host",
            [
                "",
                "a b",
                "https://a",
                "a/b",
                "*a",
                "a.*",
                "a..b",
                "a:x",
                "a:",
                "*:80",
                "u@a",
                "[::1]",
            ],
        ),
        ("oidc-scopes", ["", "profile email", 'openid "x"', "openid\nemail"]),
        (
            "public-url",
            [
                "flows.example.com",
                "http://a",
                "https://a/b",
                "https://a?b",
                "https://u@a",
                "ftp://a",
            ],
        ),
        ("log-format", ["", "JSON", "xml"]),
        ("allow-slow-websocket", ["2", "on"]),
    ],
)
def test_ops2_values_that_cannot_be_are_refused(name: str, values: list[str]) -> None:
    for value in values:
        with pytest.raises(SettingError, match=rf"^--{name}: .+ is wanted.*, not "):
            read_config({name: [value]}, {})


def test_ops2_listening_nowhere_is_refused() -> None:
    with pytest.raises(SettingError, match=r"^--listen: "):
        read_config({}, {"HELIX_LISTEN": " "})


@each_setting
def test_ops2_default_counts_where_nothing_is_said(setting: Setting) -> None:
    assert value_of(read_config({}, {}), setting) == parsed(setting, setting.default)


@each_setting
def test_ops2_variable_counts_before_the_default(setting: Setting) -> None:
    other = other_value(setting)
    assert parsed(setting, other) != parsed(setting, setting.default)
    config = read_config({}, {setting.variable: other})
    assert value_of(config, setting) == parsed(setting, other)


@each_setting
def test_ops2_option_counts_before_the_variable(setting: Setting) -> None:
    other = other_value(setting)
    config = read_config({setting.name: [other]}, {setting.variable: "?"})
    assert value_of(config, setting) == parsed(setting, other)


def test_ops2_repeated_option_keeps_every_value() -> None:
    config = read_config(
        {"listen": ["tcp:1", "unix:/a"]}, {"HELIX_ALLOW_ORIGIN": "https://a  http://b:8000"}
    )
    assert config.listen == ("tcp:1", "unix:/a")
    assert config.allow_origin == ("https://a", "http://b:8000")


def test_ops2_last_of_a_repeated_single_option_counts() -> None:
    assert read_config({"max-connections": ["1", "2"]}, {}).max_connections == 2


MISTYPED = [
    "postgresq://helix:{}@db/helix",
    "postgresql:/helix:{}@db/helix",
    "postgresql//helix:{}@db/helix",
    "POSTGRESQL://helix:{}@db/helix",
    "helix:{}@db/helix",
    "mysql://helix:{}@db/helix",
    "sqlite:postgresql://helix:{}@db/helix",
    "postgresql://helix:{}@db:port/helix",
    "postgresql://helix:{}@@db/helix",
    "postgresql://db/helix?user=helix&password={}&nonsense=1",
    "postgresql://db,db2/helix?user=helix&password={}&port=1,2,3",
    "postgres://helix:{}@db/helix?nonsense=1",
    "memory:{}",
]


@pytest.mark.parametrize("written", MISTYPED)
def test_sec1_mistyped_store_shows_no_password(written: str) -> None:
    def start() -> None:
        store = read_config({"store": [written.format(PASSWORD)]}, {}).store
        open_store(store, MemoryReactorClock())

    with pytest.raises((SettingError, StoreError, ValueError)) as refused:
        start()
    assert PASSWORD not in str(refused.value)


@pytest.mark.parametrize("written", [MISTYPED[0], MISTYPED[7]])
def test_sec1_start_with_a_mistyped_store_shows_no_password(tmp_path: Path, written: str) -> None:
    ended = run_twistd(tmp_path, environment={"HELIX_STORE": written.format(PASSWORD)})
    assert ended.returncode == 1
    assert PASSWORD not in ended.stdout + ended.stderr
    assert re.fullmatch(r"twistd helix: .*(--store|HELIX_STORE).*\n", ended.stderr)


PASSWORD = "s3cret-pa55word"


def test_sec1_configuration_shows_no_password() -> None:
    config = read_config({"store": [f"postgres://helix:{PASSWORD}@db/helix"]}, {})
    assert config.store.startswith("postgres://"), "what others call it is taken, too"
    assert PASSWORD not in repr(config)
