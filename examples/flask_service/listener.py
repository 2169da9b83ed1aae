"""What is published on Redis -> lines on the terminal. Knows Redis and the CloudEvents format, nothing else.

python listener.py 'orders.*' updates
"""

import json
import os
import sys

import redis


def line_of(channel: str, data: bytes) -> str:
    """A message in a line: a CloudEvent by its attributes, anything else as it is."""
    try:
        event = json.loads(data)
        if event["specversion"] == "1.0":
            attributes = (
                f"type={event['type']} source={event['source']} id={event['id']} time={event['time']}"
            )
            content = json.dumps(event["data"]) if "data" in event else f"base64 {event['data_base64']}"
            return f"{channel} {attributes} data={content}"
    except (ValueError, TypeError, KeyError):
        pass
    return f"{channel} {data.decode(errors='replace')}"


def main(patterns: list[str]) -> None:
    """Subscribe and print until Ctrl-C. This loop blocks: a program that has other work needs a thread for it."""
    broker = redis.Redis.from_url(os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0"))
    pubsub = broker.pubsub(ignore_subscribe_messages=True)
    pubsub.psubscribe(*patterns)
    print(f"listening to {' '.join(patterns)}", file=sys.stderr, flush=True)
    try:
        for message in pubsub.listen():
            print(line_of(message["channel"].decode(), message["data"]), flush=True)
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main(sys.argv[1:] or ["*"])
