"""Names of files as they are kept: what somebody called the file, without what could do harm."""

import re
import unicodedata
from typing import Final

from pathvalidate import sanitize_filename

_LENGTH: Final = 150
_ENDING: Final = 20
_EDGES: Final = re.compile(r"^[\s.]+|[\s.]+$")
_FALLBACK: Final = "file"
# Controls, marks of direction and other characters that nobody sees.
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})

RUNS: Final = frozenset(
    [
        "app",
        "application",
        "asp",
        "aspx",
        "bash",
        "bat",
        "cgi",
        "chm",
        "class",
        "cmd",
        "com",
        "cpl",
        "csh",
        "dll",
        "exe",
        "gadget",
        "hta",
        "htm",
        "html",
        "inf",
        "ins",
        "isp",
        "jar",
        "jnlp",
        "js",
        "jse",
        "jsp",
        "jspx",
        "ksh",
        "lnk",
        "mht",
        "mhtml",
        "mjs",
        "msc",
        "msh",
        "msi",
        "msp",
        "mst",
        "ocx",
        "phar",
        "php",
        "php3",
        "php4",
        "php5",
        "php7",
        "php8",
        "phtml",
        "pif",
        "ps1",
        "ps1xml",
        "psc1",
        "psm1",
        "reg",
        "scf",
        "scr",
        "sct",
        "sh",
        "shtml",
        "svgz",
        "swf",
        "sys",
        "url",
        "vb",
        "vbe",
        "vbs",
        "vbscript",
        "ws",
        "wsc",
        "wsf",
        "wsh",
        "xht",
        "xhtml",
        "xsl",
        "xslt",
        "zsh",
        "apk",
        "desktop",
        "dmg",
        "iso",
        "img",
        "vhd",
        "vhdx",
    ]
)
"""Endings of files that run or act when somebody opens them."""

_HIDDEN: Final = re.compile(r"\.(" + "|".join(sorted(RUNS)) + r")(?=\.)", re.IGNORECASE)


def kept_name(name: str) -> str:
    """A file's name without folders, invisible characters and what a file system refuses; never empty.

    An ending that runs, hidden before another one, is no ending any more: `photo.php.jpg` becomes `photo_php.jpg`.
    """
    name = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    name = "".join(character for character in name if unicodedata.category(character) not in _INVISIBLE)
    name = sanitize_filename(_shortened(name), replacement_text="_", platform="universal")
    return _shortened(_HIDDEN.sub(r"_\1", name))


def _shortened(name: str) -> str:
    stem, dot, ending = _EDGES.sub("", name).rpartition(".")
    if dot and stem and len(ending) <= _ENDING:
        return f"{_EDGES.sub('', stem[: _LENGTH - len(ending)]) or _FALLBACK}.{ending}"
    return _EDGES.sub("", f"{stem}{dot}{ending}"[:_LENGTH]) or _FALLBACK


def ending_of(name: str) -> str:
    """The last ending of a name in lower case, empty for none."""
    return name.rpartition(".")[2].lower() if "." in name else ""
