"""A path below the app's mount point -> a view. Mount it at ``/messages/``: ``include("messaging.urls")``."""

from __future__ import annotations

from django.urls import path

from messaging import views

app_name = "messaging"

urlpatterns = [
    path("", views.live, name="live"),
    path("publish/", views.publish, name="publish"),
    path("channels/", views.channels, name="channels"),
    path("at/<str:location>/", views.at, name="at"),
    path("<int:pk>/", views.message, name="message"),
    path("<int:pk>/raw/", views.raw, name="raw"),
]
