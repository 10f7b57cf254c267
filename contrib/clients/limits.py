"""Meets every refusal of docs/limits.md with openai (Python) and anthropic; `run-limits` runs it.

limits.py openai|anthropic KEYS LOG: KEYS is the CSV that `llmproxy user add --from` printed, LOG
the server's log. Each user has one limit, and its name says which. One line per check says `ok` or
`failed`; the script ends with 1 if one failed. Refused attempts are counted in the
server's access log.
"""

import csv
import importlib
import json
import sys
import threading
import time

sdk_name, keys_file, log_file = sys.argv[1:]
sdk = importlib.import_module(sdk_name)
with open(keys_file) as file:
    KEYS = {row["username"]: row["api_key"] for row in csv.DictReader(file)}
MODEL = "gpt-4o" if sdk_name == "openai" else "claude-opus-4-8"
# Longer than any attempt that the SDK makes at once, shorter than a wait that it sleeps through.
STILL_WAITING_SECONDS = 3
failures = 0


def client(user, max_retries):
    make = sdk.OpenAI if sdk_name == "openai" else sdk.Anthropic
    return make(api_key=KEYS[f"python-{user}"], max_retries=max_retries)


def ask(user, max_tokens=10, max_retries=2, model=MODEL, wait_seconds=0, **more):
    """Asks a question. The scripted backend waits for so long with its answer."""
    body = {"wait_seconds": wait_seconds} if wait_seconds else None
    made = client(user, max_retries)
    create = made.chat.completions.create if sdk_name == "openai" else made.messages.create
    messages = [{"role": "user", "content": "hi"}]
    return create(
        model=model, messages=messages, max_tokens=max_tokens, extra_body=body, **more
    )


def lines_with(*texts):
    """Returns the number of lines of the log that contain all texts."""
    with open(log_file, errors="replace") as file:
        return sum(all(text in line for text in texts) for line in file)


def wait_for_lines(expected, *texts):
    """Waits for lines of the log: one comes a moment after its answer."""
    deadline = time.monotonic() + 5
    while lines_with(*texts) < expected and time.monotonic() < deadline:
        time.sleep(0.01)


def refusal(call):
    """Returns the exception that a call ends with, once it is logged."""
    try:
        call()
    except sdk.APIStatusError as error:
        wait_for_lines(1, error.request_id)
        return error
    raise AssertionError("the request was served")


def refusals_of(user):
    """Returns how many of the user's requests were refused, by the access log."""
    return lines_with(f'user="python-{user}"', " refused=")


def count(user, expected, call):
    """Checks how many of a call's attempts are refused, and returns its result."""
    before = refusals_of(user)
    result = call()
    wait_for_lines(before + expected, f'user="python-{user}"', " refused=")
    refused = refusals_of(user) - before
    assert refused == expected, f"{refused} refused attempts, not {expected}"
    return result


def check(error, exception, code, type_, user, says, **llmproxy):
    """Checks the class, the members and the message of a refusal."""
    body = error.body if sdk_name == "openai" else error.body["error"]
    assert type(error) is exception, type(error)
    if sdk_name == "openai":
        assert (error.code, error.type) == (code, type_), (error.code, error.type)
    else:
        assert body["type"] == type_, body
    details = body["llmproxy"]
    expected = {"scope": "user", "name": f"python-{user}", **llmproxy}
    for name, value in expected.items():
        given = details.get(name)
        assert given == value or (value is ... and given is not None), f"{name}: {details}"
    for text in [expected["name"], *says]:
        assert text in error.message, f"{text!r} is not in: {error.message}"
    resets_at = details.get("resets_at")
    if "It resets at" in says:
        assert resets_at in error.message, error.message
    assert error.request_id, error.response.headers


def wait_of(error):
    """Returns the seconds that a refusal asks to wait for, to the millisecond if it says so."""
    headers = error.response.headers
    if "retry-after-ms" in headers:
        return int(headers["retry-after-ms"]) / 1000
    return int(headers["retry-after"]) if "retry-after" in headers else None


def is_final(error):
    return error.response.headers.get("x-should-retry") == "false"


def hold(user, seconds, **request):
    """Starts a request that is in flight for a while, and returns its thread once it is."""
    thread = threading.Thread(
        target=ask, args=[user], kwargs={"wait_seconds": seconds, **request}, daemon=True
    )
    thread.start()
    probe = sdk.DefaultHttpxClient(base_url=client(user, 0).base_url.copy_with(path="/"))
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        limits = probe.get("/admin/list_limits", params={"username": f"python-{user}"}).json()
        for limit in limits["limits"]:
            if limit.get("reserved") or limit["kind"] == "concurrent" and limit["used"]:
                return thread
        time.sleep(0.01)
    raise AssertionError(f"the request is not in flight: {json.dumps(limits)}")


