// @openai/agents: OPENAI_BASE_URL and OPENAI_API_KEY come from the environment.
import { Agent, run, tool } from "@openai/agents";
import { z } from "zod";

const weather = tool({
  name: "get_weather",
  description: "Returns the weather in a city",
  parameters: z.object({ city: z.string() }),
  execute: async () => "sunny",
});
const agent = new Agent({ name: "Guide", model: "gpt-5", tools: [weather] });
const question = "How is the weather in Oslo?";
console.log((await run(agent, question)).finalOutput);
const streamed = await run(agent, question, { stream: true });
await streamed.completed;
console.log(streamed.finalOutput);
