"""Texts of the grid, and held-out texts to test the law on, from the machine's packages.

    python benchmarks/law/texts.py FOLDER

Needs the packages of Debian: fortunes, fortunes-min, fortunes-{cs,de,es,it,pl,ru,zh}, perl-doc, libc6-dev and
manpages-zh, libstdc++-dev, xkb-data, shared-mime-info, vim-runtime, cmake-data, postgresql; and the packages
numpy and scipy.
"""

from __future__ import annotations

import glob
import gzip
import re
import sys
import sysconfig
from pathlib import Path

FORTUNES = "/usr/share/games/fortunes"
SITE = sysconfig.get_paths()["purelib"]
LIBRARY = sysconfig.get_paths()["stdlib"]
GRID = {
    "kids": [f"{FORTUNES}/kids"],
    "literature": [f"{FORTUNES}/literature"],
    "tang": [f"{FORTUNES}/tang300"],
    "work": [f"{FORTUNES}/men-women"],
    "songs": [f"{FORTUNES}/songs-poems"],
    "cookie": [f"{FORTUNES}/cookie", f"{FORTUNES}/computers"],
    "chinese": [f"{FORTUNES}/chinese"],
    "de": [f"{FORTUNES}/de/*"],
    "it": [f"{FORTUNES}/it/*"],
    "ru": [f"{FORTUNES}/ru/*"],
    "pl": [f"{FORTUNES}/pl/*"],
    "es": [f"{FORTUNES}/es/*"],
    "pod": ["/usr/share/perl/5.*.*/pod/perl[a-m]*.pod"],
    "headers": ["/usr/include/linux/*.h"],
    "tests": [f"{LIBRARY}/test/test_[a-d]*.py"],
}
"""Texts that the law is fitted to."""
MORE = {
    "licenses": ["/usr/share/common-licenses/*"],
    "perl-modules": ["/usr/share/perl/5.*.*/*.pm"],
    "cpp": ["/usr/include/c++/*/bits/*.h"],
    "locales": ["/usr/share/i18n/locales/[d-f]*"],
    "commands": ["/usr/share/man/man1/[bt]*.gz"],
    "numpy": [f"{SITE}/numpy/lib/*.py", f"{SITE}/numpy/ma/*.py"],
    "scipy": [f"{SITE}/scipy/stats/*.py"],
    "politics": [f"{FORTUNES}/politics", f"{FORTUNES}/law"],
    "people": [f"{FORTUNES}/people", f"{FORTUNES}/wisdom"],
    "definitions": [f"{FORTUNES}/definitions"],
    "formiche": [f"{FORTUNES}/formiche", f"{FORTUNES}/italia"],
    "science": [f"{FORTUNES}/science", f"{FORTUNES}/startrek"],
    "sk": [f"{FORTUNES}/sk/*"],
    "copyrights": ["/usr/share/doc/[a-d]*/copyright"],
    "changelogs": ["/usr/share/doc/lib[a-c]*/changelog.Debian.gz"],
    "keyboards": ["/usr/share/X11/xkb/symbols/[a-l]*"],
    "mime": ["/usr/share/mime/packages/*.xml"],
    "stubs": [f"{SITE}/numpy/*.pyi", f"{SITE}/numpy/*/*.pyi"],
    "vim": ["/usr/share/vim/vim*/syntax/[a-f]*.vim"],
    "cmake": ["/usr/share/cmake-*/Help/[cmp]*/*.rst"],
    "sql": ["/usr/share/postgresql/*/extension/*.sql"],
}
"""Texts that were added later, to which the law is fitted, too."""
HELD_OUT = {
    "linux": [f"{FORTUNES}/linux"],
    "chat": [f"{FORTUNES}/knghtbrd"],
    "cs": [f"{FORTUNES}/cs/*"],
    "manual-zh": ["/usr/share/man/zh_CN/man[1-3]/*.gz"],
    "library": [f"{LIBRARY}/*.py"],
}
"""Texts that the law has not seen."""


def write_texts(folder: Path) -> None:
    """Write each text into `folder` as NAME.txt."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, patterns in (GRID | MORE | HELD_OUT).items():
        paths = sorted(path for pattern in patterns for path in glob.glob(pattern))
        text = "\n".join(filter(None, map(read, paths)))
        (folder / f"{name}.txt").write_text(text, "utf-8")
        print(f"{name}: {len(text):,} characters of {len(paths)} files")


def read(path: str) -> str:
    """Return the text of a file; of anything else than text, nothing."""
    if path.endswith((".dat", ".u8")) or not Path(path).is_file():
        return ""
    data = gzip.open(path).read() if path.endswith(".gz") else Path(path).read_bytes()
    text = data.decode("utf-8", "replace")
    return re.sub("\x1b\\[[0-9;]*m", "", text)  # colors of a terminal


if __name__ == "__main__":
    write_texts(Path(sys.argv[1]))
