"""The process that typesets one document: reads a folder, writes `out.pdf` into it, and ends.

Run as a script, so that nothing of the platform is imported. The folder holds `job.json` (`template`, `timestamp`), the
templates, `data.json` and perhaps a logo. What goes wrong is written to `error.txt`.
"""

import json
import resource
import sys
from pathlib import Path
from typing import Any

MEMORY_BYTES = 2 << 30
CPU_S = 60


def fonts(folder: Path) -> None:
    """Write the fonts that come with `pymupdf-fonts`, which keeps them packed inside of modules."""
    from pymupdf_fonts import (  # type: ignore[import-untyped]
        FiraGO_Bold,
        FiraGO_Regular,
        NotoSansSymbols2_Regular,
    )

    folder.mkdir()
    for module in (FiraGO_Regular, FiraGO_Bold, NotoSansSymbols2_Regular):
        (folder / f"{module.__name__.rpartition('.')[2]}.ttf").write_bytes(module.fontbuffer)


def typeset(folder: Path) -> bytes:
    """The document. With a character that no font has it is not PDF/UA, but as much tagged."""
    import typst

    job: dict[str, Any] = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    fonts(folder / "fonts")
    compiler = typst.Compiler(
        str(folder / job["template"]),
        root=str(folder),
        font_paths=[str(folder / "fonts"), *job["fonts"]],
        ignore_system_fonts=True,
        package_path=str(folder / "none"),
        package_cache_path=str(folder / "none"),
    )
    try:
        made = compiler.compile(format="pdf", pdf_standards="ua-1", timestamp=job["timestamp"])
    except typst.TypstError:
        made = compiler.compile(format="pdf", pdf_standards="1.7", timestamp=job["timestamp"])
    if not isinstance(made, bytes):
        raise TypeError("a PDF is one file")
    return made


def main() -> int:
    """Status 0 when there is a document."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    folder = Path(sys.argv[1])
    try:
        (folder / "out.pdf").write_bytes(typeset(folder))
    except Exception as error:  # noqa: BLE001 - told to who waits, in another process
        detail = getattr(error, "diagnostic", None) or repr(error)
        (folder / "error.txt").write_text(str(detail)[:4000], encoding="utf-8")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
