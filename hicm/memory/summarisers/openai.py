"""A language model behind an OpenAI-compatible endpoint: vLLM, Ollama, llama.cpp, LM Studio, or a hosted one."""

import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from hicm.config import SummaryConfig, digest
from hicm.encoders.model_files import reason
from hicm.errors import UserError
from hicm.memory.summarisers.language import LanguageModel, Unreached, open_language_model
from hicm.memory.summarisers.prompt import Messages

FORM = "openai:<model>"


def summariser(rest: str, settings: SummaryConfig, folder: Path, offline: bool) -> LanguageModel:
    """The model that the endpoint knows by the name ``rest``."""
    return open_language_model(OpenAIChat(rest, settings), settings, folder)


class OpenAIChat:
    """Up to ``summary.concurrency`` requests at once; retries after 408, 409, 429, 5xx and lost connections.

    ``Retry-After`` is respected.  The key is read from the environment when the first question is asked, and goes only
    into the request's header; without one, requests are sent without a key (servers on one's own machine).
    """

    batch = 1

    def __init__(self, model: str, settings: SummaryConfig) -> None:
        self.model, self.settings, self.workers = model, settings, settings.concurrency
        if settings.endpoint and not settings.endpoint.startswith(("http://", "https://")):
            raise UserError(f"summary.endpoint: {settings.endpoint!r}: expected a base URL, e.g. http://localhost:8000/v1")
        self._fields: dict[str, Any] = {"max_tokens": settings.max_tokens, "temperature": 0.0}
        if settings.sample:
            self._fields |= {"temperature": settings.temperature, "top_p": settings.top_p}
        decoding = {**self._fields, **settings.request, "seed": settings.seed}
        self.name = f"openai:{model} (decoding {digest(decoding)})"

    @cached_property
    def _client(self) -> Any:
        import openai

        self._key = os.environ.get(self.settings.key_variable, "")
        return openai.OpenAI(api_key=self._key or "none", base_url=self.settings.endpoint or None,
                             timeout=self.settings.timeout, max_retries=self.settings.retries)

    def answer(self, chats: Sequence[Messages], seed: int) -> list[str]:
        """One answer per conversation.  Raises Unreached when none comes, UserError when none will ever come."""
        return [self._answer(messages, seed) for messages in chats]

    def _answer(self, messages: Messages, seed: int) -> str:
        import openai

        fields = {**self._fields, "seed": seed, **self.settings.request}
        body = {name: value for name, value in fields.items() if value is not None}
        client = self._client
        try:
            content = client.chat.completions.create(model=self.model, messages=messages,
                                                     extra_body=body).choices[0].message.content
        except (openai.AuthenticationError, openai.PermissionDeniedError, openai.NotFoundError) as error:
            raise UserError(f"memory.summariser: {self.name}: {self._client.base_url} refuses "
                            f"({self._hide(reason(error))}); check the model's name, summary.endpoint and the key in "
                            f"the environment variable {self.settings.key_variable}; answers so far are kept"
                            ) from None
        except Exception as error:  # timeouts, broken answers, lost connections: every layer raises its own
            raise Unreached(self._hide(reason(error))) from None
        return content if isinstance(content, str) else ""

    def _hide(self, text: str) -> str:
        """The text without the key: servers tend to repeat the key they were sent."""
        return text.replace(self._key, "***") if self._key else text
