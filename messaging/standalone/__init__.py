"""Settings -> the whole site in one terminal: what ``manage.py up`` runs, and how it ends."""
