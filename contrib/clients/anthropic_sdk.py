"""anthropic (Python): ANTHROPIC_BASE_URL and ANTHROPIC_API_KEY come from the environment."""

import anthropic

client = anthropic.Anthropic()
request = {
    "model": "claude-sonnet-4-5",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "How is the weather in Oslo?"}],
}
print(client.messages.create(**request).content[0].text)
with client.messages.stream(**request) as stream:
    print(stream.get_final_text())
