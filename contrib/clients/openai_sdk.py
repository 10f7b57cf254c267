"""openai (Python): OPENAI_BASE_URL and OPENAI_API_KEY come from the environment."""

import openai

client = openai.OpenAI()
question = "How is the weather in Oslo?"

chat = client.chat.completions.create(
    model="gpt-4o", messages=[{"role": "user", "content": question}]
)
print(chat.choices[0].message.content)

for chunk in client.chat.completions.create(
    model="gpt-4o", messages=[{"role": "user", "content": question}], stream=True
):
    assert chunk.choices, "a usage chunk that this client did not ask for"

tool = {"type": "function", "name": "get_weather", "strict": True}
tool["parameters"] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
first = client.responses.create(model="gpt-5", input=question, tools=[tool])
call = next(item for item in first.output if item.type == "function_call")
result = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
# The second step names the first response, or sends its items again; both must work.
second = client.responses.create(
    model="gpt-5", input=[result], previous_response_id=first.id, tools=[tool]
)
print(second.output_text)
again = [{"role": "user", "content": question}, *first.output, result]
with client.responses.stream(model="gpt-5", input=again, tools=[tool]) as stream:
    print(stream.get_final_response().output_text)
