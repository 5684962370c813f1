"""Take the pictures of the help articles again, from the demo world: `make pictures`.

One light browser walks from connecting to the receipt; each picture is one part of a page, under the name that the
articles use. Run it whenever these parts change their look, and look at what it took.
"""

from __future__ import annotations

import tempfile
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Locator, Page, ViewportSize, expect, sync_playwright

from portal.web.pictures import FOLDER, LARGEST
from tests import browser
from tests.terminal import Demo, running
from tests.world import PASSWORD, Microsoft

ALICE, SAM = "alice@northwind.example", "sam@coordinoter.example"
WIDE, NARROW = ViewportSize(width=1100, height=760), ViewportSize(width=700, height=900)
"""The help panel stands beside a wide page."""
COLOURS = 128
SPARE = "* { animation: none !important; caret-color: transparent !important } .card, .dialog { border-radius: 0 }"


def take(part: Locator, name: str) -> None:
    """One picture, in as few colours as do. A part that is too large is told, not shrunk."""
    expect(part).to_be_visible(timeout=20_000)
    path = FOLDER / f"{name}.png"
    taken = Image.open(BytesIO(part.screenshot(animations="disabled", style=SPARE)))
    taken.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    size = path.stat().st_size
    assert size <= LARGEST, f"{path.name} has {size} bytes, and {LARGEST} are allowed: show a smaller part"
    print(f"{path.name}: {size} bytes")


def sign_in(chromium: Browser, demo: Demo, email: str, path: str, size: ViewportSize = NARROW) -> Page:
    context = chromium.new_context(
        base_url=demo.url,
        viewport=size,
        color_scheme="light",
        reduced_motion="reduce",
        timezone_id="Europe/Berlin",
    )
    page = context.new_page()
    page.goto(f"/sign-in?next={path}")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(f"**{path}")
    return page


def walk(chromium: Browser, demo: Demo) -> None:
    """From the card to the receipt, with an outage in the middle."""
    sandbox = Microsoft(demo.sandbox_url)
    alice = sign_in(chromium, demo, ALICE, "/integrations/outlook-calendar")
    card = alice.locator("#card-outlook-calendar")
    take(card, "card-not-connected")
    alice.get_by_role("button", name="Connect to Microsoft").click()
    alice.get_by_role("button", name="adele@contoso.example").click()
    alice.get_by_role("button", name="Accept").click()
    expect(card.get_by_text("Connected", exact=True)).to_be_visible(timeout=60_000)
    alice.goto("/integrations/outlook-calendar")
    expect(card.get_by_text("Connected", exact=True)).to_be_visible()
    take(card, "card-connected")

    sign_in(chromium, demo, SAM, "/support")
    helped = sign_in(chromium, demo, ALICE, "/integrations/outlook-calendar", WIDE)
    helped.get_by_role("button", name="Help", exact=True).click()
    expect(helped.locator("#presence-panel")).to_contain_text("is here")
    helped.evaluate("document.activeElement.blur()")
    take(helped.locator("#help-panel"), "help-panel")

    sandbox.breaks("status", "subscriptions", status=503, times=None)
    alice.get_by_role("link", name="Disconnect from Microsoft").or_(
        alice.get_by_role("button", name="Disconnect from Microsoft")
    ).first.click()
    take(alice.get_by_role("dialog"), "question")
    alice.get_by_role("dialog").get_by_role("button", name="Disconnect", exact=True).click()
    expect(card).to_contain_text("Microsoft is not answering.", timeout=30_000)
    take(card, "progress")
    sandbox.mend()
    alice.wait_for_url("**/disconnections/*", timeout=90_000)
    alice.reload()
    take(alice.locator("#voice-yours"), "only-you")
    take(alice.locator("#voice-good"), "receipt")


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        running(Path(folder) / "var") as demo,
        sync_playwright() as playwright,
    ):
        chromium = playwright.chromium.launch(executable_path=browser.get(), args=["--no-sandbox"])
        walk(chromium, demo)
        chromium.close()


if __name__ == "__main__":
    main()
