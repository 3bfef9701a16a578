"""The explorer in a real JupyterLab and a real browser: sliders are moved, picture and numbers follow."""

import base64
import hashlib
import html
import json
import os
import re
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from pathlib import Path

import nbformat
import psutil
import pytest
from chromium import CHROMIUM
from patience import patience, wait_until

import lfssd_nb

CELL = """
import hashlib, json
from pathlib import Path
from lfssd_nb import data, explorer
from lfssd_nb.data import scenarios
from lfssd_nb.networks import training
from lfssd_nb.importance import fisher, sensitivity
from lfssd_nb.networks.architecture import Architecture
from lfssd_nb.networks.recipes import Recipe

few = data.load("digits", device="cpu").subset(400)
model = training.trained(few, Architecture(width=8), Recipe(epochs=8, batch_size=32))
scenario = scenarios.forget_class(few, 3)
x, y, f = few.train_x, few.train_y, scenario.forget
importances = {
    "LFSSD": (sensitivity(model, x[f]), sensitivity(model, x)),
    "SSD": (fisher(model, x[f], y[f]), fisher(model, x, y)),
}
widget = explorer.explore(model, few, scenario, importances)

def tell(_=None):
    "What the kernel has drawn last, for the test."
    now = [widget.numbers.value, hashlib.sha256(widget.image.value).hexdigest()]
    Path("telling").write_text(json.dumps(now))
    Path("telling").rename("told")

for control in (widget.scale, widget.lam, widget.estimator):
    control.observe(tell, "value")  # comes after the explorer's own
tell()
widget
"""

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium found: the explorer's browser test needs one, apt install chromium"
)


@contextmanager
def everything_ends():
    """What the test starts, children of children too, is killed at the end, and when patience has run out."""
    me = psutil.Process()
    before = set(me.children(recursive=True))

    def kill():
        for process in set(me.children(recursive=True)) - before:
            with suppress(psutil.NoSuchProcess):
                process.kill()

    alarm = threading.Timer(2 * patience(), kill)
    alarm.start()
    try:
        yield
    finally:
        alarm.cancel()
        kill()


@contextmanager
def jupyter(folder: Path):
    """A JupyterLab server with settings of its own in ``folder``; yields its address with the token."""
    own = {
        name: str(folder / name.lower())
        for name in (
            "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTERLAB_SETTINGS_DIR",
            "JUPYTERLAB_WORKSPACES_DIR", "IPYTHONDIR", "HOME",
        )
    }  # fmt: skip
    own |= {"PYTHONPATH": str(Path(lfssd_nb.__file__).parent.parent), "OMP_NUM_THREADS": "1"}
    quiet = Path(own["JUPYTERLAB_SETTINGS_DIR"]) / "@jupyterlab" / "apputils-extension"
    quiet.mkdir(parents=True)
    settings = {"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True}
    (quiet / "notification.jupyterlab-settings").write_text(json.dumps(settings))
    root = folder / "root"
    root.mkdir()
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL.strip())])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, root / "explorer.ipynb")
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1",
        "--ServerApp.port=0", f"--ServerApp.root_dir={root}", "--IdentityProvider.token=test",
        "--LabApp.news_url=None", "--LabApp.extension_manager=readonly",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]  # fmt: skip
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(command, env=os.environ | own, cwd=root, stdout=log, stderr=log)
    try:
        (runtime,) = wait_until(
            lambda: list(Path(own["JUPYTER_RUNTIME_DIR"]).glob("jpserver-*.json")),
            f"JupyterLab runs, see {folder / 'server.log'}", lambda: server.poll() is None,
        )  # fmt: skip
        url = wait_until(lambda: address(runtime), "JupyterLab has written its address")
        yield f"{url}lab/tree/explorer.ipynb?reset&token=test"
    finally:
        server.terminate()  # ends its kernels too
        try:
            server.wait(patience(60))
        except subprocess.TimeoutExpired:
            server.kill()


