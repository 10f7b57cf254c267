"""A scripted backend for `run`: chat completions, responses and messages, plain and streamed.

It needs nothing beside Python 3. It listens on 127.0.0.1, prints its URL as the first line, and
writes one JSON line per request to standard error. Each answer reports the same usage, so that
`run` can check the ledger to the token. A request that offers one of the tools in `TOOLS` is
answered with a call of that tool, and with text once the result of the call is there.

`/v1/responses` is as strict as the real one about what it stores: an `item_reference`, an `rs_…`
or `fc_…` id, or a `previous_response_id` that it never gave out is answered with 404, and a
function call whose reasoning item is missing with 400.

A request with `wait_seconds` is answered that much later, so that it is in flight for a while.
"""

import itertools
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

INPUT_TOKENS, CACHED_TOKENS, OUTPUT_TOKENS, REASONING_TOKENS = 1000, 300, 50, 10
MODELS = ["gpt-5", "gpt-4o", "claude-sonnet-4-5"]
# Name of a tool -> arguments to call it with. The first is the frameworks', the others are what
# coding agents offer; none of these calls changes anything.
TOOLS = {
    "get_weather": {"city": "Oslo"},
    "exec_command": {"cmd": "true"},
    "glob": {"pattern": "*"},
    "Read": {"file_path": "/dev/null"},
    "List": {"dirpath": "."},
    "bash": {"command": "true"},
}
TEXT = "It is sunny in Oslo."

numbers = itertools.count(1)
lock = threading.Lock()
items = {}  # id of an item that was given out -> the item
calls_behind = {}  # id of a reasoning item -> id of the call that followed it


class Refusal(Exception):
    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


def new_id(prefix):
    return f"{prefix}_{next(numbers):032x}"


def wanted_tool(request):
    """Returns the name and the arguments of the tool to call, or None."""
    offered = {}
    for tool in request.get("tools") or []:
        tool = tool.get("function") or tool
        schema = tool.get("parameters") or tool.get("input_schema") or {}
        offered[tool.get("name")] = set(schema.get("required") or [])
    for name, arguments in TOOLS.items():
        if name in offered and offered[name] <= set(arguments):
            return name, arguments
    return None


# === Chat completions ===


def chat(request):
    answered = any(message.get("role") == "tool" for message in request["messages"])
    tool = None if answered else wanted_tool(request)
    if tool:
        call = {"id": new_id("call"), "type": "function"}
        call["function"] = {"name": tool[0], "arguments": json.dumps(tool[1])}
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
        delta = {"role": "assistant", "content": None, "tool_calls": [{"index": 0, **call}]}
        finish = "tool_calls"
    else:
        message = {"role": "assistant", "content": TEXT, "refusal": None}
        delta = {"role": "assistant", "content": TEXT}
        finish = "stop"
    usage = {
        "prompt_tokens": INPUT_TOKENS,
        "completion_tokens": OUTPUT_TOKENS,
        "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS,
        "prompt_tokens_details": {"cached_tokens": CACHED_TOKENS},
        "completion_tokens_details": {"reasoning_tokens": REASONING_TOKENS},
    }
    head = {"id": new_id("chatcmpl"), "created": 1_700_000_000, "model": request["model"]}
    if not request.get("stream"):
        choice = {"index": 0, "message": message, "finish_reason": finish, "logprobs": None}
        return {**head, "object": "chat.completion", "choices": [choice], "usage": usage}, None

    head["object"] = "chat.completion.chunk"
    chunks = [
        {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]},
        {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]},
    ]
    if (request.get("stream_options") or {}).get("include_usage"):
        chunks.append({**head, "choices": [], "usage": usage})
    return None, [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks] + ["data: [DONE]\n\n"]


# === Responses ===


def check_references(request):
    """Refuses ids that were never given out, as the real endpoint does."""
    with lock:
        stored = dict(items)
    previous = request.get("previous_response_id")
    if previous and previous not in stored:
        raise Refusal(400, f"Previous response with id '{previous}' not found.")
    given = request.get("input")
    given = given if isinstance(given, list) else []
    names = []
    for item in given:
        name = item.get("id") if isinstance(item, dict) else None
        names.append(name)
        if item.get("type") == "item_reference" and name not in stored:
            raise Refusal(404, f"Item with id '{name}' not found.")
        encrypted = item.get("encrypted_content")
        if item.get("type") == "reasoning" and not encrypted and name not in stored:
            raise Refusal(404, f"Item with id '{name}' not found.")
    for reasoning, call in calls_behind.items():
        if call in names and reasoning not in names:
            message = f"Item '{call}' of type 'function_call' was provided without its required"
            raise Refusal(400, f"{message} 'reasoning' item: '{reasoning}'.")


def is_output(item):
    return isinstance(item, dict) and item.get("type") == "function_call_output"


