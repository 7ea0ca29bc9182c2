"""Everything can be done without a mouse, and one sees where one is."""

from playwright.sync_api import expect

from tests.browser.chromium import Window
from tests.waiting import eventually

FOCUS = """() => {
    const at = document.activeElement, box = at.getBoundingClientRect();
    const name = at === document.body ? "" : at.getAttribute("aria-label") || at.textContent.trim();
    const style = getComputedStyle(at);
    return [name, box.width > 0 && style.outlineStyle !== "none"];
}"""


def test_signing_in(browser, shared_house):
    window = Window(browser, shared_house.origin)
    window.open("/dashboard/login")
    window.page.keyboard.type(shared_house.tokens["viewer"])  # the field has the focus
    window.page.keyboard.press("Enter")
    expect(window.page.get_by_role("heading", level=1)).to_have_text("Cluster")
    window.close()


def test_the_content_is_one_key_away(signed_in):
    window = signed_in("viewer")
    window.open("/dashboard")
    assert tab_to(window.page, "Skip to the content") == 1
    window.page.keyboard.press("Enter")
    assert window.page.evaluate("document.activeElement.id") == "content"


def test_deleting_a_task(house, signed_in):
    house.add("apples")
    eventually(lambda: house.runs("apples"), what="it runs")
    window = signed_in("operator")
    window.open("/dashboard/tasks")
    page = window.page
    tab_to(page, "Choose apples")
    page.keyboard.press("Space")
    expect(page.get_by_label("Choose apples")).to_be_checked()
    tab_to(page, "Delete", back=True)
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert page.evaluate(FOCUS)[0] == "Delete", "the focus is where it was"
    page.keyboard.press("Enter")
    tab_to(page, "Yes")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("1 task deleted.")


def tab_to(page, name, back=False, most=60):
    """Press Tab until what has that name has the focus, always visibly; how often."""
    for pressed in range(1, most + 1):
        page.keyboard.press("Shift+Tab" if back else "Tab")
        found, is_seen = page.evaluate(FOCUS)
        if found != "":
            assert is_seen, f"one does not see that {found!r} has the focus"
        if found == name:
            return pressed
    raise AssertionError(f"{name!r} does not get the focus")
