"""Opens dashboards in headless Chromium, one after the other, and prints as JSON what there was to see.

Runs in Superset's environment, which has selenium. Arguments: the address, the folder for pictures (or -)
and the names of the dashboards; the password is in SUPERSET_ADMIN_PASSWORD.
"""

import base64
import io
import json
import os
import sys
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

WAIT_SECONDS = 180
WIDTH = 1600
# Of every chart on the page: its title, what it drew and what went wrong.
LOOK = """
return [...document.querySelectorAll('[data-test="chart-grid-component"]')].filter(
    chart => chart.getClientRects().length
).map(chart => ({
    title: chart.dataset.testChartName,
    id: Number(chart.dataset.testChartId),
    is_loading: Boolean(chart.querySelector('.loading, [data-test="loading-indicator"]'))
        || !chart.querySelector('[data-test="slice-container"]'),
    is_drawn: [...chart.querySelectorAll('canvas, svg, table, .header-line')].some(
        mark => !mark.closest('[data-test="slice-header"], .ant-empty') && mark.getClientRects().length
    ),
    is_empty: Boolean(chart.querySelector('.ant-empty, [data-test="empty-state"]'))
        || /No results were returned|No data/.test(chart.innerText),
    alert: [...chart.querySelectorAll('[role=alert]')].map(each => each.innerText).join('; '),
}));
"""


class Browser:
    def __init__(self) -> None:
        options = webdriver.ChromeOptions()
        for argument in (
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            f"--window-size={WIDTH},1200",
        ):
            options.add_argument(argument)
        options.add_argument("--disable-background-networking")
        options.add_argument("--force-device-scale-factor=1")
        options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
        self.driver = webdriver.Chrome(
            options=options, service=webdriver.ChromeService("/usr/bin/chromedriver")
        )
        # Charts are not drawn before they are in the window.
        self.driver.set_window_size(WIDTH, 3600)
        self.answers = []
        self.requests = {}
        self.charts = {}

    def until(self, condition):
        return WebDriverWait(self.driver, WAIT_SECONDS, poll_frequency=0.3).until(lambda _: condition())

    def log_in(self, address: str, password: str) -> None:
        self.driver.get(f"{address}/login/")
        # The form may be drawn anew while it is filled in.
        name, secret = self.until(
            lambda: (fields := self.driver.find_elements(By.CSS_SELECTOR, "input"))[1:] and fields[-2:]
        )
        name.send_keys("admin")
        secret.send_keys(password)
        secret.submit()
        self.until(lambda: "/login" not in self.driver.current_url)

    def look(self) -> list[dict]:
        """Wait until every chart in sight has something to show, or says why not."""

        def settled() -> list[dict] | None:
            charts = self.driver.execute_script(LOOK)
            done = charts and all(
                chart["alert"] or (not chart["is_loading"] and (chart["is_drawn"] or chart["is_empty"]))
                for chart in charts
            )
            return charts if done else None

        self.until(settled)
        # Filters that take their first value ask once more.
        quiet = 0
        while quiet < 4:
            self.read_log()
            before = len(self.answers)
            time.sleep(0.5)
            self.read_log()
            quiet = quiet + 1 if settled() and len(self.answers) == before else 0
        return self.until(settled)

    def read_log(self) -> None:
        """Take from the browser's log where requests went, and what charts were given."""
        for line in self.driver.get_log("performance"):
            message = json.loads(line["message"])["message"]
            given = message["params"]
            if message["method"] == "Network.requestWillBeSent":
                url = given["request"]["url"]
                self.requests[given["requestId"]] = urlsplit(url)
                if "/api/v1/chart/data" in url:
                    form = json.loads(parse_qs(urlsplit(url).query).get("form_data", ["{}"])[0])
                    self.charts[given["requestId"]] = form.get("slice_id")
            if message["method"] == "Network.loadingFailed" and given.get("blockedReason"):
                # The page wanted it, and the browser did not send it.
                self.requests.pop(given["requestId"], None)
            if message["method"] == "Network.loadingFinished" and given["requestId"] in self.charts:
                body = self.driver.execute_cdp_cmd(
                    "Network.getResponseBody", {"requestId": given["requestId"]}
                )
                text = body["body"]
                content = base64.b64decode(text).decode() if body["base64Encoded"] else text
                self.answers.append(
                    {"slice_id": self.charts.pop(given["requestId"]), "answer": json.loads(content)}
                )

    def reached(self) -> dict[str, list[str]]:
        """Return which hosts were asked for anything, and what the pages complained of."""
        self.read_log()
        asked = {url.netloc for url in self.requests.values() if url.scheme not in ("data", "blob", "chrome")}
        complaints = [line["message"] for line in self.driver.get_log("browser") if line["level"] == "SEVERE"]
        return {"hosts": sorted(asked), "complaints": complaints}

    def picture(self, path: Path) -> None:
        """Write a picture down to the lowest chart, in few colours."""
        bottom = self.driver.execute_script(
            "return Math.max(...[...document.querySelectorAll('[data-test=\"chart-grid-component\"]')]"
            ".map(chart => chart.getBoundingClientRect().bottom)) + 24"
        )
        clip = {"x": 0, "y": 0, "width": WIDTH, "height": bottom, "scale": 1}
        taken = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"clip": clip})
        image = Image.open(io.BytesIO(base64.b64decode(taken["data"]))).convert("RGB")
        image.quantize(128).save(path, optimize=True)


def main() -> None:
    address, pictures, *names = sys.argv[1:]
    browser = Browser()
    try:
        browser.log_in(address, os.environ["SUPERSET_ADMIN_PASSWORD"])
        dashboards = {}
        for name in names:
            browser.driver.get(f"{address}/superset/dashboard/manyfaces-{name}/")
            dashboards[name] = browser.look()
            if pictures != "-":
                browser.picture(Path(pictures) / f"superset-{name}.png")
        print(json.dumps({"dashboards": dashboards, "answers": browser.answers, **browser.reached()}))
    finally:
        browser.driver.quit()


if __name__ == "__main__":
    main()
