"""A path -> a view."""

from django.contrib import admin
from django.templatetags.static import static
from django.urls import include, path
from django.views.generic import RedirectView

from messaging import health, metrics

admin.autodiscover()

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="messaging:live"), name="home"),
    path("messages/", include("messaging.urls")),
    path("accounts/", include("django.contrib.auth.urls")),
    path("admin/", admin.site.urls),
    path(
        "favicon.ico", RedirectView.as_view(url=static("messaging/favicon.svg"))
    ),  # the admin has none of its own
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", metrics.scrape, name="metrics"),
]
