"""A language model behind an OpenAI-compatible endpoint: vLLM, Ollama, llama.cpp, LM Studio, or a hosted one."""

import json
import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

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
    404: "check the model's name, {section}.endpoint (most end in /v1) and the key in the environment variable {key}",
    405: "check {section}.endpoint: is it the base URL, and does it redirect (http to https)?",
}
# status -> what to do, where another node may fare better
_HINTS = {
    400: "if a field of the request is meant, change it with {section}.request (docs/memory.md); if its length, lower "
         "{section}.{longest}",
    413: "lower {section}.{longest}", 422: "change the fields of the request with {section}.request",
    429: "check the account's quota, lower {section}.concurrency, or wait",
}


class ChatSettings(Protocol):
    """What `OpenAIChat` reads of a section of settings; `SummaryConfig` explains each."""

    @property
    def max_tokens(self) -> int: ...
    @property
    def sample(self) -> bool: ...
    @property
    def temperature(self) -> float: ...
    @property
    def top_p(self) -> float: ...
    @property
    def seed(self) -> int: ...
    @property
    def endpoint(self) -> str: ...
    @property
    def key_variable(self) -> str: ...
    @property
    def concurrency(self) -> int: ...
    @property
    def timeout(self) -> float: ...
    @property
    def retries(self) -> int: ...
    @property
    def request(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Names:
    """What errors call the settings of a chat."""

    model: str = "memory.summariser"  # the setting that names the model
    section: str = "summary"  # that of `ChatSettings`
    longest: str = "members"  # of the section: what makes questions long


def summariser(rest: str, settings: SummaryConfig, folder: Path, offline: bool) -> LanguageModel:
    """The model that the endpoint knows by the name ``rest``."""
    return open_language_model(OpenAIChat(rest, settings), settings, folder)


class OpenAIChat:
    """Up to ``concurrency`` requests at once; retries after 408, 409, 429, 5xx and lost connections.

    ``Retry-After`` is respected.  The key is read from the environment when the first question is asked, and goes only
    into the request's header; without one, requests are sent without a key (servers on one's own machine).
    """

    batch = 1

    def __init__(self, model: str, settings: ChatSettings, names: Names = Names()) -> None:
        self.model, self.settings, self.workers, self.names = model, settings, settings.concurrency, names
        if settings.endpoint and not re.fullmatch(r"https?://[^\s/:]\S*", settings.endpoint):
            raise UserError(f"{names.section}.endpoint: {settings.endpoint!r}: expected a base URL, e.g. "
                            "http://localhost:8000/v1")
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
            raise UserError(f"{self.names.model}: the key in the environment variable {self.settings.key_variable} has "
                            "characters that no key has; copy it again")
        try:
            return openai.OpenAI(api_key=self._key or "none", base_url=self.settings.endpoint or None,
                                 timeout=self.settings.timeout, max_retries=self.settings.retries)
        except Exception as error:  # an address that is none, from here or from OPENAI_BASE_URL
            raise UserError(f"{self.names.section}.endpoint: {self.settings.endpoint!r} cannot be used "
                            f"({reason(error)}); expected a base URL, e.g. http://localhost:8000/v1") from None

    def answer(self, chats: Sequence[Messages], seed: int) -> list[Answer]:
        """One answer per conversation.  Raises Unreached when none comes, UserError when none will ever come."""
        return [self._answer(messages, seed) for messages in chats]

    def _answer(self, messages: Messages, seed: int) -> Answer:
        import openai

        client = self._client
        try:
            return read_answer(self._response(client, messages, seed), self.names.section)
        except Unreached as error:
            raise Unreached(self._hide(str(error))) from None
        except openai.APIStatusError as error:
            raise self._refused(error) from None
        except openai.APIConnectionError as error:
            slow = isinstance(error, openai.APITimeoutError)
            section = self.names.section
            doubt = (f"are {self.settings.timeout:g} s ({section}.timeout) enough" if slow else
                     f"is {section}.endpoint right")
            said = f"{reason(error)} {self._address}: {reason(error.__cause__ or error)}"
            raise Unreached(f"{self._hide(said)}; is the server running, and {doubt}?") from None
        except Exception as error:  # timeouts, broken answers, lost connections: every layer raises its own
            raise Unreached(self._hide(reason(error))) from None

    def _response(self, client: Any, messages: Messages, seed: int) -> bytes:
        """The body of the response, read for at most ``timeout`` seconds once it begins."""
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
                                    f"{self.names.section}.timeout")
        return bytes(found)

    def _refused(self, error: Any) -> Exception:
        """What a status other than 200 means."""
        said, status, names = self._hide(reason(error)), error.status_code, self.names
        if any(one.status_code in (301, 302, 303) for one in error.response.history):  # which turn POST into GET
            return UserError(f"{names.model}: {self.name}: {self._address} redirects to {error.response.url}; set "
                             f"{names.section}.endpoint to the base URL there; answers so far are kept")
        if status in _POINTLESS or 300 <= status < 400:
            remedy = _POINTLESS.get(status, _POINTLESS[405]).format(key=self.settings.key_variable,
                                                                    section=names.section)
            return UserError(f"{names.model}: {self.name}: {self._address} refuses ({said}); {remedy}; "
                             "answers so far are kept")
        hint = _HINTS.get(status, "").format(section=names.section, longest=names.longest)
        return Unreached(f"{said}; {hint}" if hint else said)

    @property
    def host(self) -> str:
        """Host and port of the endpoint, without user and password."""
        return urlsplit(str(self._client.base_url)).netloc.rpartition("@")[2]

    @property
    def _address(self) -> str:
        """The base URL without a password."""
        return re.sub("//[^/@]*@", "//", str(self._client.base_url))

    def _hide(self, text: str) -> str:
        """The text without the key: servers tend to repeat the key they were sent."""
        return text.replace(self._key, "***") if self._key else text


def read_answer(body: bytes, section: str = "summary") -> Answer:
    """The answer in the body of a response.  Raises Unreached when it is no completion.

    ``section`` of settings, for errors.
    """
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        start = " ".join(body[:60].decode("utf-8", "replace").split())
        raise Unreached(f"the response is not json ({start!r}); is {section}.endpoint the base URL, with /v1?"
                        ) from None
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
