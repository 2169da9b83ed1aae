"""A web service that knows Redis and nothing else: it publishes on one address and queues work on another.

    flask --app app run --port 5001

POST /orders   a JSON object -> PUBLISH orders.created; answers how many subscribers heard it
POST /jobs     {"name": "..."} -> LPUSH inbox; answers how many jobs now wait
"""

import json
import os
from itertools import count

import redis
from flask import Flask, Response, jsonify, request

app = Flask(__name__)
broker = redis.Redis.from_url(os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0"))
numbers = count(1)


@app.post("/orders")
def create_order() -> tuple[Response, int]:
    """Take an order and tell everyone who listens at this moment; nobody else will ever hear of it over Pub/Sub."""
    order = {"id": next(numbers), **request.get_json()}
    heard_by = broker.publish("orders.created", json.dumps(order))
    return jsonify(order=order, heard_by=heard_by), 201


@app.post("/jobs")
def queue_job() -> tuple[Response, int]:
    """Put a job into a list, where it waits until somebody takes it."""
    waiting = broker.lpush("inbox", request.get_json()["name"])
    return jsonify(waiting=waiting), 202
