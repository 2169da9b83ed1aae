"""The site's URLs, and those of the example."""

from django.urls import path

from broker_site.urls import urlpatterns as site_urls
from examples.parcels import views

urlpatterns = [
    path("parcels/", views.board, name="board"),
    path("parcels/new/", views.change, name="new"),
    path("parcels/<int:pk>/", views.change, name="change"),
    *site_urls,
]
