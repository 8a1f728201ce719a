"""Headless Chromium, to look at the report as its readers do: for its tests and its pictures."""

import base64
import json
import os
import shutil
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from manyfaces.errors import UserError

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_DRIVERS = ("chromedriver", "chromium.chromedriver")
_PATIENCE_SECONDS = 120
# The part of the page that holds some elements, across its whole width.
_AREA = """
    const boxes = arguments[0].map((selector) => document.querySelector(selector).getBoundingClientRect());
    const top = Math.max(Math.min(...boxes.map((box) => box.top)) + scrollY - 12, 0);
    const bottom = Math.max(...boxes.map((box) => box.bottom)) + scrollY + 12;
    return {x: 0, y: top, width: innerWidth, height: bottom - top, scale: 1};
"""


def installed() -> tuple[str, str]:
    """Return the paths of Chromium and its driver.

    Raises:
        UserError: one of them, or the package that drives them, is not installed.
    """
    try:
        import selenium  # noqa: F401
    except ModuleNotFoundError as error:
        raise UserError("the package selenium is not installed: run `make env`") from error
    found = [next(filter(None, map(shutil.which, names)), None) for names in (_BROWSERS, _DRIVERS)]
    if None in found:
        raise UserError(
            "Chromium and its driver are not installed: install them, on Debian with "
            "`apt-get install chromium chromium-driver`, and run this again"
        )
    return found[0], found[1]


class Browser:
    """One window of Chromium without a screen."""

    def __init__(self) -> None:
        """Start Chromium.

        Raises:
            UserError: it is not installed, or does not start.
        """
        browser, driver = installed()
        from selenium import webdriver
        from selenium.common.exceptions import WebDriverException

        options = webdriver.ChromeOptions()
        options.binary_location = browser
        options.add_argument("--headless=new")
        options.add_argument("--hide-scrollbars")
        options.add_argument("--disable-gpu")
        if os.geteuid() == 0:
            # Its sandbox does not work for root, as which containers run.
            options.add_argument("--no-sandbox")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        try:
            self._driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
        except WebDriverException as error:
            raise UserError(f"Chromium did not start: {(error.msg or '').splitlines()[0]}") from error
        self._driver.set_script_timeout(_PATIENCE_SECONDS)

    def __enter__(self) -> Self:
        """Return the window."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self._driver.quit()

    def open(self, page: Path, width: int, height: int, *, is_dark: bool = False, scale: float = 1) -> None:
        """Open a report from its file and wait until its charts are drawn.

        Args:
            page: the HTML file.
            width: of the window, in pixels of the page.
            height: of the window.
            is_dark: whether the system prefers dark colours.
            scale: pixels of a picture per pixel of the page.
        """
        self._size(width, height, scale)
        preferred = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        self._command("Emulation.setEmulatedMedia", {"media": "", "features": [preferred]})
        self._driver.get_log("browser")
        self._driver.get_log("performance")
        self._driver.get(page.absolute().as_uri())
        self.wait_until_drawn()

    def wait_until_drawn(self) -> None:
        """Wait for the charts that are on view."""
        self.wait_for("return 'drawn' in document.documentElement.dataset")

    def wait_for(self, script: str) -> None:
        """Wait until JavaScript returns something true."""
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self._driver, _PATIENCE_SECONDS).until(lambda driver: driver.execute_script(script))

    def run(self, script: str, *arguments: object) -> Any:
        """Run JavaScript in the page and return what it returns."""
        return self._driver.execute_script(script, *arguments)

    def choose(self, identifier: str, value: str) -> None:
        """Choose an option of a list as a reader would, and wait for what it draws."""
        from selenium.webdriver.support.ui import Select

        Select(self._driver.find_element("id", identifier)).select_by_value(value)
        self.wait_until_drawn()

    def picture(self, *selectors: str, height: int | None = None) -> bytes:
        """Return a PNG of the window, or of the page from the first to the last of some elements."""
        area = {}
        if selectors:
            area = self.run(_AREA, list(selectors))
            area["height"] = min(area["height"], height or area["height"])
        shot = {"format": "png"} | ({"clip": area, "captureBeyondViewport": True} if area else {})
        return base64.b64decode(self._command("Page.captureScreenshot", shot)["data"])

    def pdf(self) -> bytes:
        """Return the page as it is printed, on A4."""
        printed = self._command(
            "Page.printToPDF", {"printBackground": True, "paperWidth": 8.27, "paperHeight": 11.69}
        )
        return base64.b64decode(printed["data"])

    def as_paper(self, width: int, height: int) -> None:
        """Show the page as it is printed on paper of some width."""
        self._size(width, height, 1)
        self._command("Emulation.setEmulatedMedia", {"media": "print"})

    def press(self, key: str) -> None:
        """Press a key by its name in selenium, such as TAB."""
        from selenium.webdriver.common.action_chains import ActionChains
        from selenium.webdriver.common.keys import Keys

        ActionChains(self._driver).send_keys(getattr(Keys, key)).perform()

    def accessible_names(self) -> list[tuple[str, str]]:
        """Return the role and name of everything that a screen reader meets."""
        nodes = self._command("Accessibility.getFullAXTree", {})["nodes"]
        return [
            (node["role"]["value"], node.get("name", {}).get("value", "").strip())
            for node in nodes
            if not node["ignored"]
        ]

    def console(self) -> list[str]:
        """Return what the page wrote to the console since it was opened, errors of its own included."""
        return [f"{entry['level']} {entry['message']}" for entry in self._driver.get_log("browser")]

    def requests(self) -> list[str]:
        """Return the addresses that the page asked for since it was opened, itself included.

        Those that the page's own policy stopped before they were sent are left out.
        """
        messages = [json.loads(entry["message"])["message"] for entry in self._driver.get_log("performance")]
        stopped = {
            message["params"]["requestId"]
            for message in messages
            if message["method"] == "Network.loadingFailed"
            and message["params"].get("blockedReason") == "csp"
        }
        return [
            message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
            and message["params"]["requestId"] not in stopped
        ]

    def _size(self, width: int, height: int, scale: float) -> None:
        self._command(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": False},
        )

    def _command(self, name: str, parameters: dict) -> dict:
        return self._driver.execute_cdp_cmd(name, parameters)
