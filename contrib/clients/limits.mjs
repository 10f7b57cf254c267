// Meets every refusal of docs/limits.md with openai (Node) and @anthropic-ai/sdk, as limits.py does
// in Python; `run-limits` runs it.
//
// limits.mjs openai|anthropic KEYS LOG: KEYS is the CSV that `llmproxy user add --from` printed, LOG
// the server's log. Each user has one limit, and its name says which. One line per check says `ok`
// or `failed`; the script ends with 1 if one failed. Refused attempts are counted in the server's
// access log.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";

const [sdkName, keysFile, logFile] = process.argv.slice(2);
const isOpenAi = sdkName === "openai";
const { default: Sdk } = await import(isOpenAi ? "openai" : "@anthropic-ai/sdk");
const [header, ...rows] = readFileSync(keysFile, "utf8")
  .trim()
  .split("\n")
  .map((line) => line.split(","));
const keys = new Map(
  rows.map((row) => [row[header.indexOf("username")], row[header.indexOf("api_key")]]),
);
const MODEL = isOpenAi ? "gpt-4o" : "claude-opus-4-8";
const PROXY = process.env.ANTHROPIC_BASE_URL;
/** Stands for any value that is there. */
const ANY = Symbol("any");

function client(user, maxRetries) {
  return new Sdk({ apiKey: keys.get(`node-${user}`), maxRetries });
}

/** Asks a question. The scripted backend waits for `wait_seconds` with its answer. */
function ask(user, { maxRetries = 2, ...members } = {}) {
  const made = client(user, maxRetries);
  const messages = [{ role: "user", content: "hi" }];
  const request = { model: MODEL, messages, max_tokens: 10, ...members };
  return isOpenAi ? made.chat.completions.create(request) : made.messages.create(request);
}

/** Returns the number of lines of the log that contain all texts. */
function linesWith(...texts) {
  const lines = readFileSync(logFile, "utf8").split("\n");
  return lines.filter((line) => texts.every((text) => line.includes(text))).length;
}

/** Waits for lines of the log: one comes a moment after its answer. */
async function waitForLines(expected, ...texts) {
  const deadline = Date.now() + 5_000;
  while (linesWith(...texts) < expected && Date.now() < deadline) await pause(10);
}

/** Returns the exception that a call ends with, once it is logged. */
async function refusal(call) {
  try {
    await call();
  } catch (error) {
    if (!(error instanceof Sdk.APIError)) throw error;
    await waitForLines(1, error.requestID);
    return error;
  }
  throw new Error("the request was served");
}

/** Checks how many of a call's attempts are refused, and returns its result. */
async function count(user, expected, call) {
  const marks = [`user="node-${user}"`, " refused="];
  const before = linesWith(...marks);
  const result = await call();
  await waitForLines(before + expected, ...marks);
  const refused = linesWith(...marks) - before;
  assert.ok(refused === expected, `${refused} refused attempts, not ${expected}`);
  return result;
}

/** Checks the class, the members and the message of a refusal. */
function check(error, exception, code, type, user, says, llmproxy) {
  assert.equal(error.constructor, exception, error.constructor.name);
  const body = isOpenAi ? error.error : error.error.error;
  if (isOpenAi) assert.deepEqual([error.code, error.type], [code, type]);
  else assert.equal(body.type, type);
  const details = body.llmproxy;
  const expected = { scope: "user", name: `node-${user}`, ...llmproxy };
  for (const [name, value] of Object.entries(expected)) {
    const given = details[name];
    const isRight = value === ANY ? given !== undefined && given !== null : given === value;
    assert.ok(isRight, `${name}: ${JSON.stringify(details)}`);
  }
  for (const text of [expected.name, ...says]) {
    assert.ok(error.message.includes(text), `"${text}" is not in: ${error.message}`);
  }
  if (says.includes("It resets at")) {
    assert.ok(error.message.includes(details.resets_at), error.message);
  }
  assert.ok(error.requestID, "there is no request id");
}

/** Returns the seconds that a refusal asks to wait for, to the millisecond if it says so. */
function waitOf(error) {
  const exact = error.headers.get("retry-after-ms");
  if (exact !== null) return Number(exact) / 1_000;
  const seconds = error.headers.get("retry-after");
  return seconds === null ? null : Number(seconds);
}

const isFinal = (error) => error.headers.get("x-should-retry") === "false";
const isBetween = (low, value, high) => low < value && value <= high;

