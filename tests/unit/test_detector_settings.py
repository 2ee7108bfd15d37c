"""Settings that a detector can't use are refused before they are logged, and harmless in a log."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import msgspec
import numpy as np
import pytest

from tests.kit import LogHistory, events_of, fleet, log_of
from tocsin.bootstrap import Application
from tocsin.cli.app import main
from tocsin.config import ConfigError, load_config
from tocsin.control import Settings, SettingsChanged
from tocsin.detectors.abstract import Readings, Rows, Scores, SeriesState
from tocsin.detectors.registry import detectors
from tocsin.detectors.seasonal import Seasonal
from tocsin.detectors.usable import unusable, usable
from tocsin.errors import InvalidInputError
from tocsin.log.abstract import Record
from tocsin.processing.processor import process
from tocsin.processing.state import PartitionState

Overrides = dict[str, dict[str, float]]

BAD: list[Overrides] = [
    {"sesonal": {}},
    {"seasonal": {"limmit": 5.0}},
    {"seasonal": {"memory": 0.0}},
    {"seasonal": {"memory": 1e300}},
    {"seasonal": {"hold_s": 1e300}},
    {"seasonal": {"ready_readings": -1e30}},
    {"seasonal": {"limit": -1.0}},
    {"health": {"stuck_ratio": 0.0, "stuck_readings": 0.0}},
    {"health": {"stuck_s": 0.0}},
    {"health": {"ready_s": -5.0}},
    {"health": {"shift_limit": 0.0}},
]


def log_with(overrides: Overrides) -> list[Record]:
    """A log that begins with these settings, then has readings of a few devices."""
    changed = SettingsChanged(tenant="t", effective_ms=0, settings=Settings(detectors=overrides))
    return log_of([changed, events_of(fleet(3))])


def state_of(records: list[Record]) -> PartitionState:
    """What the processor makes of a log."""
    state = PartitionState(0)
    process(records, state, LogHistory(records))
    return state


@pytest.mark.parametrize("overrides", BAD, ids=str)
@pytest.mark.parametrize("place", ["watch", "tenants"])
def test_nothing_starts_with_settings_that_a_detector_cannot_use(
    tmp_path: Path, overrides: Overrides, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 and the field, in `watch` and for a single tenant; the folder is not even made."""
    watch = {"watch": {"detectors": overrides}}
    file = tmp_path / "tocsin.yaml"
    file.write_bytes(
        msgspec.yaml.encode(watch if place == "watch" else {"tenants": {"acme": watch["watch"]}})
    )
    data = tmp_path / "data"
    assert main(["serve", "--config", str(file), "--data", str(data), "--port", "0"]) == 2
    name = next(iter(overrides))
    where = "watch" if place == "watch" else "tenants.acme"
    assert f"tocsin: config_invalid: {where}.detectors.{name}" in capsys.readouterr().err
    assert not data.exists()


def test_every_mistake_is_named_at_once(tmp_path: Path) -> None:
    """So that a configuration need not be mended one mistake a start."""
    file = tmp_path / "tocsin.yaml"
    file.write_text("watch: {detectors: {sesonal: {}, health: {stuck_s: 0, shift_day: 3}}}")
    with pytest.raises(ConfigError) as caught:
        Application(load_config(file).model_copy(update={"data": tmp_path / "data"}))
    health = "watch.detectors.health"
    known = "changes, ready_s, shift_days, shift_limit, stuck_ratio, stuck_readings, stuck_s"
    bounds = "must be between 1 and 3.1536e+09"
    assert caught.value.detail.splitlines() == [
        f"{health}.shift_day: detector health has no parameter 'shift_day'; it has {known}",
        f"{health}.stuck_s: detector health: stuck_s is 0 (s), but {bounds}",
        "watch.detectors.sesonal: there is no detector 'sesonal'; known are health, seasonal",
    ]


@pytest.mark.parametrize("overrides", BAD, ids=str)
def test_a_log_that_has_such_settings_is_judged_by_the_defaults(overrides: Overrides) -> None:
    """The same log has the same digests, those of the same detectors without the overrides."""
    found = state_of(log_with(overrides)).totals()
    assert found == state_of(log_with(overrides)).totals()
    known: Overrides = {name: {} for name in overrides if name in detectors()}
    assert found == state_of(log_with(known)).totals()


def test_overrides_beside_one_that_cannot_be_used_still_act() -> None:
    """A mistake in one number does not undo another."""
    settings = Settings(detectors={"seasonal": {"limit": 3.0, "memory": 0.0}})
    kept = usable(detectors()["seasonal"], settings)
    assert kept.detectors == {"seasonal": {"limit": 3.0}}
    assert [fault.field for fault in unusable(settings)] == ["detectors.seasonal.memory"]


def test_numbers_that_only_together_cannot_be_used_all_give_way() -> None:
    """A detector that refuses a sum of good numbers goes by its defaults, and the log is judged."""

    class Refusing(Seasonal):
        def settings_row(self, settings: Settings, parameter: str) -> Rows:
            if len(settings.detectors.get("seasonal", {})) > 1:
                raise InvalidInputError("not both")
            return super().settings_row(settings, parameter)

    both = Settings(detectors={"seasonal": {"limit": 3.0, "memory": 9.0}, "health": {}})
    assert usable(Refusing(), both).detectors == {"seasonal": {}, "health": {}}
    one = Settings(detectors={"seasonal": {"limit": 3.0}})
    assert usable(Refusing(), one) is one


def test_settings_of_the_defaults_are_taken_as_they_are() -> None:
    """What can be used is not even copied."""
    settings = Settings(detectors={"seasonal": {"limit": 3.0}, "health": {}})
    assert usable(detectors()["seasonal"], settings) is settings
    assert unusable(settings) == []


@pytest.mark.parametrize("name", ["seasonal", "health"])
def test_a_detector_reckons_with_every_bound_that_it_declares(name: str) -> None:
    """Every parameter has two bounds, and at each of them the kernel gives what the reference gives."""
    kind = detectors()[name]
    rng = np.random.default_rng(7)
    ts = np.arange(800, dtype=np.int64) * 1_800_000
    value = np.round(rng.normal(20, 1, 800), 1)
    value[300:340] = 60.0
    values = [value, np.full(800, 3.0)]
    parameters = kind.info.parameters
    assert all(np.isfinite([part.least, part.most]).all() for part in parameters.values())
    cases = [{key: bound} for key, part in parameters.items() for bound in (part.least, part.most)]
    cases += [{key: part.least for key, part in parameters.items()}]
    cases += [{key: part.most for key, part in parameters.items()}]
    for case, series in product(cases, values):
        row = kind.settings_row(Settings(detectors={name: case}), "a")
        zeros = np.zeros(len(ts), np.int32)
        state = SeriesState(np.zeros(1, kind.hot_dtype), np.zeros((1, kind.cell_count), kind.cell_dtype), 1)
        kind.initialise(state.hot, state.cells)
        out = Scores.empty(len(ts))
        kind.score(Readings(zeros, ts, series, zeros, zeros), state, row, out)
        reference = kind.reference(row)
        steps = [reference.step(*reading, 0) for reading in zip(ts.tolist(), series.tolist(), strict=True)]
        np.testing.assert_array_equal(out.score, [step.score for step in steps], err_msg=str(case))
        assert not np.isinf(out.score).any()
