"""The page in a real headless Chromium: as people use it, with pointer, keyboard, a narrow screen and dark mode."""

import shutil

import numpy as np
import pytest

from diffir.cli.main import main
from diffir.image_io import read_image
from tests.web.page_clients import SAMPLE, Visit, needs_gradio, page_on_free_port

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.slow,
    needs_gradio,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium"),
]
playwright = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install playwright")
PATIENCE = 120_000  # milliseconds
# The editor draws with a graphics card that is computed here: wait until ten pictures in a row came in time.
UNTIL_CALM = """async () => {
    for (let calm = 0; calm < 10; ) {
        const start = performance.now();
        await new Promise(requestAnimationFrame);
        calm = performance.now() - start < 400 ? calm + 1 : 0;
    }
}"""
BEFORE, AFTER = "compare-view .frame[data-ready]", "compare-view[after] .frame[data-ready]"


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with page_on_free_port(tmp_path_factory.mktemp("cache"), max_waiting=1) as running:
        yield running.url


@pytest.fixture(scope="module")
def chromium():
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium, address):
    """Open the page in a window of its own; at the end there was no error and no request beyond 127.0.0.1."""
    contexts, faults = [], []

    def watched(message):
        if message.type == "error" and "429" not in message.text:  # how a browser notes that the queue is full
            faults.append(message.text)

    def local(request):
        if not request.url.startswith((address, "data:", "blob:")):
            faults.append(request.url)

    def make(**settings):
        context = chromium.new_context(**{"viewport": {"width": 1300, "height": 900}, **settings})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("console", watched)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", local)
        page.goto(address)
        page.wait_for_selector("#network input")
        return page

    yield make
    for context in contexts:
        context.close()
    assert not faults


def upload(page, *photos):
    page.set_input_files("#drop input[type=file]", [str(photo) for photo in photos])


def restore(page):
    page.get_by_role("button", name="Restore", exact=True).click()
    page.wait_for_selector(AFTER)


def pixels_shown(page, side):
    """The pixels that the browser shows of one side, as it decoded them."""
    values = page.evaluate(
        """async (side) => {
            const image = document.querySelector("compare-view").shadowRoot.querySelector(`img.${side}`);
            const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
            const pen = canvas.getContext("2d", { colorSpace: "srgb" });
            pen.drawImage(image, 0, 0);
            return [canvas.width, canvas.height, ...pen.getImageData(0, 0, canvas.width, canvas.height).data];
        }""",
        side,
    )
    return np.array(values[2:], np.uint8).reshape(values[1], values[0], 4)[:, :, :3]


def test_dropped_photo_is_restored_shown_bit_for_bit_and_downloaded_as_the_command_writes_it(
    open_page, small, tmp_path
):
    page = open_page()
    upload(page, small)
    page.wait_for_selector(BEFORE)
    page.get_by_role("radio", name="Noise and grain").check()
    restore(page)

    with page.expect_download() as download:
        page.get_by_role("link", name="Download small.png").click()
    download.value.save_as(tmp_path / "downloaded.png")

    command = ["restore", str(small), "-o", f"{tmp_path}/out/", "-n", "denoise", "--device", "cpu", "--fp32"]
    assert main(command) == 0
    assert (tmp_path / "downloaded.png").read_bytes() == (tmp_path / "out/small.png").read_bytes()
    assert np.array_equal(pixels_shown(page, "before"), read_image(small).pixels)
    assert np.array_equal(pixels_shown(page, "after"), read_image(tmp_path / "downloaded.png").pixels)


def test_the_divider_moves_by_pointer_and_keyboard_and_the_picture_has_its_true_size_at_100_percent(open_page, small):
    page = open_page()
    upload(page, small)
    page.wait_for_selector(BEFORE)
    restore(page)
    divider, box = page.locator("compare-view input[type=range]"), page.locator("compare-view .pane").bounding_box()

    page.mouse.click(box["x"] + 0.2 * box["width"], box["y"] + 0.5 * box["height"])
    assert float(divider.input_value()) == pytest.approx(20, abs=2)
    divider.focus()
    page.keyboard.press("End")
    assert divider.input_value() == "100"
    page.keyboard.press("ArrowLeft")
    assert float(divider.input_value()) < 100

    zoom = page.locator("compare-view").get_by_role("button", name="100 %")
    zoom.focus()
    page.keyboard.press("Enter")
    assert zoom.get_attribute("aria-pressed") == "true"
    assert page.locator("compare-view .stage").bounding_box()["width"] == 96


