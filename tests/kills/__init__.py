"""Workers killed at random moments, judged by a ledger that their tasks write.

    world (server, workers, tasks)  ->  kills  ->  ledger + jobs  ->  checker  ->  table

`make kills` runs it; test_checker.py shows that the checker sees what it is there for.
"""
