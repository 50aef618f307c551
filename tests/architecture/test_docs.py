"""What the pages tell readers to type is what the platform takes."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from pydantic import TypeAdapter

from deployments.kit.engine import CompiledForm, compile_form, parse_definition
from deployments.kit.engine.fields import ELEMENT_TYPES
from serve_app.cli.app import app
from serve_app.edge.operations import Body, Operation
from serve_app.edge.routes import OPERATIONS
from serve_app.edge.routes.imports import ImportForm
from tests.architecture.rooms import ROOT

README = ROOT / "README.md"
GUIDES = ROOT / "docs" / "guides"
RUNBOOKS = ROOT / "docs" / "runbooks"
PAGES = sorted([README, *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").glob("*.md")])

BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)
CALL = re.compile(r"curl (?P<words>(?:\\\n|'[^']*'|\"[^\"]*\"|[^'\"|\n)])*)")
BASES = {"api": "/api/v1", "analytics": "/api/v2/analytics"}
ADDRESS = re.compile(rf"\$(?P<base>{'|'.join(BASES)})/(?P<path>[\w$/.-]+)")
DATA = re.compile(r"-d ((?:'[^']*'|\$\w+)+)")
FIELD = re.compile(r"-F (\w+)=('[^']*'|\S+)")
COMMAND = re.compile(r"(?<![\w./-])formstream ((?:\"[^\"]*\"|[^\s`|;>&)]+|[ ])+)")
SHELL = re.compile(r"```(?:sh|console)?\n(.*?)```|`(formstream [^`]+)`", re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


def _calls(page: Path) -> list[str]:
    return [
        call["words"].replace("\\\n", " ") for block in BLOCK.findall(page.read_text()) for call in CALL.finditer(block)
    ]


def _operation(words: str) -> Operation:
    address = ADDRESS.search(words)
    assert address is not None, words
    path = f"{BASES[address['base']]}/{address['path']}"
    explicit = re.search(r"-X (\w+)", words)
    sends = "-d '" in words or "-F " in words
    method = explicit[1] if explicit else "POST" if sends else "GET"
    for operation in OPERATIONS:
        pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(operation.path))
        if operation.method == method and re.fullmatch(pattern, path):
            return operation
    raise AssertionError(f"nothing answers {method} {path}")


def _bodies(page: Path) -> list[tuple[Operation, Any]]:
    return [
        (_operation(words), json.loads(data[1].replace("'", "")))
        for words in _calls(page)
        if ADDRESS.search(words) and (data := DATA.search(words))
    ]


def _form_of_the_tour() -> CompiledForm:
    definition = next(body["definition"] for operation, body in _bodies(README) if operation.id == "create_form")
    return compile_form(parse_definition(definition))


class TestTour:
    def test_covers_the_whole_way(self) -> None:
        used = {_operation(words).id for words in _calls(README)}

        assert used >= {
            "sign_up",
            "create_form",
            "publish_form",
            "create_webhook",
            "submit_public_response",
            "list_responses",
            "export_responses_csv",
            "start_import",
            "get_job",
        }

    def test_answers_fit_the_form(self) -> None:
        """The first submission is taken; the second shows three mistakes at once."""
        form = _form_of_the_tour()
        good, bad = [body for operation, body in _bodies(README) if operation.id == "submit_public_response"]

        assert form.check(good["answers"])[1] == ()
        assert {fault.code for fault in form.check(bad["answers"])[1]} >= {"required", "format.email", "option.unknown"}

    def test_the_imported_file_is_there(self) -> None:
        words = next(words for words in _calls(README) if "-F " in words)
        fields = {name: value.strip("'") for name, value in FIELD.findall(words)}

        assert (ROOT / fields.pop("file").removeprefix("@")).is_file()
        assert fields.keys() <= ImportForm.model_fields.keys()


@pytest.mark.parametrize("page", [README, *sorted(GUIDES.glob("*.md"))], ids=lambda page: page.stem)
def test_every_body_is_what_its_operation_takes(page: Path) -> None:
    for operation, body in _bodies(page):
        assert operation.body in (Body.JSON, Body.RAW_JSON)
        TypeAdapter(operation.request).validate_python(body)


@pytest.mark.parametrize("page", [README, *sorted(GUIDES.glob("*.md"))], ids=lambda page: page.stem)
def test_every_call_reaches_an_operation(page: Path) -> None:
    for words in _calls(page):
        _operation(words)


@pytest.mark.parametrize("page", sorted(RUNBOOKS.glob("*.md")), ids=lambda page: page.stem)
def test_calls_of_runbooks_reach_an_operation(page: Path) -> None:
    """O3: and bodies are what it takes. What is not below `$api` is asked of a port of this machine."""
    for words in _calls(page):
        if "$api" in words:
            _operation(words)
    for operation, body in _bodies(page):
        TypeAdapter(operation.request).validate_python(body)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_exist_with_their_options(page: Path) -> None:
    """Nobody finds out at night that a command is called otherwise."""
    for words in _commands(page):
        command: Any = typer.main.get_command(app)
        for word in words:
            name = word.partition("=")[0]
            if name.startswith("--"):
                known = {each for option in command.params for each in (*option.opts, *option.secondary_opts)} | {
                    "--help"
                }
                assert name in known, " ".join(words)
            elif hasattr(command, "commands"):
                assert name in command.commands, " ".join(words)
                command = command.commands[name]


def _commands(page: Path) -> list[list[str]]:
    shown = "\n".join(block or span for block, span in SHELL.findall(page.read_text()))
    said = [found[1].strip() for found in COMMAND.finditer(shown.replace("\\\n", " "))]
    # Other programs have things of that name.
    return [re.findall(r'"[^"]*"|\S+', words) for words in said if not words.startswith("-")]


def test_the_guide_of_operations_fits_the_compose_file() -> None:
    """O8: services, and what its override adds to them."""
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    text = (GUIDES / "operations.md").read_text()
    (override,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    added = yaml.safe_load(override)

    assert set(re.findall(r"docker compose exec (?:-T )?([a-z]+)", text)) <= compose["services"].keys()
    assert added["services"].keys() <= compose["services"].keys()
    assert set(added["services"]["app"]["secrets"]) == added["secrets"].keys()
    assert not added["secrets"].keys() & compose["secrets"].keys()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text()):
        assert (page.parent / target).exists(), target


def test_the_guide_names_every_type_of_element() -> None:
    text = (GUIDES / "quick-start.md").read_text()
    named = set(re.findall(r"`(\w+)`", text.partition("The types are ")[2].partition(". ")[0]))

    assert named == {kind.model_fields["type"].annotation.__args__[0] for kind in ELEMENT_TYPES}  # type: ignore[union-attr]


def test_decisions_are_listed_in_order() -> None:
    folder = ROOT / "docs" / "decisions"
    written = sorted(path.name for path in folder.glob("[0-9]*.md"))
    listed = re.findall(r"\]\((\d{4}-[a-z-]+\.md)\)", (folder / "README.md").read_text())

    assert listed == written
    for number, name in enumerate(written, 1):
        text = (folder / name).read_text()
        assert text.startswith(f"# {number:04} ")
        headings = re.findall(r"(?m)^## (.+)$", text)
        assert headings == ["Context", "Decision", "Consequences", "Alternatives"], name
