"""The rooms and the contexts see each other only as pyproject.toml says."""

from importlinter.api import read_configuration
from importlinter.application.use_cases import lint_imports

from tests.architecture.rooms import ROOT, contexts, imported_names, project, sources, tree_of

ALLOWED_IGNORES = ["deployments.** -> deployments.*.contracts"]


def _contracts() -> dict[str, dict[str, object]]:
    return {contract["id"]: contract for contract in project()["tool"]["importlinter"]["contracts"]}


def test_every_import_contract_is_kept(capsys) -> None:  # type: ignore[no-untyped-def]
    kept = lint_imports(str(ROOT / "pyproject.toml"), cache_dir=None)

    assert kept, capsys.readouterr().out


def test_no_contract_ignores_anything_but_contracts() -> None:
    for contract in read_configuration(str(ROOT / "pyproject.toml"))["contracts_options"]:
        assert contract.get("ignore_imports", []) in ([], ALLOWED_IGNORES), contract["id"]


def test_every_context_stands_under_the_contracts() -> None:
    rules = _contracts()
    modules = rules["contexts"]["modules"]
    layers = rules["kit"]["layers"]
    assert isinstance(modules, list)
    assert isinstance(layers, list)

    assert modules == [f"deployments.{name}" for name in contexts()]
    assert layers == [" | ".join(contexts()), "kit"]


def test_load_tests_know_only_urls() -> None:
    """The load generator is a stranger: what it knows of the platform is its HTTP API."""
    own = {"serve_app", "deployments", "eventing", "db", "tests"}

    for path in sources("loadtests"):
        foreign = {name for name in imported_names(tree_of(path)) if name.partition(".")[0] in own}
        assert not foreign, f"{path.relative_to(ROOT)} imports {foreign}"


def test_queries_are_written_in_the_data_room_only() -> None:
    # None of these can state a query: a driver's failures, how a URL is read, the type of a connection passed through.
    exceptions = {"sqlalchemy.exc", "sqlalchemy.engine", "sqlalchemy.ext.asyncio"}

    for path in sources("serve_app", "deployments", "eventing"):
        names = {
            name
            for name in imported_names(tree_of(path))
            if name.partition(".")[0] in {"sqlalchemy", "sqlmodel"} and name not in exceptions
        }
        assert not names, f"{path.relative_to(ROOT)} imports {names}: SQL belongs into db/repositories"


def test_the_composition_root_alone_reads_the_environment() -> None:
    for path in sources("deployments", "eventing", "db"):
        text = path.read_text()
        for word in ("os.environ", "os.getenv", "BaseSettings"):
            assert word not in text, f"{path.relative_to(ROOT)} uses {word}"
