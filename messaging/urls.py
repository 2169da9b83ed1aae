"""A path below the app's mount point -> a view. Mount it at ``/messages/``: ``include("messaging.urls")``."""

from __future__ import annotations

from django.urls import path

from messaging import finding, views
from messaging.live.ticketing import issue
from messaging.live.view import stream

app_name = "messaging"

urlpatterns = [
    path("", views.live, name="live"),
    path("stream", stream, name="stream"),
    path("ticket", issue, name="ticket"),
    path("publish/", views.publish, name="publish"),
    path("channels/", views.channels, name="channels"),
    path("place/", finding.place, name="place"),
    path("export/", finding.export, name="export"),
    path("at/<str:location>/", views.at, name="at"),
    path("<int:pk>/", views.message, name="message"),
    path("<int:pk>/raw/", views.raw, name="raw"),
]
