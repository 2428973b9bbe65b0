"""Everything the deployable serves."""

from django.contrib import admin
from django.urls import include, path

handler400 = "scheduler_api.http.problems.bad_request"
handler403 = "scheduler_api.http.problems.permission_denied"
handler404 = "scheduler_api.http.problems.not_found"
handler500 = "scheduler_api.http.problems.server_error"

urlpatterns = [
    path("", include("scheduler_api.urls")),
    path("admin/", admin.site.urls),
]
