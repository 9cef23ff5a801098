"""Headless Chromium, driven from Python by way of playwright-core."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def chromium() -> str:
    """Where it is installed; empty: nowhere."""
    found = (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))
    return next((path for path in found if path), "")


class Page:
    """A page of the dashboard. Code is the body of an async function of JavaScript with playwright's `page`."""

    def __init__(self, browser: Browser, number: int) -> None:
        self._browser = browser
        self._number = number

    def run(self, code: str) -> Any:
        return self._browser.ask(page=self._number, code=code)

    def see(self, selector: str, text: str = "") -> None:
        """Waits for it."""
        located = f"page.locator({json.dumps(selector)})"
        if text:
            located += f".filter({{ hasText: {json.dumps(text)} }})"
        self.run(f"await {located}.first().waitFor()")

    def wait(self, expression: str) -> None:
        """Until an expression of the page itself is true."""
        self.run(
            f"for (let i = 0; i < 400; i++) {{ if (await page.evaluate({json.dumps(expression)})) return;"
            " await page.waitForTimeout(50); } throw new Error('not within 20 s')"
        )

    def open_document(self, name: str) -> None:
        self.run(
            f"await page.fill('#open-name', {json.dumps(name)}); await page.press('#open-name', 'Enter')"
        )
        self.see("#document-title", name)
        self.see("#editor-state", "Live")

    def complaints(self) -> list[str]:
        """Of the console: script errors, breaches of the content security policy, files that do not load."""
        found: list[str] = self.run("return page.complaints")
        return found

    def foreign(self) -> list[str]:
        found: list[str] = self.run("return page.foreign")
        return found


class Browser:
    """The browser and what is open in it."""

    def __init__(self, folder: Path, program: str) -> None:
        self._process = subprocess.Popen(
            ["node", str(HERE / "browser.mjs"), str(folder), program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def open(self, url: str, **options: Any) -> Page:
        return Page(self, self.ask(open=url, **options))

    def ask(self, **request: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the browser has ended"
        answer = json.loads(line)
        assert "error" not in answer, answer["error"]
        return answer["ok"]

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
