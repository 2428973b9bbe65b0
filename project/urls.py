"""The URLs that the deployable serves."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path

handler400 = "scheduler_api.http.handlers.bad_request"
handler403 = "scheduler_api.http.handlers.permission_denied"
handler404 = "scheduler_api.http.handlers.not_found"
handler500 = "scheduler_api.http.handlers.server_error"

urlpatterns = [
    path("", include("scheduler_api.urls")),
]
if settings.DJANGO_ADMIN:
    admin.autodiscover()
    urlpatterns.append(path("admin/", admin.site.urls))
