"""The page in a real browser, as wide as a phone, without a network."""

import html
import json
import re
import shutil
import subprocess

import pytest

import atmorep_k

pytestmark = pytest.mark.slow

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_WIDTH = 390
# Runs in a copy of the page, whose policy lets it, and tells the frame what it has found.
_PROBE = """
<script>
addEventListener("load", async () => {
  document.querySelectorAll("details").forEach((part) => { part.open = true; });
  const images = [...document.images];
  await Promise.all(images.map((image) => image.decode().catch(() => null)));
  const found = {
    viewport: innerWidth,
    page: document.documentElement.scrollWidth,
    images: images.length,
    broken: images.filter((image) => !image.naturalWidth).length,
    fetched: performance.getEntriesByType("resource").map((entry) => entry.name)
      .filter((name) => !name.startsWith("data:")),
    wide: [...document.querySelectorAll(".scroll")].filter(
      (part) => part.scrollWidth > part.clientWidth).length,
    unread: images.filter((image) => !image.alt).length,
  };
  parent.postMessage(JSON.stringify(found), "*");
});
</script>
"""
# A browser's window may be no narrower than 500 pixels; a frame may.
_FRAME = f"""<!doctype html>
<script>
addEventListener("message", (event) => {{ document.body.dataset.found = event.data; }});
</script>
<body><iframe src="probed.html" width="{_WIDTH}" height="844" style="border: 0"></iframe></body>
"""


@pytest.fixture
def browse(tmp_path):
    """Function (page, its time) -> its elements in a browser, and what that has said."""
    program = next((p for name in _BROWSERS if (p := shutil.which(name))), None)
    if program is None:
        pytest.skip(f"no browser: none of {', '.join(_BROWSERS)} is on the PATH")

    def browse(page, milliseconds):
        command = [
            program,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
        ]
        command += [f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr"]
        command += ["--host-resolver-rules=MAP * ~NOTFOUND"]
        command += [f"--virtual-time-budget={milliseconds}"]
        command += ["--window-size=800,1000", "--dump-dom", page.as_uri()]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=240)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout, re.findall(r".*CONSOLE.*", ended.stderr)

    return browse


def test_a_page_on_a_phone(browse, finished, evaluation, tmp_path):
    path = atmorep_k.report([finished.path, evaluation], output=tmp_path / "page.html")
    whole = path.read_text(encoding="utf-8")
    policy = "default-src 'none'"
    assert whole.count(policy) == 1
    probed = whole.replace(policy, f"{policy}; script-src 'unsafe-inline'")
    probed = probed.replace("</body>", f"{_PROBE}</body>")
    (tmp_path / "probed.html").write_text(probed, encoding="utf-8")
    (tmp_path / "frame.html").write_text(_FRAME)
    # The frame has a process of its own, which the browser's time does not wait for.
    for milliseconds in (20_000, 100_000, 500_000):
        elements, said = browse(tmp_path / "frame.html", milliseconds)
        assert said == []
        if told := re.search(r'data-found="([^"]*)"', elements):
            break
    found = json.loads(html.unescape(told[1]))
    assert found["viewport"] == _WIDTH
    assert found["page"] <= _WIDTH  # what is wider scrolls within itself
    assert found["wide"] > 3
    assert found["images"] == whole.count("<img ") > 8
    assert (found["broken"], found["unread"], found["fetched"]) == (0, 0, [])
