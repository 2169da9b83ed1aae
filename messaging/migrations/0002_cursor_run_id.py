from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("messaging", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="cursor",
            name="run_id",
            field=models.CharField(
                blank=True,
                help_text="The run id of the Redis that was read last.",
                max_length=40,
                verbose_name="server",
            ),
        ),
    ]
