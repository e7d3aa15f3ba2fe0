"""Print the pages of studies as Markdown: the verdict in words and the first table.

python bench/study_table.py study-robustness/study.html ...
"""

import sys
from html.parser import HTMLParser
from pathlib import Path


class Page(HTMLParser):
    """Collects the sentences of the verdict and the rows of each table."""

    def __init__(self) -> None:
        super().__init__()
        self.verdict: list[str] = []
        self.tables: list[list[list[str]]] = []
        self.inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin a sentence, a table, a row or a cell."""
        if ("class", "verdict") in attrs:
            self.verdict.append("")
            self.inside = "verdict"
        elif tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
            self.inside = "cell"

    def handle_endtag(self, tag: str) -> None:
        """End what holds text."""
        if tag in ("td", "th", "h2", "p"):
            self.inside = ""

    def handle_data(self, data: str) -> None:
        """Add text to where it stands."""
        if self.inside == "verdict":
            self.verdict[-1] += data
        elif self.inside == "cell":
            self.tables[-1][-1][-1] += data


def main(path: Path) -> None:
    """Print one page."""
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    print(f"\n{path.parent.name}: {' '.join(text.strip() for text in page.verdict)}")
    for table in page.tables[:1]:
        print(f"\n| {' | '.join(table[0])} |\n|{'---|' * len(table[0])}")
        for row in table[1:]:
            print(f"| {' | '.join(cell.strip() for cell in row)} |")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        main(Path(name))