# === The refusals of OpenAI's endpoints ===


def used_up(user, used, limit, resets=True, served=1, **llmproxy):
    """A budget that is used up is refused once, and says how long."""
    for _ in range(served):
        ask(user)
    error = count(user, 1, lambda: refusal(lambda: ask(user)))
    quota = "insufficient_quota"
    llmproxy = {"kind": "budget", "limit": limit, "used": used, **llmproxy}
    # Messages leave out the zeros behind an amount in dollars.
    figures = [f if isinstance(f, int) else f.rstrip("0") for f in (used, limit)]
    says = ["used up" if served else "leaves too little", *map(str, figures)]
    says += ["It resets at"] if resets else []
    llmproxy["resets_at"] = ... if resets else None
    check(error, sdk.RateLimitError, quota, quota, user, says, **llmproxy)
    assert is_final(error) and (wait_of(error) is not None) == resets, error.response.headers


def money():
    # 700 tokens of input for 2.50 dollars a million, 300 cached for 1.25 and 50 of output for 10.
    used_up("money", "0.002625000", "0.002000000", unit="usd", window="month")


def tokens():
    used_up("tokens", 1050, 1000, unit="tokens", window="day")


def requests():
    used_up("requests", 1, 1, unit="requests", window="week")


def total():
    used_up("total", 1050, 1000, unit="tokens", window="total", resets=False)


def too_little():
    used_up("too-little", 0, 5, unit="tokens", window="day", served=0)


def group():
    llmproxy = {"scope": "group", "name": "python-course", "unit": "tokens"}
    used_up("group", 1050, 1000, resets=False, **llmproxy)


def stream():
    error = count("stream", 1, lambda: refusal(lambda: ask("stream", stream=True)))
    quota = "insufficient_quota"
    check(error, sdk.RateLimitError, quota, quota, "stream", ["of 5 tokens"], kind="budget")


def responses():
    made = client("responses", 2).responses
    request = {"model": "gpt-5", "input": "hi", "max_output_tokens": 20}
    error = count("responses", 1, lambda: refusal(lambda: made.create(**request)))
    quota = "insufficient_quota"
    check(error, sdk.RateLimitError, quota, quota, "responses", ["of 5 tokens"], kind="budget")


def in_flight():
    # 2,000 of 3,200 tokens are reserved while the first is in flight, and 1,050 used when it ends.
    thread = hold("in-flight", 1.5, max_tokens=2000)
    error = refusal(lambda: ask("in-flight", 1500, max_retries=0))
    says = ["in flight", "reserved", "of 3200 tokens", "Try again when they have ended"]
    check(error, sdk.RateLimitError, "rate_limit_exceeded", "requests", "in-flight", says,
          kind="budget", limit=3200, used=0, reserved=..., requested=..., resets_at=...)
    assert wait_of(error) == 2 and not is_final(error), error.response.headers
    # It is refused, and served after two seconds.
    count("in-flight", 1, lambda: ask("in-flight", 1500))
    thread.join()


def requests_per_minute():
    user = "requests-per-minute"

    def drain():
        for _ in range(200):
            ask(user, max_retries=0)

    error = refusal(drain)
    says = ["60 requests a minute", "Try again in"]
    check(error, sdk.RateLimitError, "rate_limit_exceeded", "requests", user, says,
          kind="requests_per_minute", limit=60, used=..., resets_at=...)
    assert 0 < wait_of(error) <= 1 and not is_final(error), error.response.headers
    # One request flows in within the second that the SDK waits.
    count(user, 1, lambda: ask(user))


def tokens_per_minute():
    # The first uses 1,050 of 3,000; 50 come back each second, so that 2,010 are there in 1.5 s.
    user = "tokens-per-minute"
    ask(user)
    error = refusal(lambda: ask(user, 2000, max_retries=0))
    says = ["3000 tokens a minute", "Try again in"]
    check(error, sdk.RateLimitError, "rate_limit_exceeded", "tokens", user, says,
          kind="tokens_per_minute", limit=3000, used=..., resets_at=...)
    assert 0 < wait_of(error) < 5 and not is_final(error), error.response.headers
    count(user, 1, lambda: ask(user, 2000))


