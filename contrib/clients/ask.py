"""Asks each model at a LiteLLM proxy, which may take a while to come up.

    LITELLM_MASTER_KEY=… ask.py http://127.0.0.1:4000/v1 MODEL…
"""

import json
import os
import sys
import time
import urllib.request

base, *models = sys.argv[1:]
deadline = time.monotonic() + 50


def post(path, body):
    data = json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    headers["Authorization"] = "Bearer " + os.environ["LITELLM_MASTER_KEY"]
    with urllib.request.urlopen(urllib.request.Request(base + path, data, headers)) as answer:
        return json.load(answer)


def up():
    try:
        urllib.request.urlopen(base.removesuffix("/v1") + "/health/liveliness", timeout=2)
        return True
    except OSError:
        return False


while not up():
    if time.monotonic() > deadline:
        sys.exit("the server did not come up")
    time.sleep(0.3)
for model in models:
    messages = [{"role": "user", "content": "How is the weather in Oslo?"}]
    answer = post("/chat/completions", {"model": model, "messages": messages, "max_tokens": 100})
    print(answer["choices"][0]["message"]["content"])