class Page:
    """What a reader sees of the explorer and can do with it. ``told``: the file that CELL writes."""

    ALPHA, LAMBDA = 0, 1

    def __init__(self, tab, told: Path):
        self.tab, self.told = tab, told
        tab.set_default_timeout(1000 * patience())

    def open(self, url: str) -> None:
        self.tab.goto(url)
        self.idle()
        self.tab.get_by_text("Run", exact=True).click()
        self.tab.get_by_text("Run All Cells", exact=True).click()
        self.tab.locator("img.widget-image").wait_for()
        self.tab.evaluate("""() => {
            window.drawn = 0;
            const img = document.querySelector('img.widget-image');
            new MutationObserver(() => window.drawn++).observe(img, {attributeFilter: ['src']});
        }""")

    def idle(self) -> None:
        """Until the kernel has nothing left to do."""
        self.tab.get_by_text("Python 3 (ipykernel) | Idle").wait_for()

    def picture(self) -> bytes:
        """The PNG that the <img> shows."""
        data = self.tab.wait_for_function("""async () => {
            const img = document.querySelector('img.widget-image');
            const bytes = new Uint8Array(await (await fetch(img.src)).arrayBuffer());
            return btoa(Array.from(bytes, byte => String.fromCharCode(byte)).join(''));
        }""")
        return base64.b64decode(data.json_value())

    def numbers(self) -> str:
        return self.tab.locator(".widget-html-content").last.inner_text()

    def settled(self, until: str) -> tuple[str, bytes]:
        """Numbers, in which ``until`` is found, and picture: once they are what the kernel drew last."""

        def now():
            lines, digest = json.loads(self.told.read_text())
            lines = html.unescape(lines.replace("<br>", "\n"))
            shown = self.numbers(), self.picture()
            if (
                re.search(until, lines)
                and shown[0].strip() == lines.strip()
                and hashlib.sha256(shown[1]).hexdigest() == digest
            ):
                return shown
            return self.tab.wait_for_timeout(50)  # not a sleep: the browser's events go on

        return wait_until(now, f"{until!r} and its picture are shown")

    def press(self, slider: int, *keys: str) -> None:
        handle = self.tab.locator(".noUi-handle").nth(slider)
        handle.focus()
        for key in keys:
            self.tab.keyboard.press(key)

    def hold(self, slider: int, key: str, times: int) -> None:
        """So many presses in no time: the page does nothing else between them."""
        self.tab.locator(".noUi-handle").nth(slider).evaluate(
            """(handle, [key, times]) => {
                const how = {key, bubbles: true, cancelable: true};
                for (let k = 0; k < times; k++)
                    handle.dispatchEvent(new KeyboardEvent('keydown', how));
            }""",
            [key, times],
        )


def address(runtime: Path) -> str | None:
    """What a JupyterLab server tells of itself, once it is written."""
    with suppress(json.JSONDecodeError):
        return json.loads(runtime.read_text())["url"]


def accuracies(numbers: str) -> list[tuple[str, str]]:
    """(after, before) of retained and forgotten accuracy."""
    return re.findall(r"accuracy ([\d.]+) % \(before ([\d.]+)", numbers)


def test_sliders_in_a_browser(tmp_path):
    sync_playwright = pytest.importorskip("playwright.sync_api").sync_playwright
    with everything_ends(), jupyter(tmp_path) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, timeout=1000 * patience())
        tab = browser.new_page(viewport={"width": 1400, "height": 1100})
        outside = []
        tab.on("request", lambda r: outside.append(r.url) if "//127.0.0.1:" not in r.url else None)
        page = Page(tab, tmp_path / "root" / "told")
        try:
            page.open(url)
            first = page.settled(r"α′ = 0\.4 ")
            tab.screenshot(path=tmp_path / "explorer.png")
            assert "λ = 1" in first[0] and len(accuracies(first[0])) == 2

            page.hold(page.ALPHA, "ArrowLeft", 50)  # faster than anything can be drawn
            loose = page.settled(r"α′ = 0\.06")
            assert loose[0] != first[0] and loose[1] != first[1]
            assert 0 < tab.evaluate("window.drawn") < 50  # what was overtaken was not drawn

            page.press(page.LAMBDA, "Home")
            pruned = page.settled("λ = 0\n")
            assert pruned[0].split(";")[0].split("\n")[1] == loose[0].split(";")[0].split("\n")[1]  # selected
            assert pruned[1] != loose[1]
            tab.screenshot(path=tmp_path / "pruned.png")

            page.press(page.ALPHA, "End")
            strict = page.settled("α′ = 1 ")
            assert "selected 0.00 %" in strict[0]
            assert all(after == before for after, before in accuracies(strict[0]))
            assert accuracies(strict[0]) != accuracies(pruned[0])

            tab.get_by_label("estimator").select_option("SSD")
            ssd = page.settled("^SSD at α′ = 1 ")
            assert ssd[1] != strict[1]
            tab.screenshot(path=tmp_path / "ssd.png")
        except BaseException:
            tab.screenshot(path=tmp_path / "failed.png")
            raise
        browser.close()
        assert not [address for address in outside if address.startswith("http")]
