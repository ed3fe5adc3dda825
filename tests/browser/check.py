"""The dashboard as people see it, in headless chromium: it works, is read by everybody, and asks nobody else for anything.

    python -m tests.browser.check [--images DIR]

Each check is a function; what fails is told, and the exit code is 1. With ``--images`` the pictures of the documentation are
made anew. Playwright is not among the dependencies of the project: `tests/browser/run` has it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).parents[2]
PHONE = {"width": 360, "height": 740}
DESK = {"width": 1280, "height": 900}
#: So high are the pictures of the first page, so that its plots are on them.
WHOLE = 1900
#: Bytes that a picture of the documentation may have.
LARGEST = 150_000
_AXE = "async () => { const found = await axe.run(document, {resultTypes: ['violations']}); return found.violations; }"


@dataclass
class Look:
    """A page in a browser of its own, and everything that it asked for and complained about."""

    page: Page
    origins: set[str]
    foreign: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def go(self, url: str) -> None:
        """Load it."""
        answer = self.page.goto(url)
        require(answer is not None and answer.ok, f"{url}: {answer.status if answer else 'no answer'}")

    def until(self, expression: str, within: float = 20.0) -> None:
        """Wait until it holds. Playwright's own waiting needs ``eval``, which the pages forbid."""
        end = time.monotonic() + within
        while not self.page.evaluate(expression):
            require(time.monotonic() < end, f"never came true: {expression}")
            self.page.wait_for_timeout(50)

    def settled(self) -> None:
        """It asked for nothing else, and had nothing to complain about."""
        require(not self.foreign, f"asked elsewhere: {self.foreign}")
        require(not self.complaints, f"console: {self.complaints}")


class Failed(Exception):
    """A check did not hold."""


def require(holds: object, what: str) -> None:
    """Raise Failed where it does not hold."""
    if not holds:
        raise Failed(what)


