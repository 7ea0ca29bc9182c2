"""How people come in at the page, and how they leave."""

from playwright.sync_api import expect

NOT_OURS = "crawler_00000000000000000000_wrongwrongwrongwrongwrongwrong"


def test_who_has_no_token_is_led_to_the_form_and_from_there_to_where_he_meant_to_go(
    signed_in, shared_house
):
    window = signed_in("")
    page = window.page
    window.open("/dashboard/tasks?state=running")
    expect(page).to_have_title("Sign in · crawler")
    page.get_by_label("Token", exact=True).fill(NOT_OURS)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("status")).to_contain_text("token")
    expect(page).to_have_title("Sign in · crawler")
    page.get_by_label("Token", exact=True).fill(shared_house.tokens["viewer"])
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_title("Tasks · crawler")
    assert page.url.endswith("/dashboard/tasks?state=running")


def test_the_root_leads_to_the_page(signed_in):
    window = signed_in("viewer")
    window.open("/")
    expect(window.page).to_have_title("Cluster · crawler")


def test_no_script_can_read_the_cookie_and_no_other_site_sends_it(signed_in, shared_house):
    window = signed_in("viewer")
    window.open("/dashboard")
    assert window.page.evaluate("document.cookie") == ""
    (cookie,) = window.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Lax")
    assert shared_house.tokens["viewer"].rpartition("_")[2] not in cookie["value"]


def test_who_signs_out_is_out(signed_in):
    window = signed_in("viewer", own=True)
    window.open("/dashboard")
    window.page.get_by_role("button", name="Sign out").click()
    expect(window.page.get_by_role("status")).to_have_text("You have signed out.")
    window.open("/dashboard/tasks")
    expect(window.page).to_have_title("Sign in · crawler")
