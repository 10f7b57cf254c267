"""Reads `llmproxy costs --by endpoint --json` and checks it: check.py ENDPOINT SCRIPTED.

Prints the requests per endpoint. Ends with 1 if ENDPOINT has none, or if the backend is the
scripted one (SCRIPTED is 1) and a sum is not a multiple of what it reports per request.
"""

import json
import sys

from backend import CACHED_TOKENS, INPUT_TOKENS, OUTPUT_TOKENS

endpoint, scripted = sys.argv[1], sys.argv[2] == "1"
rows = json.load(sys.stdin)["costs"]
# Counting tokens and listing models cost nothing.
paid = [row for row in rows if row["total_input_tokens"] or row["total_output_tokens"]]
print(", ".join(f"{row['total_requests']} × {row['endpoint']}" for row in paid) or "no rows")
if endpoint not in [row["endpoint"] for row in paid]:
    sys.exit(1)
for row in paid if scripted else []:
    told = [row[f"total_{kind}_tokens"] for kind in ("input", "cached", "output")]
    expected = [row["total_requests"] * n for n in (INPUT_TOKENS, CACHED_TOKENS, OUTPUT_TOKENS)]
    if told != expected or row["estimated_requests"]:
        print(f"tokens of {row['endpoint']} are {told}, expected {expected}")
        sys.exit(1)