class Checks:
    """All of them, on one stage."""

    def __init__(self, browser: Browser, stage: dict[str, Any]) -> None:
        self.browser = browser
        self.stage = stage
        self.url: str = stage["url"]
        self.job = f"{self.url}/browse/{stage['project']}/jobs/{stage['job']}"

    @contextmanager
    def look(self, *, dark: bool = False, phone: bool = False, script: bool = True) -> Iterator[Look]:
        """A new browser window."""
        context = self.browser.new_context(
            viewport=PHONE if phone else DESK,
            color_scheme="dark" if dark else "light",
            java_script_enabled=script,
            device_scale_factor=1,
            locale="en-GB",
            timezone_id="UTC",
            accept_downloads=True,
        )
        context.set_default_timeout(15_000)
        page = context.new_page()
        look = Look(page, {urlsplit(self.url).netloc, urlsplit(self.stage["closed"]).netloc})

        def judge(route: Any) -> None:
            if urlsplit(route.request.url).netloc in look.origins:
                route.continue_()
            else:
                look.foreign.append(route.request.url)
                route.abort()

        context.route("**/*", judge)
        page.on(
            "console",
            lambda message: look.complaints.append(message.text) if message.type in {"error", "warning"} else None,
        )
        page.on("pageerror", lambda error: look.complaints.append(str(error)))
        try:
            yield look
            look.settled()
        finally:
            context.close()

    def every_page(self) -> list[str]:
        """Addresses of each kind of page."""
        gitlab, project, job = self.stage["gitlab"], self.stage["project"], self.stage["job"]
        return [
            self.url,
            f"{self.url}/browse",
            f"{self.url}/browse/{project}",
            f"{self.url}/browse/{project}/jobs",
            self.job,
            f"{self.job}?find=messages",
            f"{self.url}/search?q=tools",
            f"{self.url}/explain",
            f"{self.url}/explain?job={gitlab}/tools/sandbox/-/jobs/{job}",
            f"{self.stage['closed']}/login",
        ]

    def check_pages_load(self) -> None:
        """Every page, without a complaint and without anybody else, in both themes."""
        for dark in (False, True):
            with self.look(dark=dark) as look:
                for url in self.every_page():
                    look.go(url)
                    require(look.page.locator("h1").count() == 1, f"{url}: no heading")
                    require("broken" not in look.page.title(), f"{url}: somebody's script ran")

    def check_live_update(self) -> None:
        """Progress moves, and something published meanwhile appears, without a reload."""
        with self.look() as look:
            look.go(self.url)
            look.until("document.getElementById('state').textContent === 'live'")
            look.page.evaluate("window.stayed = true")
            bar = "document.querySelector('#running progress')"
            look.until(f"!!{bar} && {bar}.value > 0")
            before = look.page.evaluate(f"{bar}.value")
            look.until(f"!!{bar} && {bar}.value > {before}")
            rows = "document.querySelector('#recent tbody').textContent"
            require("fresh" not in look.page.evaluate(rows), "it is there already")
            self.stage["more"]()
            look.until(f"{rows}.includes('fresh')", within=30.0)
            require(look.page.evaluate("window.stayed"), "the page was loaded again")
            time_ = look.page.locator("#recent time").first
            require("UTC" in (time_.get_attribute("title") or ""), "no UTC beside the reader's own time")

    def check_without_script(self) -> None:
        """Everything is there without JavaScript."""
        with self.look(script=False) as look:
            look.go(self.url)
            require("UTC" in look.page.locator("#recent").inner_text(), "no publications")
            look.page.fill("#q", "toolbox")
            look.page.press("#q", "Enter")
            require("toolbox" in look.page.locator("main").inner_text(), "search found nothing")

    def check_search(self) -> None:
        """From the field on any page to the job."""
        with self.look() as look:
            look.go(f"{self.url}/browse")
            look.page.fill("#q", "sandbox toolbox")
            look.page.press("#q", "Enter")
            look.page.click(f"text=toolbox #{self.stage['job']}")
            look.page.wait_for_url(f"**/jobs/{self.stage['job']}")
            require(look.page.locator("#inside").count() == 1, "no files")

    def check_explain(self) -> None:
        """A pasted address, and a wrong one."""
        with self.look() as look:
            look.go(f"{self.url}/explain")
            look.page.fill("#job", f"{self.stage['gitlab']}/tools/sandbox/-/jobs/{self.stage['job']}")
            look.page.click("main button")
            look.page.wait_for_selector("text=takes it")
            require(look.page.locator("text=leaves it").count() == 2, "the other rules do not say no")
        with self.look() as look:
            look.go(f"{self.url}/explain")
            look.page.fill("#job", "https://elsewhere.example/a/b/-/jobs/1")
            look.page.click("main button")
            require("is not on" in look.page.locator("[role=alert]").inner_text(), "no reason")
            # The browser itself writes down that the answer was 400.
            look.complaints = [said for said in look.complaints if "400" not in said]

    def check_download(self) -> None:
        """A file out of an archive is saved as it is, and a page among the files runs nowhere."""
        with self.look() as look:
            look.go(f"{self.job}?path=docs")
            with look.page.expect_download() as waited:
                look.page.click("text=index.html")
            path = waited.value.path()
            content = b"<script>parent.document.title='broken'</script>"
            require(sha256(path.read_bytes()).digest() == sha256(content).digest(), "other bytes")
            require("broken" not in look.page.title(), "it ran")

    def check_login(self) -> None:
        """With tokens: the form, the cookie, and the way out."""
        with self.look() as look:
            look.go(f"{self.stage['closed']}/browse")
            require("/login" in look.page.url, "no login is asked for")
            look.page.fill("#token", self.stage["token"])
            look.page.click("main button")
            look.page.wait_for_url("**/browse")
            (cookie,) = look.page.context.cookies()
            require(cookie["httpOnly"] and cookie["sameSite"] == "Strict", f"cookie: {cookie}")
            look.go(self.stage["closed"])
            look.until("document.getElementById('state').textContent === 'live'")
            look.page.click("text=Log out")
            look.page.wait_for_url("**/login")

    def check_phone(self) -> None:
        """Nothing is wider than a phone, but tables scroll in themselves."""
        with self.look(phone=True) as look:
            for url in self.every_page():
                look.go(url)
                wide = look.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
                require(wide <= 0, f"{url}: {wide} pixels too wide")

    def check_dark(self) -> None:
        """The other theme has other colours."""
        colours = []
        for dark in (False, True):
            with self.look(dark=dark) as look:
                look.go(self.url)
                colours.append(look.page.evaluate("getComputedStyle(document.body).backgroundColor"))
        require(len(set(colours)) == 2, f"{colours}")

    def check_accessible(self) -> None:
        """No serious or critical finding of axe on any page, in both themes and on a phone."""
        axe = (files("axe_playwright_python") / "axe.min.js").read_text("utf-8")
        for dark, phone in ((False, False), (True, False), (False, True)):
            with self.look(dark=dark, phone=phone) as look:
                for url in self.every_page():
                    look.go(url)
                    look.page.evaluate(axe)
                    grave = [
                        (one["id"], [node["html"][:160] for node in one["nodes"]][:3])
                        for one in look.page.evaluate(_AXE)
                        if one["impact"] in {"serious", "critical"}
                    ]
                    require(not grave, f"{url} dark={dark} phone={phone}: {grave}")

    def check_keyboard(self) -> None:
        """The first step leads past the header, and what has the focus is to be seen."""
        with self.look() as look:
            look.go(self.url)
            look.page.keyboard.press("Tab")
            require(look.page.evaluate("document.activeElement.className") == "skip", "no way past the header")
            require(look.page.evaluate("document.activeElement.getBoundingClientRect().width") > 20, "it is not seen")

    def pictures(self, folder: Path) -> None:
        """The pictures of the documentation."""
        job = f"{self.stage['gitlab']}/tools/sandbox/-/jobs/{self.stage['job']}"
        for name, url, dark, phone in (
            ("dashboard-light", self.url, False, False),
            ("dashboard-dark", self.url, True, False),
            ("dashboard-phone", self.url, False, True),
            ("dashboard-browse", f"{self.job}?path=docs", False, False),
            ("dashboard-explain", f"{self.url}/explain?job={job}", False, False),
        ):
            with self.look(dark=dark, phone=phone) as look:
                look.go(url)
                if url == self.url:
                    bar = "document.querySelector('#running progress')"
                    look.until(f"!!{bar} && {bar}.value > 0")
                    if not phone:
                        look.page.set_viewport_size({"width": DESK["width"], "height": WHOLE})
                path = folder / f"{name}.png"
                look.page.screenshot(path=path, animations="disabled")
                shrink(path)
                require(path.stat().st_size < LARGEST, f"{path}: {path.stat().st_size} bytes")
                say(f"{path.relative_to(ROOT)}: {path.stat().st_size} bytes")


