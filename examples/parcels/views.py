"""A request -> the board, or a parcel that is changed."""

from django.contrib.auth.decorators import permission_required
from django.forms import modelform_factory
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from examples.parcels.models import Parcel
from messaging import places

ParcelForm = modelform_factory(Parcel, fields=["name", "state"])


@permission_required("messaging.view_message")
def board(request: HttpRequest) -> HttpResponse:
    """All parcels, and the place in the log from which the page listens."""
    position = places.position()  # before the query: what is saved in between reaches the page as a message
    return render(
        request, "parcels/board.html", {"position": position, "parcels": Parcel.objects.order_by("pk")}
    )


@permission_required("messaging.view_message")
def change(request: HttpRequest, pk: int | None = None) -> HttpResponse:
    """One parcel, or a new one."""
    parcel = None if pk is None else get_object_or_404(Parcel, pk=pk)
    form = ParcelForm(request.POST or None, instance=parcel)
    if form.is_valid():
        form.save()
        return redirect("board")
    return render(request, "parcels/change.html", {"form": form, "parcel": parcel})