/** Starts a request that is in flight for a while, and returns its promise in a list once it is. */
async function hold(user, seconds, members = {}) {
  const held = ask(user, { wait_seconds: seconds, ...members });
  const deadline = Date.now() + 5_000;
  while (Date.now() < deadline) {
    const answer = await fetch(`${PROXY}/admin/list_limits?username=node-${user}`);
    const { limits } = await answer.json();
    const isHeld = (limit) => limit.reserved || (limit.kind === "concurrent" && limit.used);
    if (limits.some(isHeld)) return [held];
    await pause(10);
  }
  throw new Error("the request is not in flight");
}

// === The refusals of OpenAI's endpoints ===

const { RateLimitError, NotFoundError, BadRequestError, PermissionDeniedError } = Sdk;

/** A budget that is used up is refused once, and says how long. */
async function usedUp(user, used, limit, { resets = true, served = 1, ...llmproxy }) {
  for (let i = 0; i < served; i++) await ask(user);
  const error = await count(user, 1, () => refusal(() => ask(user)));
  const quota = "insufficient_quota";
  // Messages leave out the zeros behind an amount in dollars.
  const figures = [used, limit].map((figure) =>
    typeof figure === "number" ? String(figure) : figure.replace(/0+$/, ""),
  );
  const says = [served ? "used up" : "leaves too little", ...figures];
  if (resets) says.push("It resets at");
  const expected = { kind: "budget", limit, used, resets_at: resets ? ANY : null, ...llmproxy };
  check(error, RateLimitError, quota, quota, user, says, expected);
  assert.ok(isFinal(error));
  assert.equal(waitOf(error) !== null, resets);
}

