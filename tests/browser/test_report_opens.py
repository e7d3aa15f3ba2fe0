"""The report in a real browser: it opens from a file, asks for nothing else, and its map answers mouse and keyboard.

The browser is Debian's Chromium, Chrome, or the one that `ISOTONE_CHROMIUM` names; without one the tests are skipped.
"""

import json
import os
import shutil
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from isotone.report import write_report

HOSTILE = "</script><img src=x onerror=\"document.body.dataset.broken='yes'\">@truth{safe}"
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
# The tooltip stands in shadow roots, which a selector of the page does not reach.
TOOLTIP = """() => {
  const find = (root) => {
    for (const element of root.querySelectorAll("*")) {
      if (element.classList.contains("bk-Tooltip") && element.offsetHeight > 0) return element;
      const found = element.shadowRoot && find(element.shadowRoot);
      if (found) return found;
    }
    return null;
  };
  const text = (node) => [...node.childNodes].map((n) => n.nodeType === 3 ? n.data : text(n)).join(" ")
    + (node.shadowRoot ? text(node.shadowRoot) : "");
  const tip = find(document);
  return tip && text(tip);
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    names = (os.environ.get("ISOTONE_CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome")
    found = next((path for name in names if name and (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no browser: install Debian's chromium, or name one in ISOTONE_CHROMIUM")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=list(FLAGS))
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    """What makes run folders: tests/report/conftest.py."""
    spec = spec_from_file_location("runs_to_report", Path(__file__).parents[1] / "report" / "conftest.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def report(maker: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two compared runs on the same digits, whose labels are hostile."""
    folder = tmp_path_factory.mktemp("browser")
    runs = [
        maker.make_run(folder / name, name=name, width=width, rows=100)
        for name, width in (("baseline", 8), ("rnc", 64))
    ]
    for run in runs:
        with np.load(run / "features.npz") as raw:
            arrays = dict(raw) | {"label": np.array([HOSTILE] * len(raw["label"]))}
        np.savez(run / "features.npz", **arrays)
        info = json.loads((run / "run.json").read_text())
        (run / "run.json").write_text(json.dumps(info | {"command": HOSTILE}))
    return write_report(runs[1], runs[0])


@pytest.fixture(scope="module")
def class_report(maker: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two compared runs that tell digits apart; the names of the classes are hostile."""
    folder = tmp_path_factory.mktemp("browser")
    runs = [maker.make_class_run(folder / name, name=name, width=w, rows=100) for name, w in (("a", 6), ("b", 48))]
    for run in runs:
        with np.load(run / "features.npz", allow_pickle=False) as raw:
            arrays = dict(raw) | {"classes": np.array([f"{i}{HOSTILE}" for i in range(10)])}
        np.savez(run / "features.npz", **arrays)
        found = json.loads((run / "metrics.json").read_text()) | {"classes": arrays["classes"].tolist()}
        (run / "metrics.json").write_text(json.dumps(found))
    return write_report(runs[1], runs[0])


class Visit:
    """An open page, and all that went wrong or out of it since."""

    def __init__(self, page: Page, report: Path) -> None:
        self.page = page
        self.faults: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda m: self.faults.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto(report.resolve().as_uri())
        page.wait_for_selector("body[data-maps=ready]")


@pytest.fixture(params=[(1200, "light"), (360, "dark")], ids=["desk", "phone"])
def visit(request: pytest.FixtureRequest, browser: Browser, report: Path) -> Iterator[Visit]:
    width, scheme = request.param
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    yield Visit(context.new_page(), report)
    context.close()


@pytest.fixture(params=[(1200, "dark"), (360, "light")], ids=["desk", "phone"])
def class_visit(request: pytest.FixtureRequest, browser: Browser, class_report: Path) -> Iterator[Visit]:
    width, scheme = request.param
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    yield Visit(context.new_page(), class_report)
    context.close()


def tooltip(page: Page, name: str = "map-1") -> str | None:
    """Move over a map until a tooltip shows."""
    box = page.locator(f"#{name}").bounding_box()
    assert box is not None
    for y in range(30, 330, 12):
        for x in range(30, int(box["width"]) - 20, 20):
            page.mouse.move(box["x"] + x, box["y"] + y)
            if text := page.evaluate(TOOLTIP):
                return text
    return None


def test_opens_offline_without_a_fault_and_fits_the_screen(visit: Visit) -> None:
    assert visit.page.locator("#map-0 canvas, #map-1 canvas").count() >= 2
    assert visit.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert {url.partition(":")[0] for url in visit.requests} <= {"file", "data"}
    assert visit.faults == []


def test_map_shows_the_row_below_the_mouse_as_text(visit: Visit) -> None:
    visit.page.locator("#map-1").scroll_into_view_if_needed()
    text = tooltip(visit.page)
    assert text is not None
    assert HOSTILE in text
    assert "prediction" in text
    assert visit.page.evaluate("document.body.dataset.broken") is None
    assert visit.faults == []


def test_controls_work_by_keyboard(visit: Visit) -> None:
    page = visit.page
    page.locator("input[name=colour]").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    shown = page.evaluate(
        "[...document.querySelectorAll('.key')].filter((key) => !key.hidden).map((key) => key.dataset.key)"
    )
    assert shown == ["group"]
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    counts = page.evaluate(
        """Bokeh.documents.map((shown) => {
             const { data } = shown.get_model_by_name(`points-map-${Bokeh.documents.indexOf(shown)}`);
             const same = [data.x[4] === data.tsne_x[4], data.color[4] === data.color_group[4]];
             return [data.x.filter(Number.isFinite).length, ...same];
           })"""
    )
    assert counts == [[20, True, True], [20, True, True]]  # of 100 rows, every fifth is a test row, from the fifth on
    assert visit.faults == []


def test_classes_are_told_by_colour_shape_and_tooltip(class_visit: Visit) -> None:
    page = class_visit.page
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.locator("#map-1").scroll_into_view_if_needed()
    text = tooltip(page)
    assert text is not None
    assert HOSTILE in text
    assert "predicted" in text
    page.locator("input[value=mistake]").check()
    state = page.evaluate(
        """() => {
             const { data } = Bokeh.documents[1].get_model_by_name("points-map-1");
             const columns = [[data.color, data.color_mistake], [data.marker, data.marker_mistake]];
             return columns.map(([shown, own]) => shown.every((value, i) => value === own[i]));
           }"""
    )
    assert state == [True, True]
    page.get_by_text("Scores by stage as numbers").click()
    assert page.get_by_text("layers: stages.1").first.is_visible()
    assert page.evaluate("document.body.dataset.broken") is None
    assert class_visit.faults == []


def test_a_run_without_labels_opens(browser: Browser, maker: ModuleType, tmp_path: Path) -> None:
    page = browser.new_context(viewport={"width": 1200, "height": 800}).new_page()
    visit = Visit(page, write_report(maker.make_unlabelled_run(tmp_path / "simclr", rows=60)))
    page.locator("#map-0").scroll_into_view_if_needed()
    text = tooltip(page, "map-0")
    assert text is not None
    assert "split" in text
    assert "predict" not in text
    assert visit.faults == []
    page.context.close()