def responses(request):
    check_references(request)
    given = request.get("input")
    answered = isinstance(given, list) and any(is_output(item) for item in given)
    reasoning = {"id": new_id("rs"), "type": "reasoning", "summary": []}
    if "reasoning.encrypted_content" in (request.get("include") or []):
        reasoning["encrypted_content"] = "c2NyaXB0ZWQ="
    tool = None if answered else wanted_tool(request)
    if tool:
        call = {"id": new_id("fc"), "type": "function_call", "status": "completed"}
        call |= {"call_id": new_id("call"), "name": tool[0], "arguments": json.dumps(tool[1])}
        output = [reasoning, call]
    else:
        part = {"type": "output_text", "text": TEXT, "annotations": [], "logprobs": []}
        message = {"id": new_id("msg"), "type": "message", "role": "assistant"}
        message |= {"status": "completed", "content": [part]}
        output = [message]
    response = {
        "id": new_id("resp"),
        "object": "response",
        "created_at": 1_700_000_000,
        "status": "completed",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": request.get("instructions"),
        "max_output_tokens": None,
        "metadata": {},
        "model": request["model"],
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": request.get("previous_response_id"),
        "reasoning": {"effort": "medium", "summary": None},
        "store": request.get("store", True) is not False,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": {
            "input_tokens": INPUT_TOKENS,
            "input_tokens_details": {"cached_tokens": CACHED_TOKENS},
            "output_tokens": OUTPUT_TOKENS,
            "output_tokens_details": {"reasoning_tokens": REASONING_TOKENS},
            "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS,
        },
    }
    with lock:
        if response["store"]:
            items.update({item["id"]: item for item in [*output, response]})
            if tool:
                calls_behind[reasoning["id"]] = call["id"]
    if not request.get("stream"):
        return response, None
    return None, response_events(response)


def response_events(response):
    count = itertools.count()

    def event(kind, **members):
        body = {"type": kind, "sequence_number": next(count), **members}
        return f"event: {kind}\ndata: {json.dumps(body)}\n\n"

    begun = {**response, "status": "in_progress", "output": [], "usage": None}
    events = [
        event("response.created", response=begun),
        event("response.in_progress", response=begun),
    ]
    for index, item in enumerate(response["output"]):
        place = {"output_index": index}
        inside = {**place, "item_id": item["id"]}
        opened = {**item}
        if item["type"] == "function_call":
            opened |= {"status": "in_progress", "arguments": ""}
        if item["type"] == "message":
            opened |= {"status": "in_progress", "content": []}
        events.append(event("response.output_item.added", **place, item=opened))
        if item["type"] == "function_call":
            kind = "response.function_call_arguments"
            told = {"name": item["name"], "arguments": item["arguments"]}
            events.append(event(f"{kind}.delta", **inside, delta=item["arguments"]))
            events.append(event(f"{kind}.done", **inside, **told))
        if item["type"] == "message":
            inside["content_index"] = 0
            part = item["content"][0]
            empty = {**part, "text": ""}
            text = {**inside, "logprobs": []}
            events.append(event("response.content_part.added", **inside, part=empty))
            events.append(event("response.output_text.delta", **text, delta=TEXT))
            events.append(event("response.output_text.done", **text, text=TEXT))
            events.append(event("response.content_part.done", **inside, part=part))
        events.append(event("response.output_item.done", **place, item=item))
    events.append(event("response.completed", response=response))
    return events


# === Messages ===


def has_tool_result(message):
    content = message["content"]
    return isinstance(content, list) and any(part["type"] == "tool_result" for part in content)


def messages(request):
    answered = any(has_tool_result(message) for message in request["messages"])
    tool = None if answered else wanted_tool(request)
    if tool:
        block = {"type": "tool_use", "id": new_id("toolu"), "name": tool[0], "input": tool[1]}
        empty = {**block, "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(tool[1])}
    else:
        block = {"type": "text", "text": TEXT}
        empty = {"type": "text", "text": ""}
        delta = {"type": "text_delta", "text": TEXT}
    reason = "tool_use" if tool else "end_turn"
    usage = {
        "input_tokens": INPUT_TOKENS - CACHED_TOKENS,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": CACHED_TOKENS,
        "output_tokens": OUTPUT_TOKENS,
    }
    message = {
        "id": new_id("msg"),
        "type": "message",
        "role": "assistant",
        "model": request["model"],
        "content": [block],
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": usage,
    }
    if not request.get("stream"):
        return message, None

    def event(kind, **members):
        return f"event: {kind}\ndata: {json.dumps({'type': kind, **members})}\n\n"

    begun = {**message, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    end = {"stop_reason": reason, "stop_sequence": None}
    return None, [
        event("message_start", message=begun),
        event("content_block_start", index=0, content_block=empty),
        event("ping"),
        event("content_block_delta", index=0, delta=delta),
        event("content_block_stop", index=0),
        event("message_delta", delta=end, usage={"output_tokens": OUTPUT_TOKENS}),
        event("message_stop"),
    ]


# === The server ===

ENDPOINTS = {
    "/v1/chat/completions": chat,
    "/v1/responses": responses,
    "/v1/messages": messages,
    "/v1/messages/count_tokens": lambda _: ({"input_tokens": INPUT_TOKENS}, None),
}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def note(self, status, request):
        line = {"method": self.command, "path": self.path, "status": status, "request": request}
        print(json.dumps(line), file=sys.stderr, flush=True)

    def send_json(self, status, body):
        body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_events(self, events):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for event in events:
            data = event.encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def refuse(self, status, message):
        error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
        self.send_json(status, {"error": error})

    def do_GET(self):
        self.note(200, None)
        model = {"object": "model", "created": 0, "owned_by": "script"}
        models = [{"id": name, **model} for name in MODELS]
        self.send_json(200, {"object": "list", "data": models, "has_more": False})

    do_HEAD = do_GET

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        endpoint = ENDPOINTS.get(self.path.split("?")[0])
        if endpoint is None:
            self.note(404, None)
            return self.refuse(404, f"Unknown path {self.path}")
        try:
            request = json.loads(body)
            time.sleep(request.get("wait_seconds", 0))
            answer, events = endpoint(request)
        except Refusal as refusal:
            self.note(refusal.status, request)
            return self.refuse(refusal.status, str(refusal))
        except (KeyError, ValueError) as error:
            self.note(400, None)
            return self.refuse(400, f"Not a request of this endpoint: {error!r}")
        self.note(200, request)
        return self.send_json(200, answer) if events is None else self.send_events(events)


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
