// @anthropic-ai/sdk: ANTHROPIC_BASE_URL and ANTHROPIC_API_KEY come from the environment.
import Anthropic from "@anthropic-ai/sdk";

const client = new Anthropic();
const request = {
  model: "claude-sonnet-4-5",
  max_tokens: 100,
  messages: [{ role: "user", content: "How is the weather in Oslo?" }],
};
console.log((await client.messages.create(request)).content[0].text);
console.log(await client.messages.stream(request).finalText());
