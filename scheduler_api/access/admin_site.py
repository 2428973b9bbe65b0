"""The site of Django admin, with limited sign-in."""

from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from scheduler_api.access.throttling import refuse_further_sign_ins
from scheduler_api.http.problems import TooManyRequests


class LimitedAdminSite(AdminSite):
    """Django's site, which would let anybody try any number of passwords."""

    site_header = site_title = "Scheduler API"
    site_url = "/docs/"

    def login(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Refuse attempts beyond the limit, before the password is checked."""
        if request.method == "POST":
            try:
                refuse_further_sign_ins(request)
            except TooManyRequests as error:
                context = {**self.each_context(request), "detail": error.detail}
                return TemplateResponse(
                    request,
                    "admin/sign_in_refused.html",
                    context,
                    status=error.status_code,
                    headers=error.headers,
                )
        return super().login(request, extra_context)
