"""The pages for people, in a real browser on the running service: complete, and by themselves."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from tests.contract.document import DOCUMENT, OPERATIONS, operation
from tests.journeys.service import ROOT, Service

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
)
PATIENCE_MILLISECONDS = 30_000
expect.set_options(timeout=PATIENCE_MILLISECONDS)


@pytest.fixture(scope="module")
def service(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Run the service as `make up` does; only where there is a browser to look at it."""
    with Service(tmp_path_factory.mktemp("docs")) as service:
        yield service


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=[*ARGUMENTS])
        yield browser
        browser.close()


@pytest.fixture
def page(service: Service, browser: Browser) -> Iterator[Page]:
    """Open a page that may ask the service alone, and that must not complain."""
    complaints: list[str] = []

    def serve(route: Route) -> None:
        if route.request.url.startswith((f"{service.address}/", "data:", "blob:")):
            route.continue_()
        else:
            complaints.append(f"asked {route.request.url}")
            route.abort()

    page = browser.new_page(base_url=service.address, viewport={"width": 1200, "height": 1400})
    page.set_default_timeout(PATIENCE_MILLISECONDS)
    page.route("**/*", serve)
    page.on("console", lambda said: complaints.append(f"{said.type}: {said.text}"))
    page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
    page.on(
        "response",
        lambda response: (
            complaints.append(f"{response.status} {response.url}")
            if response.status >= 400
            else None
        ),
    )
    yield page
    page.wait_for_load_state("networkidle")
    page.close()
    assert complaints == []


def test_the_bare_address_leads_to_the_documentation(page: Page, service: Service):
    page.goto("/")

    expect(page).to_have_url(f"{service.address}/docs/")
    expect(page).to_have_title("Scheduler API")


def test_swagger_ui_lists_every_operation(page: Page):
    page.goto("/docs/")

    blocks = page.locator(".opblock")
    expect(blocks).to_have_count(len(OPERATIONS) + len(DOCUMENT["webhooks"]))
    for each in OPERATIONS:
        block = page.locator(f"[id$='-{each.id}']")
        expect(block.locator(".opblock-summary-method")).to_have_text(each.method.upper())
        expect(block.locator(".opblock-summary-description")).to_have_text(
            each.described["summary"]
        )
    for tag in DOCUMENT["tags"]:
        expect(page.locator(".opblock-tag", has_text=tag["description"])).to_be_visible()


def make_superuser(service: Service, *, name: str, password: str) -> None:
    """Let a person into the admin."""
    subprocess.run(
        [sys.executable, "manage.py", "createsuperuser", "--no-input"],
        cwd=ROOT,
        env={
            **service.environment,
            "DJANGO_SUPERUSER_USERNAME": name,
            "DJANGO_SUPERUSER_PASSWORD": password,
            "DJANGO_SUPERUSER_EMAIL": "",
        },
        check=True,
        capture_output=True,
    )


def authorize(page: Page, key: str) -> None:
    """Give Swagger UI a key, as a person does."""
    page.get_by_role("button", name="Authorize").first.click()
    dialog = page.locator(".dialog-ux")
    dialog.get_by_role("textbox").fill(key)
    dialog.get_by_role("button", name="Apply credentials").click()
    dialog.get_by_role("button", name="Close").click()


def test_the_example_can_be_tried_out(page: Page, service: Service):
    page.goto("/docs/")
    authorize(page, service.key_file.read_text().strip())
    block = page.locator("[id$='-createPeriodicTask']")
    block.locator(".opblock-summary-control").click()

    block.get_by_role("button", name="Try it out").click()
    block.get_by_role("button", name="Execute").click()

    answer = block.locator(".live-responses-table .response").first
    expect(answer.locator(".response-col_status")).to_contain_text("201")
    expect(answer).to_contain_text("Import customers")
    expect(block.locator(".curl-command")).to_contain_text("curl -X")
    expect(block.locator(".curl-command")).not_to_contain_text("CSRF")
    _, listed = service.call("GET", "/api/v1/periodic-tasks/?name=Import%20customers")
    (task,) = listed["results"]
    assert task["args"] == ["arg1", "arg2"]
    assert task["kwargs"] == {"be_careful": True}
    assert task["schedule"]["description"] == "Every 30 seconds"


def test_swagger_ui_shows_a_problem(page: Page):
    page.goto("/docs/")
    block = page.locator("[id$='-createPeriodicTask']")
    block.locator(".opblock-summary-control").click()
    expect(block.locator("code", has_text="validation_failed").first).to_be_visible()
    expect(block.locator(".responses-inner")).to_contain_text("/schedule/every")


def test_redoc_shows_every_operation(page: Page):
    page.goto("/redoc/")

    expect(page).to_have_title("Scheduler API")
    expect(page.locator("h1")).to_contain_text(["Scheduler API"])
    for each in OPERATIONS:
        expect(page.locator(f"[id$='/operation/{each.id}']").first).to_be_attached()
    creating = page.locator("[id='tag/Periodic-tasks/operation/createPeriodicTask']").first
    expect(creating).to_contain_text(operation("createPeriodicTask").described["summary"])


def test_the_admin_works_under_the_same_policy(page: Page, service: Service, canary: str):
    make_superuser(service, name="boss", password=canary)
    page.goto("/admin/")
    page.get_by_label("Username").fill("boss")
    page.get_by_label("Password").fill(canary)
    page.get_by_role("button", name="Log in").click()

    page.goto("/admin/django_celery_beat/periodictask/add/")
    page.get_by_label("Name").fill("From the admin")
    page.get_by_label("Task (custom)").fill("project.tasks.heartbeat")
    page.locator("select[name=crontab]").select_option(label="0 3 * * * (m/h/dM/MY/d) UTC")
    expect(page.locator(".field-crontab .help")).to_contain_text("Translation: At 03:00")
    page.get_by_role("link", name="Today").click()
    page.get_by_role("link", name="Now").click()
    page.get_by_role("button", name="Save", exact=True).click()

    expect(page.locator(".messagelist .success")).to_contain_text("From the admin")


def test_script_within_a_page_does_not_run(service: Service, browser: Browser):
    page = browser.new_page(base_url=service.address)
    page.goto("/docs/")

    page.evaluate("""
        const script = document.createElement("script");
        script.textContent = "window.broken = true";
        document.body.append(script);
    """)

    assert page.evaluate("window.broken") is None
    page.close()