def test_the_page_can_be_used_with_the_keyboard_alone(open_page, small):
    page = open_page()
    upload(page, small)
    page.wait_for_selector(BEFORE)

    page.get_by_role("radio", name="A bit of everything").focus()
    page.keyboard.press("ArrowDown")
    playwright.expect(page.get_by_role("radio", name="Noise and grain")).to_be_checked()
    button = page.get_by_role("button", name="Restore", exact=True)
    for _ in range(60):
        page.keyboard.press("Tab")
        if button.evaluate("node => node === document.activeElement"):
            break
    page.keyboard.press("Enter")

    assert page.wait_for_selector(AFTER).is_visible()


def test_what_is_painted_is_filled_and_all_else_stays(open_page):
    page = open_page()
    upload(page, SAMPLE)
    page.wait_for_selector(BEFORE)
    page.get_by_role("radio", name="Scratches, text, holes").check()
    canvas = page.locator("#editor canvas").first
    canvas.wait_for(state="visible")
    page.evaluate(UNTIL_CALM)
    box = canvas.bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] + 20, middle[1] + 12, steps=5)
    page.evaluate(UNTIL_CALM)
    page.mouse.up()
    page.evaluate(UNTIL_CALM)
    restore(page)

    changed = np.abs(pixels_shown(page, "after").astype(int) - pixels_shown(page, "before")).max(axis=2) > 0
    assert 20 < changed.sum() < 0.2 * changed.size
    assert changed[150:-150, 150:-150].any()
    assert not changed[:100].any()
    assert not changed[-100:].any()


def test_a_bad_file_is_answered_in_a_sentence(open_page, tmp_path):
    bad = tmp_path / "letter.jpg"
    bad.write_text("dear reader")
    page = open_page()

    upload(page, bad)

    page.get_by_text("letter.jpg: not an image in a format that can be read").wait_for()
    assert str(tmp_path) not in page.content()


def test_a_full_queue_is_answered_in_a_sentence(open_page, address, small):
    page = open_page()
    upload(page, small)
    page.wait_for_selector(BEFORE)
    visits = [Visit(address) for _ in range(2)]
    for visit in visits:
        visit.add(small)
    jobs = [visits[0].submit("ldm_sr_x4", samples=4)]
    while jobs[0].status().code.name != "PROGRESS":
        pass
    jobs.append(visits[1].submit())
    while jobs[1].status().code.name != "IN_QUEUE":
        pass

    page.get_by_role("button", name="Restore", exact=True).click()

    page.get_by_text("The page is busy with other photos. Yours stay here").first.wait_for()
    assert all(job.result(timeout=300) for job in jobs)


def test_suggest_names_what_is_wrong_and_chooses_the_network(open_page):
    page = open_page()
    upload(page, SAMPLE)
    page.wait_for_selector(BEFORE)

    page.get_by_role("button", name="Suggest a network").click()

    page.get_by_text("denoise should help").wait_for()
    assert page.get_by_role("radio", name="Noise and grain").is_checked()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_screen_shows_everything_below_each_other_in_the_colours_of_the_system(open_page, small, scheme):
    page = open_page(viewport={"width": 390, "height": 800}, color_scheme=scheme)
    upload(page, small)
    page.wait_for_selector(BEFORE)

    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    view, button = page.locator("compare-view").bounding_box(), page.locator("#restore").bounding_box()
    assert view["width"] <= 390
    assert button["x"] + button["width"] <= 390
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = np.mean([int(part) for part in background[background.index("(") + 1 : -1].split(",")[:3]])
    assert (brightness < 80) == (scheme == "dark")
