"""langchain-openai: OPENAI_BASE_URL and OPENAI_API_KEY come from the environment."""

from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI


@tool
def get_weather(city: str) -> str:
    """Returns the weather in a city."""
    return "sunny"


def converse(**settings):
    model = ChatOpenAI(model="gpt-5", use_responses_api=True, **settings)
    model = model.bind_tools([get_weather])
    messages = [HumanMessage("How is the weather in Oslo?")]
    messages.append(model.invoke(messages))
    messages += [get_weather.invoke(call) for call in messages[-1].tool_calls]
    print(model.invoke(messages).text)


converse()
converse(streaming=True)
converse(use_previous_response_id=True)
