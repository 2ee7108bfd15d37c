"""The configuration: one file and the environment, checked at the start, said clearly."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import yaml
from pydantic import BaseModel

from tocsin.bootstrap.settings import pace_of
from tocsin.config import Config, ConfigError, load_config, print_config, render_reference, with_options
from tocsin.config.directories import DirectoryConfig
from tocsin.config.watch import WatchConfig
from tocsin.control import DumpRules, Policy, Range, Settings
from tocsin.tenant_names import TENANT_RULE

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "configuration.md"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in [name for name in os.environ if name.upper().startswith("TOCSIN_")]:
        monkeypatch.delenv(name)


def written(folder: Path, text: str) -> Path:
    """A configuration file with this content."""
    path = folder / "tocsin.yaml"
    path.write_text(text)
    return path


def mistakes_of(path: Path) -> list[str]:
    """What is wrong with the file, without its folder."""
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    return caught.value.detail.replace(f"{path.parent}/", "").splitlines()


def test_nothing_has_to_be_set() -> None:
    """Without file and variables the defaults hold, and only this machine can reach the port."""
    config = load_config()
    assert (config.http.host, config.http.port, config.log.partitions) == ("127.0.0.1", 8765, 4)
    assert config.http.loopback
    assert config.lake.flush_s == 45


def test_file_sets_and_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable overrides its field of the file and leaves the rest of the section alone."""
    monkeypatch.setenv("TOCSIN_HTTP__PORT", "9000")
    monkeypatch.setenv("TOCSIN_WATCH__TIMEZONES", '{"pump-7": "Europe/Rome"}')
    config = load_config(
        written(tmp_path, "http:\n  port: 1\n  host: 0.0.0.0\nwatch: {timezone: Asia/Tokyo}\n")
    )
    assert (config.http.port, config.http.host) == (9000, "0.0.0.0")  # noqa: S104 a value, not a listener
    assert config.watch.timezones == {"pump-7": "Europe/Rome"}
    assert config.watch.timezone == "Asia/Tokyo"


def test_file_named_by_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TOCSIN_CONFIG names the file when no path is given."""
    monkeypatch.setenv("TOCSIN_CONFIG", str(written(tmp_path, "data: elsewhere\n")))
    assert load_config().data == Path("elsewhere")


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        (
            "http:\n  port: 99999\n",
            "tocsin.yaml:2: http.port: should be less than or equal to 65535 (it is '99999')",
        ),
        ("http:\n  prot: 1\n", "tocsin.yaml:2: http.prot: is unknown; did you mean port?"),
        ("\nlak: {}\n", "tocsin.yaml:2: lak: is unknown; did you mean lake?"),
        (
            "log: {partitions: yes}",
            "tocsin.yaml:1: log.partitions: is yes or no where another kind of value belongs",
        ),
        ("log:\n  partitions: 4\n  partitions: 8\n", "tocsin.yaml:3: log.partitions: is given twice"),
        ("- http\n", "tocsin.yaml:1: must be a mapping of sections, such as `http:`"),
        (
            "http: {body_bytes_max: 8192, bytes_in_flight_max: 4096}",
            "tocsin.yaml:1: http: bytes_in_flight_max (4096) must be at least body_bytes_max (8192)",
        ),
        (
            "tenants:\n  Acme Ltd: {}\n",
            f"tocsin.yaml:2: tenants.Acme Ltd: {TENANT_RULE}",
        ),
        ("http: [\n", "tocsin.yaml:2: not YAML: expected the node content, but found '<stream end>'"),
        (
            "watch:\n  timezone: Mars\n",
            "tocsin.yaml:2: watch.timezone: 'Mars' is no time zone; names look like Europe/Berlin or UTC",
        ),
        (
            "watch:\n  parameters:\n    t: {lower: 3, upper: 1}\n",
            "tocsin.yaml:3: watch.parameters.t: lower (3.0) must be below upper (1.0)",
        ),
        (
            "watch: {policy: {open_readings: true}}",
            "tocsin.yaml:1: watch.policy: has yes or no where another kind of value belongs",
        ),
        (
            "observability: {otlp_headers: {authorization: [hunter2]}}",
            "tocsin.yaml:1: observability.otlp_headers.authorization: should be a valid string",
        ),
        (
            "directories:\n  north: {url: 'https://user:hunter2@directory.example'}\n",
            (
                "tocsin.yaml:2: directories.north.url: must not contain a user or password; "
                "put the credential in token"
            ),
        ),
        (
            "directories: {north: {url: 'https://directory.example/?key=1'}}",
            "tocsin.yaml:1: directories.north.url: must end with a path: nothing behind ? or # is sent",
        ),
        (
            "directories: {north: {url: 'https://directory.example', soft_s: 100, hard_s: 50}}",
            "tocsin.yaml:1: directories.north: hard_s (50) must be at least soft_s (100)",
        ),
        (
            "directories: {north: {url: 'https://directory.example', token: [hunter2]}}",
            "tocsin.yaml:1: directories.north.token: should be a valid string",
        ),
    ],
)
def test_mistakes_are_named_with_line_and_remedy(tmp_path: Path, text: str, mistake: str) -> None:
    """A wrong file is refused with file, line, field and what is allowed."""
    assert mistakes_of(written(tmp_path, text)) == [mistake]


def test_options_of_the_command_line_win(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What a command is told overrides variables, one field at a time, and is checked as they are."""
    monkeypatch.setenv("TOCSIN_HTTP__PORT", "9000")
    options = {"data": tmp_path, "http.port": 0, "http.host": "::1", "lake.flush_s": None}
    config = with_options(load_config(), options)
    assert (config.data, config.http.port, config.http.host) == (tmp_path, 0, "::1")
    assert config.lake == load_config().lake
    with pytest.raises(ConfigError, match=r"option http\.port: should be less than or equal to 65535"):
        with_options(config, {"http.port": 70_000})


