"""The page in a real browser: everything moves by pointer and by keys, and nothing is asked of anybody.

Needs selenium, Chromium and its driver; skipped where one of them is absent.
"""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from diffir.evaluation.document import document_from_json
from diffir.report import write_report

pytest.importorskip("selenium", reason="selenium is not installed: pip install selenium")

from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars")


@pytest.fixture(scope="module")
def browser():
    if not CHROMIUM or not DRIVER:
        pytest.skip("Chromium or chromedriver is not here: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    for flag in FLAGS:
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("report")


@pytest.fixture
def page(browser, folder, document, case):
    """The report, open, 1200 pixels wide and light, with its first case alive; no console error may come of a test."""
    path = folder / "report.html"
    if not path.exists():
        pictures = {name: np.tile(picture, (10, 8, 1)) for name, picture in case.pictures.items()}  # 384 x 320
        for image, value in zip(document["results"][1]["images"], (33.0, "inf", 27.0, "nan"), strict=True):
            image["scores"]["psnr"] = value
        write_report(path, document_from_json(document), [replace(case, pictures=pictures)])
    resize(browser, 1200, 900)
    emulate(browser, "light")
    browser.get(path.as_uri())
    browser.execute_script("document.querySelector('.case').scrollIntoView()")
    WebDriverWait(browser, 5, poll_frequency=0.02).until(lambda b: one(b, ".viewer").is_displayed())
    yield browser
    assert errors(browser) == []


def errors(browser) -> list[str]:
    """What the console told since it was last asked."""
    return [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def resize(browser, width: int, height: int) -> None:
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def emulate(browser, scheme: str) -> None:
    features = [
        {"name": "prefers-color-scheme", "value": scheme},
        {"name": "prefers-reduced-motion", "value": "reduce"},
    ]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def one(browser, selector: str):
    return browser.find_element(By.CSS_SELECTOR, selector)


def pointer(browser) -> ActionChains:
    return ActionChains(browser, duration=20)


def clip(browser) -> float:
    """Percent of the right picture that the divider hides."""
    return float(one(browser, ".upper").value_of_css_property("clip-path").rstrip("%)").split()[-1])


def seen(browser) -> list[float]:
    """Left, top, width and height of what the lenses show, in pixels of the picture."""
    return [float(number) for number in one(browser, ".case").get_attribute("data-seen").split()]


def pixel(browser, canvas: str, x: int, y: int) -> list[int]:
    script = "return [...document.querySelectorAll(arguments[0])[0].getContext('2d').getImageData(%d, %d, 1, 1).data]"
    return browser.execute_script(script % (x, y), canvas)[:3]


def first_column(browser) -> list[str]:
    return [cell.text.split("\n")[0] for cell in browser.find_elements(By.CSS_SELECTOR, ".wide tbody th")][:3]


def background(browser) -> str:
    return one(browser, "body").value_of_css_property("background-color")


def test_nothing_is_requested(page, folder):
    log = [entry["message"] for entry in page.get_log("performance") if "requestWillBeSent" in entry["message"]]
    asked = [message for message in log if '"url":"data:' not in message and folder.name not in message]

    assert log
    assert asked == []
    assert (
        page.execute_script("return performance.getEntriesByType('resource').filter(e => !/^data:/.test(e.name))") == []
    )


def test_the_policy_stops_a_script_that_got_in(page):
    page.execute_script(
        "const s = document.createElement('script'); s.text = 'window.got = 1'; document.body.append(s)"
    )

    assert page.execute_script("return window.got") is None
    assert "Content Security Policy" in errors(page)[0]


@pytest.mark.parametrize(
    ("keys", "share"),
    [
        ([Keys.HOME], 0),
        ([Keys.END], 100),
        ([Keys.ARROW_LEFT], 49),
        ([Keys.ARROW_RIGHT] * 3, 53),
        ([Keys.PAGE_UP], 60),
        ([Keys.HOME, Keys.ARROW_LEFT], 0),
    ],
)
def test_keys_move_the_divider(page, keys, share):
    divider = one(page, ".divider")

    divider.send_keys(*keys)

    assert clip(page) == share
    assert divider.get_attribute("aria-valuenow") == str(share)
    assert divider.get_attribute("aria-valuetext") == f"{share} % input, {100 - share} % photo"


def test_the_pointer_drags_the_divider(page):
    stage = one(page, ".stage")
    start = pointer(page).move_to_element(stage).click_and_hold()

    start.move_by_offset(-stage.size["width"] // 4, 20).release().perform()

    assert clip(page) == pytest.approx(25, abs=0.5)


def test_the_selects_choose_what_each_side_shows(page):
    before = pixel(page, ".layer.upper", 110, 110)

    Select(one(page, "[data-side=right]")).select_by_visible_text("ground truth")
    Select(one(page, "[data-side=left]")).select_by_visible_text("photo")

    assert pixel(page, ".layer", 4, 4) != pixel(page, ".layer.upper", 4, 4)
    assert pixel(page, ".layer.upper", 110, 110) == before  # restored without error there
    assert one(page, ".scores").text == "PSNR 25.00 dB"


def test_an_error_map_is_black_without_error_and_bright_with_it(page):
    Select(one(page, "[data-side=right]")).select_by_visible_text("error of photo")

    assert max(pixel(page, ".layer.upper", 20, 20)) < 20
    assert max(pixel(page, ".layer.upper", 4, 4)) > 80
    assert "0 to 32 of 255" in one(page, ".legend").text


def test_both_lenses_show_what_the_pointer_points_at(page):
    stage = one(page, ".stage")

    pointer(page).move_to_element_with_offset(stage, 10, -20).perform()

    left, top, across, down = seen(page)
    assert (left + across / 2, top + down / 2) == pytest.approx((384 / 2 + 10, 320 / 2 - 20), abs=1.5)
    assert pixel(page, ".lenses figure:last-child canvas", 1, 1) == pixel(page, ".layer.upper", int(left), int(top))


def test_the_lenses_return_to_the_point_that_was_clicked(page):
    stage = one(page, ".stage")
    pointer(page).move_to_element_with_offset(stage, 10, -20).click().perform()
    kept = seen(page)

    pointer(page).move_by_offset(30, 0).move_to_element(one(page, "h4")).perform()

    assert seen(page) == kept


def test_arrow_keys_move_both_lenses(page):
    lenses = one(page, ".lenses")
    lenses.send_keys(Keys.ARROW_LEFT * 60, Keys.ARROW_UP * 60)
    corner = seen(page)

    lenses.send_keys(Keys.ARROW_RIGHT * 60)

    assert corner[:2] == [0, 0]
    assert seen(page)[0] > 100
    assert seen(page)[1] == 0


def test_dragging_a_lens_moves_the_picture_under_both(page):
    one(page, ".lenses").send_keys(Keys.ARROW_LEFT * 60, Keys.ARROW_UP * 60)

    pointer(page).click_and_hold(one(page, ".lenses canvas")).move_by_offset(-300, 0).release().perform()

    assert seen(page)[0] > 100
    assert seen(page)[1] == 0


@pytest.mark.parametrize("zoom", [100, 200, 400])
def test_the_zoom_says_how_large_a_pixel_is(page, zoom):
    page.execute_script("arguments[0].click()", one(page, f".zoom input[value='{zoom}']"))

    lens = one(page, ".lenses canvas").size
    assert seen(page)[2:] == pytest.approx([lens["width"] * 100 / zoom, lens["height"] * 100 / zoom], abs=1)


def test_a_head_sorts_by_click_best_first_and_tells_it(page):
    head = one(page, "thead th:nth-child(2)")

    page.execute_script("arguments[0].click()", head.find_element(By.TAG_NAME, "button"))

    assert head.get_attribute("aria-sort") == "descending"
    assert first_column(page) == ["photo", "nlm", "input"]


@pytest.mark.parametrize("key", [Keys.ENTER, Keys.SPACE])
def test_a_head_sorts_by_key_and_the_second_time_the_other_way(page, key):
    head, other = one(page, "thead th:nth-child(2)"), one(page, "thead th:first-child")
    other.find_element(By.TAG_NAME, "button").send_keys(key)

    head.find_element(By.TAG_NAME, "button").send_keys(key, key)

    assert head.get_attribute("aria-sort") == "ascending"
    assert other.get_attribute("aria-sort") == "none"
    assert first_column(page) == ["input", "nlm", "photo"]


def test_what_is_missing_is_sorted_last_either_way(page):
    column = "thead th:nth-child(6) button"  # parameters, which the network alone has

    for _ in range(2):
        one(page, column).send_keys(Keys.ENTER)

        assert first_column(page)[0] == "photo"


@pytest.mark.parametrize(
    ("presses", "order"), [(1, ["creek", "barn", "dune", "elm"]), (2, ["dune", "barn", "creek", "elm"])]
)
def test_infinite_scores_are_sorted_as_numbers_and_missing_ones_last(page, presses, order):
    one(page, ".panel summary").click()

    one(page, ".panel thead th:nth-child(4) button").send_keys(Keys.ENTER * presses)

    assert [cell.text for cell in page.find_elements(By.CSS_SELECTOR, ".panel:not([hidden]) tbody th")] == order


def test_arrow_keys_name_the_images_of_a_strip_in_the_order_of_their_values(page):
    strip = one(page, ".strip.primary")

    told = []
    for key in (Keys.HOME, Keys.ARROW_RIGHT, Keys.END):
        strip.send_keys(key)
        told.append(one(page, ".readout").text)

    assert told == ["creek: 25.00 dB (photo)", "barn: 30.00 dB (photo)", "dune: 36.00 dB (photo)"]
    assert len(page.find_elements(By.CSS_SELECTOR, ".panel:not([hidden]) .chosen")) == 3  # one in each method's strip


def test_a_dot_under_the_pointer_is_named(page):
    dot = one(page, ".strip.primary circle[data-image=elm]")

    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", dot)
    pointer(page).move_to_element(dot).perform()

    assert one(page, ".readout").text == "elm: 31.50 dB (photo)"


def test_one_measure_is_shown_at_a_time(page):
    one(page, ".spread .choice input").send_keys(Keys.ARROW_RIGHT)

    shown = [panel.is_displayed() for panel in page.find_elements(By.CSS_SELECTOR, ".panel")]
    assert shown == [False, True, False]


@pytest.mark.parametrize("width", [360, 768, 1200])
def test_the_page_never_scrolls_sideways(page, width):
    resize(page, width, 800)
    page.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")

    assert page.execute_script("return document.documentElement.scrollWidth") == width


def test_the_theme_is_that_of_the_system_until_the_button_is_pressed(page):
    light = background(page)
    emulate(page, "dark")
    dark = background(page)

    page.execute_script("document.querySelector('.theme').click()")

    assert dark != light
    assert background(page) == light
    assert one(page, ".theme").get_attribute("aria-pressed") == "false"


def test_everything_can_be_reached_by_the_tab_key(page):
    page.execute_script("document.body.focus(); window.scrollTo(0, 0)")
    reached = set()
    for _ in range(60):
        ActionChains(page).send_keys(Keys.TAB).perform()
        reached.add(page.execute_script("const e = document.activeElement; return e.className || e.tagName"))

    assert {"theme", "wide", "BUTTON", "SUMMARY", "strip", "SELECT", "divider", "lenses"} <= reached
