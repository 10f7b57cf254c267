// Vercel AI SDK: OPENAI_BASE_URL and OPENAI_API_KEY come from the environment.
import { openai } from "@ai-sdk/openai";
import { generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const request = {
  model: openai("gpt-5"),
  prompt: "How is the weather in Oslo?",
  tools: {
    get_weather: tool({
      description: "Returns the weather in a city",
      inputSchema: z.object({ city: z.string() }),
      execute: async () => "sunny",
    }),
  },
  stopWhen: stepCountIs(3),
};
const { text, steps } = await generateText(request);
if (steps.length !== 2) throw new Error(`${steps.length} steps instead of 2`);
console.log(text);
console.log(await streamText(request).text);