@pytest.mark.parametrize(
    "text", ["a: &a {b: *a}", "a: &a [*a, *a]", "a: " + "[" * 4000, "{b: " * 40 + "1" + "}" * 40]
)
def test_what_is_nested_without_end_is_a_mistake(tmp_path: Path, text: str) -> None:
    """A file that contains itself by an alias, or is too deep to be read, is refused like any other."""
    (mistake,) = mistakes_of(written(tmp_path, text))
    assert mistake.startswith("tocsin.yaml")
    assert "nested deeper" in mistake


def test_certificate_needs_its_key(tmp_path: Path) -> None:
    """A certificate without a key is refused: it would serve in the clear."""
    certificate = tmp_path / "cert.pem"
    certificate.touch()
    (mistake,) = mistakes_of(written(tmp_path, f"http:\n  tls_cert: {certificate}\n"))
    assert mistake == "tocsin.yaml:1: http: tls_cert and tls_key must be given together"


def test_all_mistakes_come_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mistakes of file and environment are listed together, each with its source."""
    monkeypatch.setenv("TOCSIN_HTPP__PORT", "1")
    monkeypatch.setenv("TOCSIN_LAKE__FLUSH_S", "0")
    found = mistakes_of(written(tmp_path, "http: {port: -1}\n"))
    assert found[0] == "environment variable TOCSIN_HTPP__PORT: is unknown; did you mean TOCSIN_HTTP?"
    assert sorted(line.split(":")[0] for line in found[1:]) == [
        "environment variable TOCSIN_LAKE__FLUSH_S",
        "tocsin.yaml",
    ]


def test_variables_of_the_commands_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Address and credential for the commands that talk to a server are no mistake where one is started."""
    monkeypatch.setenv("TOCSIN_URL", "http://127.0.0.1:8765")
    monkeypatch.setenv("TOCSIN_TOKEN", "tcs_k_secret")
    assert "secret" not in print_config(load_config())


def test_variable_that_is_not_json_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mapping in the environment that is no JSON is refused with the remedy."""
    monkeypatch.setenv("TOCSIN_WATCH__TIMEZONES", "pump-7")
    with pytest.raises(ConfigError, match="given as JSON"):
        load_config()


def test_missing_file_is_named(tmp_path: Path) -> None:
    """A file that isn't there is an error, never an empty configuration."""
    assert mistakes_of(tmp_path / "none.yaml") == ["none.yaml: cannot be read: No such file or directory"]


def test_printed_configuration_reads_back_and_masks_secrets(tmp_path: Path) -> None:
    """What is printed holds no secret, and loading it gives the same values."""
    text = "http: {port: 9}\nobservability: {otlp_headers: {authorization: hunter2}}\n"
    config = load_config(written(tmp_path, text))
    printed = print_config(config)
    assert "hunter2" not in printed
    again = load_config(written(tmp_path, printed))
    assert print_config(again) == printed
    assert yaml.safe_load(printed)["http"]["port"] == 9


def test_a_directorys_token_comes_from_its_variable_or_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody has to write it into the configuration, and it is never printed."""
    secret = tmp_path / "token"
    secret.write_text("from-a-file\n")
    text = f"""
directories:
  north: {{url: "https://directory.example"}}
  south: {{url: "https://directory.example", token_file: {secret}}}
  west: {{url: "https://directory.example"}}
