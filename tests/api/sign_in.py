#!/usr/bin/env python3
"""Waits for a gateway, signs in to it, and prints a personal access token: URL LOGIN PASSWORD."""

import json
import sys
import time
import urllib.error
import urllib.request

url, login, password = sys.argv[1:]


def ask(method, path, body=None, headers=None):
    request = urllib.request.Request(
        url + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"content-type": "application/json", **(headers or {})},
    )
    return urllib.request.urlopen(request, timeout=10)


for _ in range(400):
    try:
        ask("GET", "/health")
        break
    except (urllib.error.URLError, ConnectionError):
        time.sleep(0.05)
else:
    sys.exit(f"{url} does not come up")

answer = ask("POST", "/api/v1/session", {"login": login, "password": password})
session = json.load(answer)
cookie = answer.headers["set-cookie"].split(";")[0]
shown = {"cookie": cookie, "x-lingate-csrf": session["csrf_token"]}
print(json.load(ask("POST", "/api/v1/tokens", {"name": "tests of the API"}, shown))["token"])