def long_wait():
    # A debt of 650 tokens at 400 a minute: the SDK sleeps for up to two minutes.
    user = "long-wait"
    ask(user)
    error = refusal(lambda: ask(user, 1, max_retries=0))
    assert 60 < wait_of(error) < 120 and not is_final(error), error.response.headers
    before = refusals_of(user)
    thread = threading.Thread(target=lambda: refusal(lambda: ask(user, 1)), daemon=True)
    thread.start()
    thread.join(STILL_WAITING_SECONDS)
    refused = refusals_of(user) - before
    assert thread.is_alive() and refused == 1, f"{refused} refused attempts, not 1"


def longer_wait():
    # A debt of 750 tokens at 300 a minute: the SDK does not retry after more than two minutes.
    user = "longer-wait"
    ask(user)
    error = count(user, 1, lambda: refusal(lambda: ask(user, 1)))
    assert wait_of(error) > 120 and not is_final(error), error.response.headers


def larger_than_rate():
    user = "larger-than-rate"
    error = count(user, 1, lambda: refusal(lambda: ask(user, 1000)))
    says = ["300 tokens a minute", "Ask for less output"]
    check(error, sdk.RateLimitError, "rate_limit_exceeded", "tokens", user, says,
          kind="tokens_per_minute", limit=300, requested=...)
    assert is_final(error) and wait_of(error) is None, error.response.headers


def concurrent():
    user = "concurrent"
    thread = hold(user, 0.7)
    error = refusal(lambda: ask(user, max_retries=0))
    says = ["1 requests at the same time", "Try again when one has ended"]
    check(error, sdk.RateLimitError, "rate_limit_exceeded", "requests", user, says,
          kind="concurrent", limit=1, used=1)
    assert wait_of(error) == 1 and not is_final(error), error.response.headers
    # It is refused, and served after a second.
    count(user, 1, lambda: ask(user))
    thread.join()


def not_allowed(user, kind):
    error = count(user, 1, lambda: refusal(lambda: ask(user)))
    check(error, sdk.NotFoundError, "model_not_found", "invalid_request_error", user,
          [f"`{MODEL}`", "GET /v1/models"], kind=kind)


def models():
    not_allowed("models", "models")


def deny_models():
    not_allowed("deny-models", "deny_models")


def max_output():
    error = count("max-output", 1, lambda: refusal(lambda: ask("max-output", 101)))
    check(error, sdk.BadRequestError, None, "invalid_request_error", "max-output",
          ["`max_tokens` must be at most 100"], kind="max_output_tokens", limit=100)
    assert error.param == "max_tokens", error.param


def everybody():
    error = count("everybody", 1, lambda: refusal(lambda: ask("everybody", 9001)))
    check(error, sdk.BadRequestError, None, "invalid_request_error", "everybody",
          ["at most 9000"], scope="everybody", kind="max_output_tokens", limit=9000)


def unpriced():
    request = {"model": "nobody-knows"}
    error = count("unpriced", 1, lambda: refusal(lambda: ask("unpriced", **request)))
    check(error, sdk.PermissionDeniedError, "model_not_priced", "permission_error", "unpriced",
          ["`nobody-knows`", "no price"], kind="budget", unit="usd")


# === Those of Anthropic's ===


def messages_budget():
    ask("messages-budget")
    error = count("messages-budget", 1, lambda: refusal(lambda: ask("messages-budget")))
    check(error, sdk.RateLimitError, None, "rate_limit_error", "messages-budget",
          ["used up", "1050", "1000 tokens", "It resets at"],
          kind="budget", limit=1000, used=1050, resets_at=...)
    assert is_final(error) and wait_of(error) is not None, error.response.headers


def messages_model():
    error = count("messages-model", 1, lambda: refusal(lambda: ask("messages-model")))
    check(error, sdk.NotFoundError, None, "not_found_error", "messages-model",
          [f"`{MODEL}`", "GET /v1/models"], kind="models")


CHECKS = {
    "openai": [
        money, tokens, requests, total, too_little, group, stream, responses, in_flight,
        requests_per_minute, tokens_per_minute, long_wait, longer_wait, larger_than_rate,
        concurrent, models, deny_models, max_output, everybody, unpriced,
    ],
    "anthropic": [messages_budget, messages_model],
}

for function in CHECKS[sdk_name]:
    try:
        function()
        result = "ok"
    except Exception as error:
        failures += 1
        result = f"failed: {type(error).__name__}: {error}"
    name = function.__name__.replace("_", "-")
    print(f"{sdk_name + '-python':16} {name:20} {result}", flush=True)
sys.exit(failures > 0)
