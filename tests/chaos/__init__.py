"""Faults by real signals on real servers, judged by a ledger.

Writers note each publish before and after; a nemesis injects faults; when all is quiet, a checker compares the ledger
with the database and looks at nothing else. `make chaos` is the long form, test_cases.py the short one, and
test_variants.py shows that the checker catches a product that has lost one of its safeguards.

    cases  ->  run (world: server, database, processes; faults)  ->  ledger + rows  ->  checker  ->  table
"""
