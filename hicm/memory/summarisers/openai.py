"""A language model behind an OpenAI-compatible endpoint: vLLM, Ollama, llama.cpp, LM Studio, or a hosted one."""

import json
import os
import re
import time
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from hicm.config import SummaryConfig, digest
from hicm.errors import UserError, reason
from hicm.memory.summarisers.answers import BLOCKED, CUT, REFUSES, THINKING, TOOL, Answer
from hicm.memory.summarisers.language import LanguageModel, Unreached, open_language_model
from hicm.memory.summarisers.prompt import Messages

FORM = "openai:<model>"
LARGEST = 8 << 20  # bytes of a response; one sentence needs a thousand

# status -> what to do; nothing else can come of asking on
_POINTLESS = {
    401: "check the key in the environment variable {key}", 402: "pay, or use another model",
    403: "check the key in the environment variable {key} and what it may use",
    404: "check the model's name, summary.endpoint (most end in /v1) and the key in the environment variable {key}",
    405: "check summary.endpoint: is it the base URL, and does it redirect (http to https)?",
}
# status -> what to do, where another node may fare better
_HINTS = {
    400: "if a field of the request is meant, change it with summary.request (docs/memory.md); if its length, lower "
         "summary.members",
    413: "lower summary.members", 422: "change the fields of the request with summary.request",
    429: "check the account's quota, lower summary.concurrency, or wait",
}


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
        if settings.endpoint and not re.fullmatch(r"https?://[^\s/:]\S*", settings.endpoint):
            raise UserError(f"summary.endpoint: {settings.endpoint!r}: expected a base URL, e.g. http://localhost:8000/v1")
        self._fields: dict[str, Any] = {"max_tokens": settings.max_tokens, "temperature": 0.0}
        if settings.sample:
            self._fields |= {"temperature": settings.temperature, "top_p": settings.top_p}
        decoding = {**self._fields, **settings.request, "seed": settings.seed}
        self.name = f"openai:{model} (decoding {digest(decoding)})"

    @cached_property
    def _client(self) -> Any:
        import openai

        self._key = os.environ.get(self.settings.key_variable, "").strip()
        if not self._key.isascii() or not self._key.isprintable():
            raise UserError(f"memory.summariser: the key in the environment variable {self.settings.key_variable} has "
                            "characters that no key has; copy it again")
        try:
            return openai.OpenAI(api_key=self._key or "none", base_url=self.settings.endpoint or None,
                                 timeout=self.settings.timeout, max_retries=self.settings.retries)
        except Exception as error:  # an address that is none, from here or from OPENAI_BASE_URL
            raise UserError(f"summary.endpoint: {self.settings.endpoint!r} cannot be used ({reason(error)}); expected "
                            "a base URL, e.g. http://localhost:8000/v1") from None

    def answer(self, chats: Sequence[Messages], seed: int) -> list[Answer]:
        """One answer per conversation.  Raises Unreached when none comes, UserError when none will ever come."""
        return [self._answer(messages, seed) for messages in chats]

    def _answer(self, messages: Messages, seed: int) -> Answer:
        import openai

        client = self._client
        try:
            return read_answer(self._response(client, messages, seed))
        except Unreached as error:
            raise Unreached(self._hide(str(error))) from None
        except openai.APIStatusError as error:
            raise self._refused(error) from None
        except openai.APIConnectionError as error:
            slow = isinstance(error, openai.APITimeoutError)
            doubt = f"are {self.settings.timeout:g} s (summary.timeout) enough" if slow else "is summary.endpoint right"
            said = f"{reason(error)} {self._address}: {reason(error.__cause__ or error)}"
            raise Unreached(f"{self._hide(said)}; is the server running, and {doubt}?") from None
        except Exception as error:  # timeouts, broken answers, lost connections: every layer raises its own
            raise Unreached(self._hide(reason(error))) from None

    def _response(self, client: Any, messages: Messages, seed: int) -> bytes:
        """The body of the response, read for at most ``summary.timeout`` seconds once it begins."""
        fields = {**self._fields, "seed": seed, **self.settings.request}
        body = {name: value for name, value in fields.items() if value is not None}
        create = client.chat.completions.with_streaming_response.create
        with create(model=self.model, messages=messages, extra_body=body) as response:
            until, found = time.monotonic() + self.settings.timeout, bytearray()
            for chunk in response.iter_bytes():
                found += chunk
                if len(found) > LARGEST:
                    raise Unreached(f"the response has more than {LARGEST:,} bytes")
                if time.monotonic() > until:
                    raise Unreached(f"the response was not complete after {self.settings.timeout:g} seconds; raise "
                                    "summary.timeout")
        return bytes(found)

    def _refused(self, error: Any) -> Exception:
        """What a status other than 200 means."""
        said, status = self._hide(reason(error)), error.status_code
        if any(one.status_code in (301, 302, 303) for one in error.response.history):  # which turn POST into GET
            return UserError(f"memory.summariser: {self.name}: {self._address} redirects to {error.response.url}; set "
                             "summary.endpoint to the base URL there; answers so far are kept")
        if status in _POINTLESS or 300 <= status < 400:
            remedy = _POINTLESS.get(status, _POINTLESS[405]).format(key=self.settings.key_variable)
            return UserError(f"memory.summariser: {self.name}: {self._address} refuses ({said}); {remedy}; "
                             "answers so far are kept")
        return Unreached(f"{said}; {_HINTS[status]}" if status in _HINTS else said)

    @property
    def _address(self) -> str:
        """The base URL without a password."""
        return re.sub("//[^/@]*@", "//", str(self._client.base_url))

    def _hide(self, text: str) -> str:
        """The text without the key: servers tend to repeat the key they were sent."""
        return text.replace(self._key, "***") if self._key else text


def read_answer(body: bytes) -> Answer:
    """The answer in the body of a response.  Raises Unreached when it is no completion."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        start = " ".join(body[:60].decode("utf-8", "replace").split())
        raise Unreached(f"the response is not json ({start!r}); is summary.endpoint the base URL, with /v1?") from None
    content = content if isinstance(content, dict) else {}
    choices = content.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        error = content.get("error")
        said = error.get("message", error) if isinstance(error, dict) else error
        raise Unreached(f"the server reports an error ({str(said)[:200]})" if said else
                        "the response holds no answer (no choices)")
    message = choices[0].get("message")
    message = message if isinstance(message, dict) else {}
    text = _text(message.get("content"))
    return Answer(text, _problem(str(choices[0].get("finish_reason")), message, text))


def _problem(finish: str, message: dict[str, Any], text: str) -> str:
    """What the server says is wrong with the answer."""
    if finish.lower() in ("length", "max_tokens"):
        return CUT
    if finish.lower() in ("content_filter", "safety"):
        return BLOCKED
    if message.get("refusal"):
        return REFUSES
    if not text.strip():
        if message.get("tool_calls") or message.get("function_call"):
            return TOOL
        if message.get("reasoning_content") or message.get("reasoning"):
            return THINKING
    return ""


def _text(content: Any) -> str:
    """The text of a message: text itself, or parts, of which those of another type (thinking, images) are left out."""
    if isinstance(content, list):
        return "".join(_text(part) if isinstance(part, str) else _text(part.get("text")) for part in content
                       if isinstance(part, str) or (isinstance(part, dict) and part.get("type", "text") in
                                                    ("text", "output_text")))
    return content if isinstance(content, str) else ""
