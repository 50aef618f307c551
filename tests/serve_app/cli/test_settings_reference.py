"""The settings reference is complete and made from the settings themselves."""

from serve_app.cli.settings_reference import reference
from serve_app.settings import Settings


def test_every_setting_has_a_row_with_its_default_and_meaning() -> None:
    page = reference()
    for name, field in Settings.model_fields.items():
        assert field.description, name
        (row,) = [line for line in page.splitlines() if line.startswith(f"| `FORMSTREAM_{name.upper()}` |")]
        assert field.description in row


def test_defaults_are_written_as_they_are_set() -> None:
    rows = {line.split("`")[1]: line.split(" | ")[1] for line in reference().splitlines() if line.startswith("| `")}
    assert rows["FORMSTREAM_PORT"] == "`8000`"
    assert rows["FORMSTREAM_DATA_DIR"] == "`.formstream`"
    assert rows["FORMSTREAM_ACCESS_LOG"] == "`false`"
    assert rows["FORMSTREAM_SECRET_KEY"] == "empty"
