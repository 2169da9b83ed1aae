"""Nothing but subcommands of ``manage.py messaging``: each module has the name of one, ``add()`` and ``run()``."""
