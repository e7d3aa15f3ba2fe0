"""Settings from flags, from Python and from YAML are the same settings."""

from pathlib import Path

import pytest

from isotone.errors import ConfigError
from isotone.settings import parse, parts_of, read_config, resolve


def _parsed(*words: str) -> dict[str, object]:
    return parse(parts_of("rnc"), words, "isotone fit", {"table": "x", "--out": "x"})


def test_flags_and_python_agree() -> None:
    flags = _parsed("t.csv", "--target", "age,size", "--image-column", "file", "--lr=0.25", "--allow-outside")
    assert flags["table"] == "t.csv"
    made = resolve("rnc", {k: flags[k] for k in resolve("rnc", {}).flat() if k != "method"})
    python = resolve("rnc", {"target": ("age", "size"), "image_column": "file", "lr": 0.25, "allow_outside": True})
    assert made == python


def test_a_config_is_overruled_by_flags(tmp_path: Path) -> None:
    config = tmp_path / "a.yaml"
    config.write_text("passes: 7\nlr: 0.3\n")
    found = _parsed("--config", str(config), "--lr", "0.4")
    assert (found["passes"], found["lr"]) == (7, 0.4)


def test_a_config_of_another_method_serves_too(tmp_path: Path) -> None:
    config = tmp_path / "a.yaml"
    config.write_text("method: rnc\ntemperature: 3\npasses: 7\n")
    baseline = parse(parts_of("baseline"), ["--config", str(config)], "isotone fit", {"--method": "x"})
    assert baseline["passes"] == 7
    assert "temperature" not in baseline


def test_an_unknown_name_in_a_config_is_named(tmp_path: Path) -> None:
    config = tmp_path / "a.yaml"
    config.write_text("pases: 7\n")
    with pytest.raises(ConfigError) as caught:
        _parsed("--config", str(config))
    assert str(caught.value) == f"{config} names 'pases', which is no setting. Did you mean 'passes'?"


def test_flat_settings_come_back(tmp_path: Path) -> None:
    made = resolve("baseline", {"target": ["y"], "head": "huber", "augment": ["none"]})
    flat = made.flat()
    assert flat.pop("method") == "baseline"
    assert resolve("baseline", flat) == made


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"passs": 3}, "there is no setting 'passs' for method 'rnc'. Did you mean 'passes'?"),
        ({"passes": "x"}, "setting \"passes\": expected 'int', got x. `isotone fit --help` lists the settings."),
        (
            {"head": "l7"},
            "setting \"head\": expected Literal['l1', 'mse', 'huber', 'dex', 'dldl', 'or', 'corn'], got l7. "
            "`isotone fit --help` lists the settings.",
        ),
    ],
)
def test_mistakes_are_named(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve("rnc", values)
    assert str(caught.value) == message


def test_a_config_that_is_no_mapping(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("- 1\n- 2\n")
    with pytest.raises(ConfigError) as caught:
        read_config(tmp_path / "a.yaml")
    assert str(caught.value) == f"{tmp_path / 'a.yaml'} must hold settings as `name: value` lines, got list."


def test_yaml_runs_nothing(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    (tmp_path / "a.yaml").write_text(f"x: !!python/object/apply:os.system ['touch {canary}']\n")
    with pytest.raises(ConfigError, match="is not valid YAML"):
        read_config(tmp_path / "a.yaml")
    assert not canary.exists()


@pytest.mark.parametrize("recipe", sorted((Path(__file__).parents[1] / "recipes").glob("*.yaml")), ids=lambda p: p.name)
def test_every_recipe_resolves(recipe: Path) -> None:
    values = read_config(recipe)
    method = str(values.pop("method", "rnc"))
    made = resolve(method, values)
    assert {name: made.flat()[name] for name in values} == values
