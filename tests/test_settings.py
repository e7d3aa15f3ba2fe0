"""Settings from flags, from Python and from YAML are the same settings."""

import tomllib
from pathlib import Path

import pytest

from isotone.errors import ConfigError
from isotone.methods import METHODS
from isotone.settings import parse, parts_of, read_config, recipes, resolve, table_or_root, with_recipe

RECIPES = sorted((Path(__file__).parents[1] / "recipes").glob("*.yaml"))


def _parsed(*words: str) -> dict[str, object]:
    return parse(parts_of("rnc"), words, "isotone fit", {"table": "x", "--out": "x"})


def test_flags_and_python_agree() -> None:
    flags = _parsed("t.csv", "--target", "age,size", "--image-column", "file", "--lr=0.25", "--allow-outside")
    assert flags["table"] == "t.csv"
    made = resolve("rnc", {k: flags[k] for k in resolve("rnc", {}).flat() if k != "method"})
    python = resolve("rnc", {"target": ("age", "size"), "image_column": "file", "lr": 0.25, "allow_outside": True})
    assert made == python


def test_numbers_and_names_are_listed_with_commas() -> None:
    found = _parsed("--crop-s", "60,360", "--pick=Fp1,Fp2", "--clip-uv", "800")
    assert (found["crop_s"], found["pick"], found["clip_uv"]) == ((60.0, 360.0), ("Fp1", "Fp2"), 800.0)
    assert _parsed("--crop-s=0.5,2")["crop_s"] == (0.5, 2.0)


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
            'setting "head": expected one of l1, mse, huber, dex, dldl, or, corn, knn, got l7. '
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


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.name)
def test_every_recipe_resolves(recipe: Path) -> None:
    values = read_config(recipe)
    method = str(values.pop("method", "rnc"))
    made = resolve(method, values)
    assert {name: made.flat()[name] for name in values} == values


@pytest.mark.parametrize("name", [name for name in METHODS if {"target", "label"}.isdisjoint(METHODS[name].needs)])
def test_every_method_of_the_family_has_a_published_and_a_small_recipe(name: str) -> None:
    """Those that regress, end to end or by rank, share small-images.yaml, which names none of them."""
    found = {
        path.stem.removeprefix(f"{name}-"): read_config(path) for path in RECIPES if path.stem.startswith(f"{name}-")
    }
    assert "small" in found
    assert len(found) > 1
    assert all(values["method"] == name for values in found.values())
    assert found["small"].get("image_size", 64) in range(32, 97)


def test_recipes_are_found_by_name() -> None:
    beside = {path.stem for path in (Path(__file__).parents[1] / "recipes").glob("*.yaml")}
    assert set(recipes()) == beside
    assert read_config(Path("rnc-agedb"))["passes"] == 800
    words = ["--dataset", "agedb", "--recipe", "rnc-agedb", "--lr", "0.1"]
    assert with_recipe(words) == ["--dataset", "agedb", "--config", "rnc-agedb", "--lr", "0.1"]
    assert with_recipe(["--recipe=rnc-agedb"]) == ["--config", "rnc-agedb"]
    assert with_recipe(["--lr", "1"]) == ["--lr", "1"]
    found = parse(parts_of("rnc"), with_recipe(words), "isotone fit", {})
    assert (found["passes"], found["lr"], found["dataset"]) == (800, 0.1, "agedb")


def test_recipes_travel_in_the_package() -> None:
    about = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
    assert about["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"] == {"recipes": "isotone/recipes"}


def test_wrong_recipes_are_named() -> None:
    with pytest.raises(ConfigError) as caught:
        with_recipe(["--recipe", "rnc-agdb"])
    listed = ", ".join(sorted(recipes()))
    assert str(caught.value) == (f"there is no recipe 'rnc-agdb'. Did you mean 'rnc-agedb'? There are: {listed}.")
    with pytest.raises(ConfigError) as caught:
        with_recipe(["--recipe", "rnc-agedb", "--config", "a.yaml"])
    assert str(caught.value) == ("--recipe and --config are both settings to start from. Give one; flags win over it.")


def test_a_root_stands_for_a_table() -> None:
    assert table_or_root({"table": None, "root": "faces", "dataset": "agedb"}, "fit") == "faces"
    assert table_or_root({"table": "faces", "root": None, "dataset": "agedb"}, "fit") == "faces"


def test_a_verbs_own_flag_may_have_hyphens() -> None:
    found = parse(parts_of("rnc"), ["--weight-decays", "1e-4,1e-3"], "isotone compare", {"--weight-decays": "x"})
    assert found["weight_decays"] == "1e-4,1e-3"