def shrink(path: Path) -> None:
    """64 colours are enough for a page of text and lines."""
    with Image.open(path) as picture:
        fewer = picture.convert("RGB").quantize(64, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    fewer.save(path, optimize=True)


def say(text: str) -> None:
    """To who runs it."""
    print(text, flush=True)  # noqa: T201 - a command


@contextmanager
def staged() -> Iterator[dict[str, Any]]:
    """The world, in a process of its own."""
    python = ROOT / ".venv" / "bin" / "python"
    process = subprocess.Popen(
        [python, "-m", "tests.browser.stage"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )

    def more() -> None:
        assert process.stdin is not None
        process.stdin.write("more\n")
        process.stdin.flush()

    try:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("{"):
                yield json.loads(line) | {"more": more}
                return
        raise Failed(f"the stage ended with {process.wait()}")
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()


def main() -> int:
    """Run the checks; 1 where one fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--images", type=Path, help="make the pictures of the documentation in this folder, and nothing else"
    )
    parser.add_argument("--only", default="", help="checks whose name has this in it")
    asked = parser.parse_args()
    failed = 0
    with staged() as stage, sync_playwright() as playwright:
        # Root has no sandbox of chromium's; what it looks at is this program's own.
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        checks = Checks(browser, stage)
        if asked.images:
            checks.pictures(asked.images.resolve())
            return 0
        found: list[Callable[[], None]] = [getattr(checks, name) for name in dir(checks) if name.startswith("check_")]
        for check in found:
            if asked.only not in check.__name__:
                continue
            began = time.monotonic()
            try:
                check()
            except Exception as error:  # noqa: BLE001 - whatever it is, the others go on
                failed += 1
                say(f"FAILED  {check.__name__}: {type(error).__name__}: {error}")
            else:
                say(f"ok      {check.__name__} ({time.monotonic() - began:.1f} s)")
        browser.close()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
