// openai (Node): OPENAI_BASE_URL and OPENAI_API_KEY come from the environment.
import OpenAI from "openai";

const client = new OpenAI();
const question = "How is the weather in Oslo?";
const messages = [{ role: "user", content: question }];

const chat = await client.chat.completions.create({ model: "gpt-4o", messages });
console.log(chat.choices[0].message.content);

const chunks = await client.chat.completions.create({ model: "gpt-4o", messages, stream: true });
for await (const chunk of chunks) {
  if (!chunk.choices.length) throw new Error("a usage chunk that this client did not ask for");
}

const parameters = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};
const tools = [{ type: "function", name: "get_weather", strict: true, parameters }];
const first = await client.responses.create({ model: "gpt-5", input: question, tools });
const call = first.output.find((item) => item.type === "function_call");
const result = { type: "function_call_output", call_id: call.call_id, output: "sunny" };
// The second step names the first response, or refers to its items; both must work.
const second = await client.responses.create({
  model: "gpt-5",
  input: [result],
  previous_response_id: first.id,
  tools,
});
console.log(second.output_text);
const references = first.output.map(({ id }) => ({ type: "item_reference", id }));
const input = [...messages, ...references, result];
const stream = client.responses.stream({ model: "gpt-5", input, tools });
console.log((await stream.finalResponse()).output_text);
