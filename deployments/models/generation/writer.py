"""Writes with a model that ONNX Runtime GenAI runs: a folder with genai_config.json, a tokenizer and the graphs."""

import json
import threading
import time
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from deployments.kit.errors import DeadlineExceeded
from deployments.models.contracts import Generated, Prompt
from deployments.models.errors import ModelMissing, ModelUnusable
from deployments.models.generation.fencing import FencedPrompt, fenced

_LIBRARY: Final = "onnxruntime_genai"
_CONFIG: Final = "genai_config.json"
_SHORTEST: Final = 64


class Writer:
    """A loaded model; one prompt at a time."""

    def __init__(self, folder: Path, deadline_s: float) -> None:
        """Load. Raises ModelMissing without the library or the folder, ModelUnusable for one that cannot be loaded."""
        try:
            self._genai: Any = import_module(_LIBRARY)
        except ImportError as error:
            raise ModelMissing(f"{_LIBRARY} is not installed", retry_after=60.0) from error
        if not (folder / _CONFIG).is_file():
            raise ModelMissing(f"{folder} has no {_CONFIG}", retry_after=60.0)
        self.name = folder.name
        self._deadline_s = deadline_s
        try:
            self._context = int(json.loads((folder / _CONFIG).read_text())["model"]["context_length"])
            self._model = self._genai.Model(str(folder))
            self._tokenizer = self._genai.Tokenizer(self._model)
        except Exception as error:  # what the library raises has no common type
            raise ModelUnusable(f"{folder} cannot be loaded: {error}") from error
        self._turn = threading.Lock()

    def write(self, prompt: Prompt, cancelled: threading.Event) -> Generated:
        """What the model writes, at most `prompt.max_tokens` tokens. Ends early when `cancelled` is set.

        Raises DeadlineExceeded when that takes longer than the deadline, waiting for the turn included.
        """
        until = time.monotonic() + self._deadline_s
        if not self._turn.acquire(timeout=self._deadline_s):
            raise DeadlineExceeded("the model writes for others")
        try:
            return Generated(model=self.name, text=self._written(prompt, until, cancelled))
        finally:
            self._turn.release()

    def _written(self, prompt: Prompt, until: float, cancelled: threading.Event) -> str:
        tokens = self._tokens(prompt)
        parameters = self._genai.GeneratorParams(self._model)
        parameters.set_search_options(max_length=len(tokens) + prompt.max_tokens, do_sample=False, batch_size=1)
        generator = self._genai.Generator(self._model, parameters)
        generator.append_tokens(tokens)
        stream = self._tokenizer.create_stream()
        pieces: list[str] = []
        while not generator.is_done():
            if cancelled.is_set():
                break
            if time.monotonic() > until:
                raise DeadlineExceeded("the model writes too slowly")
            generator.generate_next_token()
            token = generator.get_next_tokens()[0]
            if token not in self._tokenizer.eos_token_ids:
                pieces.append(stream.decode(token))
        return "".join(pieces).strip()

    def _tokens(self, prompt: Prompt) -> Any:
        """The prompt's tokens, its material cut until they leave room for the answer."""
        room = self._context - prompt.max_tokens
        most = max((len(item) for item in prompt.material), default=0)
        while True:
            tokens = self._tokenizer.encode(self._rendered(fenced(prompt, most)))
            if len(tokens) <= room:
                return tokens
            if most <= _SHORTEST:
                raise ModelUnusable("the model's context is too short for the prompt")
            most = max(_SHORTEST, most // 2)

    def _rendered(self, prompt: FencedPrompt) -> str:
        messages = [{"role": "system", "content": prompt.rules}, {"role": "user", "content": prompt.material}]
        try:
            rendered: str = self._tokenizer.apply_chat_template(json.dumps(messages), add_generation_prompt=True)
        except Exception:  # noqa: BLE001 - a model without a template; the library has no type of error for it
            return prompt.plain()
        return rendered