const openai = {
  // 700 tokens of input for 2.50 dollars a million, 300 cached for 1.25 and 50 of output for 10.
  money: () => usedUp("money", "0.002625000", "0.002000000", { unit: "usd", window: "month" }),
  tokens: () => usedUp("tokens", 1050, 1000, { unit: "tokens", window: "day" }),
  requests: () => usedUp("requests", 1, 1, { unit: "requests", window: "week" }),
  total: () => usedUp("total", 1050, 1000, { window: "total", resets: false }),
  "too-little": () => usedUp("too-little", 0, 5, { unit: "tokens", served: 0 }),
  group: () =>
    usedUp("group", 1050, 1000, { scope: "group", name: "node-course", resets: false }),

  async stream() {
    const error = await count("stream", 1, () => refusal(() => ask("stream", { stream: true })));
    const quota = "insufficient_quota";
    check(error, RateLimitError, quota, quota, "stream", ["of 5 tokens"], { kind: "budget" });
  },

  async responses() {
    const made = client("responses", 2).responses;
    const request = { model: "gpt-5", input: "hi", max_output_tokens: 20 };
    const error = await count("responses", 1, () => refusal(() => made.create(request)));
    const quota = "insufficient_quota";
    check(error, RateLimitError, quota, quota, "responses", ["of 5 tokens"], { kind: "budget" });
  },

  async "in-flight"() {
    // 2,000 of 3,200 tokens are reserved while the first is in flight, and 1,050 used when it ends.
    const user = "in-flight";
    const [held] = await hold(user, 1.5, { max_tokens: 2000 });
    const error = await refusal(() => ask(user, { max_tokens: 1500, maxRetries: 0 }));
    const says = ["in flight", "reserved", "of 3200 tokens", "Try again when they have ended"];
    const expected = { kind: "budget", limit: 3200, used: 0, reserved: ANY, requested: ANY };
    check(error, RateLimitError, "rate_limit_exceeded", "requests", user, says, {
      ...expected,
      resets_at: ANY,
    });
    assert.ok(waitOf(error) === 2 && !isFinal(error));
    // It is refused, and served after two seconds.
    await count(user, 1, () => ask(user, { max_tokens: 1500 }));
    await held;
  },

  async "requests-per-minute"() {
    const user = "requests-per-minute";
    const error = await refusal(async () => {
      for (let i = 0; i < 200; i++) await ask(user, { maxRetries: 0 });
    });
    const says = ["60 requests a minute", "Try again in"];
    const expected = { kind: "requests_per_minute", limit: 60, used: ANY, resets_at: ANY };
    check(error, RateLimitError, "rate_limit_exceeded", "requests", user, says, expected);
    assert.ok(isBetween(0, waitOf(error), 1) && !isFinal(error));
    // One request flows in within the second that the SDK waits.
    await count(user, 1, () => ask(user));
  },

  async "tokens-per-minute"() {
    // The first uses 1,050 of 3,000; 50 come back each second, so that 2,010 are there in 1.5 s.
    const user = "tokens-per-minute";
    await ask(user);
    const error = await refusal(() => ask(user, { max_tokens: 2000, maxRetries: 0 }));
    const says = ["3000 tokens a minute", "Try again in"];
    const expected = { kind: "tokens_per_minute", limit: 3000, used: ANY, resets_at: ANY };
    check(error, RateLimitError, "rate_limit_exceeded", "tokens", user, says, expected);
    assert.ok(isBetween(0, waitOf(error), 5) && !isFinal(error));
    await count(user, 1, () => ask(user, { max_tokens: 2000 }));
  },

  async "long-wait"() {
    // A debt of 650 tokens at 400 a minute: above 60 s the SDK takes pauses of its own instead.
    const user = "long-wait";
    await ask(user);
    const error = await count(user, 3, () => refusal(() => ask(user, { max_tokens: 1 })));
    assert.ok(isBetween(60, waitOf(error), 120) && !isFinal(error));
  },

  async "longer-wait"() {
    const user = "longer-wait";
    await ask(user);
    const error = await count(user, 3, () => refusal(() => ask(user, { max_tokens: 1 })));
    assert.ok(waitOf(error) > 120 && !isFinal(error));
  },

  async "larger-than-rate"() {
    const user = "larger-than-rate";
    const error = await count(user, 1, () => refusal(() => ask(user, { max_tokens: 1000 })));
    const says = ["300 tokens a minute", "Ask for less output"];
    const expected = { kind: "tokens_per_minute", limit: 300, requested: ANY };
    check(error, RateLimitError, "rate_limit_exceeded", "tokens", user, says, expected);
    assert.ok(isFinal(error) && waitOf(error) === null);
  },

  async concurrent() {
    const user = "concurrent";
    const [held] = await hold(user, 0.7);
    const error = await refusal(() => ask(user, { maxRetries: 0 }));
    const says = ["1 requests at the same time", "Try again when one has ended"];
    const expected = { kind: "concurrent", limit: 1, used: 1 };
    check(error, RateLimitError, "rate_limit_exceeded", "requests", user, says, expected);
    assert.ok(waitOf(error) === 1 && !isFinal(error));
    // It is refused, and served after a second.
    await count(user, 1, () => ask(user));
    await held;
  },

  models: () => notAllowed("models", "models"),
  "deny-models": () => notAllowed("deny-models", "deny_models"),

  async "max-output"() {
    const user = "max-output";
    const error = await count(user, 1, () => refusal(() => ask(user, { max_tokens: 101 })));
    const says = ["`max_tokens` must be at most 100,"];
    const expected = { kind: "max_output_tokens", limit: 100 };
    check(error, BadRequestError, null, "invalid_request_error", user, says, expected);
    assert.equal(error.param, "max_tokens");
  },

  async everybody() {
    const user = "everybody";
    const error = await count(user, 1, () => refusal(() => ask(user, { max_tokens: 9001 })));
    const expected = { scope: "everybody", kind: "max_output_tokens", limit: 9000 };
    check(error, BadRequestError, null, "invalid_request_error", user, ["at most 9000"], expected);
  },

  async unpriced() {
    const user = "unpriced";
    const request = { model: "nobody-knows" };
    const error = await count(user, 1, () => refusal(() => ask(user, request)));
    const says = ["`nobody-knows`", "no price"];
    const expected = { kind: "budget", unit: "usd" };
    const code = "model_not_priced";
    check(error, PermissionDeniedError, code, "permission_error", user, says, expected);
  },
};

async function notAllowed(user, kind) {
  const error = await count(user, 1, () => refusal(() => ask(user)));
  const says = [`\`${MODEL}\``, "GET /v1/models"];
  const [code, type] = isOpenAi
    ? ["model_not_found", "invalid_request_error"]
    : [null, "not_found_error"];
  check(error, NotFoundError, code, type, user, says, { kind });
}

// === Those of Anthropic's ===

const anthropic = {
  async "messages-budget"() {
    const user = "messages-budget";
    await ask(user);
    const error = await count(user, 1, () => refusal(() => ask(user)));
    const says = ["used up", "1050", "1000 tokens", "It resets at"];
    const expected = { kind: "budget", limit: 1000, used: 1050, resets_at: ANY };
    check(error, RateLimitError, null, "rate_limit_error", user, says, expected);
    assert.ok(isFinal(error) && waitOf(error) !== null);
  },
  "messages-model": () => notAllowed("messages-model", "models"),
};

for (const [name, run] of Object.entries(isOpenAi ? openai : anthropic)) {
  let result = "ok";
  try {
    await run();
  } catch (error) {
    process.exitCode = 1;
    result = `failed: ${error.name}: ${error.message}`;
  }
  console.log(`${`${sdkName}-node`.padEnd(16)} ${name.padEnd(20)} ${result}`);
}
