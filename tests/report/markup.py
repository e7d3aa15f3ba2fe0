"""What a page holds, as its reader's browser sees it, and texts that try to become markup."""

from html.parser import HTMLParser

PAYLOADS = (
    "<script>p(1)</script>",
    "<img src=x onerror=p(2)>",
    "\"'><b id=q>",
    "</script><!--",
    "{{7*7}}",
    "<svg/onload=p(3)>",
    "javascript:p(4)",
    "\u202eltr",
)


class Page(HTMLParser):
    """The markup outside the drawings, the texts, and every address."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.markup: list[tuple[str, tuple[str, ...]]] = []
        self.drawn: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self.depth, self.inside = 0, ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside = tag
        self.depth += tag == "svg"
        self.attributes += [(name, value or "") for name, value in attrs]
        if self.depth:
            self.drawn.add(tag)
        else:
            self.markup.append((tag, tuple(name for name, _ in attrs)))

    def handle_endtag(self, tag: str) -> None:
        self.depth -= tag == "svg"
        self.inside = ""

    def handle_data(self, data: str) -> None:
        (self.scripts if self.inside == "script" else self.texts).append(data)


def addresses(page: Page) -> set[str]:
    kept = {"src", "href", "xlink:href", "action", "data", "srcset", "poster", "formaction", "background"}
    return {value.partition(",")[0].partition("#")[0] for name, value in page.attributes if name in kept}
