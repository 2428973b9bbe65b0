"""Restrictive headers for browsers and caches on each response."""

import pytest
from rest_framework.test import APIClient

from tests.api.schedules.bodies import INTERVALS

PAGES = ["/docs/", "/docs/?script", "/redoc/"]
PATHS = [INTERVALS, f"{INTERVALS}999/", "/api/nothing/", "/nothing/", "/healthz", "/admin/login/"]


def policy_of(response) -> dict[str, str]:
    """Return the sources of the Content-Security-Policy, by directive."""
    header = response.headers["Content-Security-Policy"]
    directives = (directive.strip().partition(" ") for directive in header.split(";"))
    return {name: sources for name, _, sources in directives}


@pytest.mark.parametrize("path", [*PATHS, *PAGES])
def test_every_response_has_safe_headers(api, path):
    headers = api.get(path).headers

    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Permissions-Policy"] == "camera=(), geolocation=(), microphone=()"
    assert "no-store" in headers["Cache-Control"]
    assert "Strict-Transport-Security" not in headers


@pytest.mark.parametrize("path", [*PATHS, *PAGES])
def test_scripts_are_allowed_from_this_server_only(api, path):
    policy = policy_of(api.get(path))

    assert policy["default-src"] == "'self'"
    assert not {"script-src", "script-src-elem", "script-src-attr"} & policy.keys()
    for directive in ("object-src", "base-uri", "frame-ancestors"):
        assert policy[directive] == "'none'"


def test_only_pages_allow_inline_styles(api):
    assert [path for path in [*PATHS, *PAGES] if "style-src" in policy_of(api.get(path))] == PAGES


@pytest.mark.parametrize("path", ["/docs/", "/redoc/"])
def test_pages_have_no_inline_script(api, path):
    page = api.get(path).content.decode()

    assert page.count("<script") == page.count("<script src=") > 0


def test_static_files_may_be_cached(api):
    response = api.get("/static/scheduler_api/redoc.js")

    assert response.status_code == 200
    assert "no-store" not in response.headers["Cache-Control"]
    response.close()


@pytest.mark.parametrize(
    ("seconds", "is_secure", "header"),
    [(3600, True, "max-age=3600"), (3600, False, None), (0, True, None)],
)
def test_hsts_is_sent_over_https_if_configured(settings, seconds, is_secure, header):
    settings.SECURE_HSTS_SECONDS = seconds

    response = APIClient().get("/healthz", secure=is_secure)

    assert response.headers.get("Strict-Transport-Security") == header
