"""The table of parcels."""

from django.db import migrations, models

STATES = [("packed", "Packed"), ("sent", "Sent"), ("delivered", "Delivered")]


class Migration(migrations.Migration):
    initial = True

    dependencies = ()

    operations = (
        migrations.CreateModel(
            name="Parcel",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        primary_key=True, auto_created=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=100)),
                ("state", models.CharField(choices=STATES, default="packed", max_length=20)),
            ],
        ),
    )