"""
    monkeypatch.setenv("TOCSIN_DIRECTORIES__NORTH__TOKEN", "from-a-variable")
    config = load_config(written(tmp_path, text))
    tokens = {tenant: directory.credential() for tenant, directory in config.directories.items()}
    assert tokens == {"north": "from-a-variable", "south": "from-a-file", "west": None}
    assert "from-a-variable" not in print_config(config)
    assert "from-a-variable" not in repr(config)


@pytest.mark.parametrize("token", ["", "two\nlines", "sm\u00f8rrebr\u00f8d", "x" * 5_000])
def test_a_token_that_can_not_be_sent_is_refused_and_not_repeated(tmp_path: Path, token: str) -> None:
    """A file of another kind, or an empty one, would be a directory that refuses for ever."""
    secret = tmp_path / "token"
    secret.write_text(token)
    directory = DirectoryConfig.model_validate({"url": "https://directory.example", "token_file": secret})
    with pytest.raises(ConfigError, match="visible ASCII characters") as caught:
        directory.credential()
    assert not token or token not in caught.value.detail


def test_watch_has_what_settings_have() -> None:
    """The section `watch` has the fields and defaults of the control record it becomes.

    But for the silence of logs: of a record that does not know it yet, the default has to be none.
    """
    plain = msgspec.structs.replace(WatchConfig().settings(), tzdata="")
    assert plain == Settings(dumps=DumpRules(silence_times=2))
    assert WatchConfig().settings().tzdata != ""
    assert set(WatchConfig.model_fields) == set(Settings.__struct_fields__) - {"tzdata"}


def test_a_tenants_units_are_its_own(tmp_path: Path) -> None:
    """A tenant with a part of its own reads its values in that part's units, and in no other tenant's."""
    path = tmp_path / "tocsin.yaml"
    path.write_text(
        "watch: {parameters: {pressure: {unit: bar}, flow: {unit: l/s}}}\n"
        "tenants: {north: {parameters: {pressure: {unit: psi}}}}\n"
    )
    config = load_config(path)
    assert [config.unit_of(tenant, "pressure") for tenant in ("default", "north")] == ["bar", "psi"]
    assert [config.unit_of(tenant, "flow") for tenant in ("default", "north")] == ["l/s", ""]


def test_tenants_can_be_watched_in_their_own_way(tmp_path: Path) -> None:
    """A tenant named under `tenants` gets its own settings, any other those of `watch`."""
    text = """
watch: {timezone: Europe/Berlin}
tenants:
  north:
    policy: {open_after_s: 60}
    parameters: {temperature: {lower: -40, upper: 125, unit: °C}}
"""
    config = load_config(written(tmp_path, text))
    assert config.settings_of("south").timezone == "Europe/Berlin"
    north = config.settings_of("north")
    assert (north.timezone, north.policy) == ("UTC", Policy(open_after_s=60))
    assert north.parameters == {"temperature": Range(lower=-40, upper=125, unit="°C")}


def test_remedies_name_settings_that_exist() -> None:
    """Every setting that the page of metrics speaks of can be set."""
    metrics = (PAGE.parent / "metrics.md").read_text()
    sections = "|".join(Config.model_fields)
    for section, name in re.findall(rf"`({sections})\.(\w+)`", metrics):
        model = Config.model_fields[section].annotation
        assert isinstance(model, type)
        assert issubclass(model, BaseModel)
        assert name in model.model_fields, f"{section}.{name}"


def models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """The model and all models inside it."""
    yield model
    for info in model.model_fields.values():
        for kind in (info.annotation, *getattr(info.annotation, "__args__", ())):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from models(kind)


def test_every_field_is_described() -> None:
    """Each field that is no section says what it means; times and sizes name their unit."""
    for model in models(Config):
        for name, info in model.model_fields.items():
            if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
                continue
            assert info.description, f"{model.__name__}.{name}"
            if re.search(r"_s$|_bytes", name):
                assert re.search(r"[Ss]econd|[Bb]ytes", info.description), f"{model.__name__}.{name}"


def test_reference_page_is_up_to_date() -> None:
    """The page equals what the types say; write it anew with `python -m tocsin.config`."""
    assert PAGE.read_text() == render_reference()


@pytest.mark.parametrize("flush_s", [0.2, 1.0, 60.0])
def test_the_lake_is_looked_after_several_times_while_a_record_may_wait(flush_s: float) -> None:
    """Who looks as seldom as that lets a record wait up to twice as long."""
    config = with_options(Config(), {"lake.flush_s": flush_s})
    assert pace_of(config).lake_s <= config.lake.flush_s / 4
