"""openai-agents (Python): OPENAI_BASE_URL and OPENAI_API_KEY come from the environment."""

import asyncio

from agents import Agent, Runner, function_tool


@function_tool
def get_weather(city: str) -> str:
    """Returns the weather in a city."""
    return "sunny"


async def main():
    agent = Agent(name="Guide", model="gpt-5", tools=[get_weather])
    question = "How is the weather in Oslo?"
    print((await Runner.run(agent, question)).final_output)
    streamed = Runner.run_streamed(agent, question)
    async for _ in streamed.stream_events():
        pass
    print(streamed.final_output)


asyncio.run(main())
