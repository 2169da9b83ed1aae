"""Redis as a message broker, one idea a test: read the files in the order queue, publish_subscribe, blocking, crash.

Each test runs against a real server, with the plain redis-py client, as a newcomer would type it. Where Redis alone
is not enough, the test goes on with what this project adds.
"""
