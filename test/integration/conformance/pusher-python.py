"""Calls the `pusher` package of PyPI for a test. One JSON document a line, in and out; ends with its input.

In: {"app": {...arguments of pusher.Pusher...}, "call": "trigger", "args": [...], "kwargs": {...}}
Out: {"result": ...} or {"error": {"type": "PusherBadRequest", "message": "..."}}
"""

import json
import sys

import pusher


def plain(value):
    """The SDK returns the shared secret of an encrypted channel as bytes."""
    if isinstance(value, bytes):
        return value.decode("ascii")
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


clients = {}
for line in sys.stdin:
    request = json.loads(line)
    key = json.dumps(request["app"], sort_keys=True)
    try:
        if key not in clients:
            clients[key] = pusher.Pusher(**request["app"])
        result = getattr(clients[key], request["call"])(*request.get("args", []), **request.get("kwargs", {}))
        answer = {"result": plain(result)}
    except Exception as error:  # Told to the test, which judges it.
        answer = {"error": {"type": type(error).__name__, "message": str(error)}}
    print(json.dumps(answer), flush=True)
