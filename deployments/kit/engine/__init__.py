"""The form engine: a definition is parsed once, a published version compiled once, answers are checked by closures."""

from deployments.kit.engine.columns import LABELLED, Column, Kind, Style
from deployments.kit.engine.compatibility import incompatible_changes
from deployments.kit.engine.conditions import AnswerCondition, compile_condition
from deployments.kit.engine.decision import Decision
from deployments.kit.engine.definition import Definition, definition_schema
from deployments.kit.engine.faults import InvalidDefinition
from deployments.kit.engine.fields.files import FileRules
from deployments.kit.engine.form import CompiledForm, compile_form, merged_columns, table_columns
from deployments.kit.engine.meaning import answer_types
from deployments.kit.engine.parsing import parse_definition, stored_definition

__all__ = [
    "LABELLED",
    "AnswerCondition",
    "Column",
    "CompiledForm",
    "Decision",
    "Definition",
    "FileRules",
    "InvalidDefinition",
    "Kind",
    "Style",
    "answer_types",
    "compile_condition",
    "compile_form",
    "definition_schema",
    "incompatible_changes",
    "merged_columns",
    "parse_definition",
    "stored_definition",
    "table_columns",
]
