"""A database -> which of messaging's migrations it lacks."""

from __future__ import annotations

from django.db import InterfaceError, OperationalError, connections
from django.db.migrations.executor import MigrationExecutor

APP = "messaging"


def lacking(alias: str) -> str:
    """In words for a sentence; "" when there is nothing to apply, or when the database does not answer."""
    database = connections[alias]
    try:
        executor = MigrationExecutor(database)
        leaves = [node for node in executor.loader.graph.leaf_nodes() if node[0] == APP]
        plan = [each for each, _ in executor.migration_plan(leaves) if each.app_label == APP]
        applied = any(app == APP for app, _ in executor.loader.applied_migrations)
    except (OperationalError, InterfaceError):
        return ""
    if not plan:
        return ""
    names = ", ".join(f"{each.app_label}.{each.name}" for each in plan)
    return f"the migrations {names}" if applied else "messaging's tables"
