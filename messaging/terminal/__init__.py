"""The log <-> a terminal or a pipe: what ``manage.py tail`` shows and ``manage.py publish`` reads."""
