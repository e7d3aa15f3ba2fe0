"""Text that a spreadsheet must not run: a cell that begins like a formula gets an apostrophe in front.

Source: OWASP, "CSV Injection".
"""

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def neutral(text: str) -> str:
    """Return the text so that no spreadsheet takes it for a formula.

    Example:
        >>> neutral("=1+1"), neutral("a.jpg")
        ("'=1+1", 'a.jpg')
    """
    return f"'{text}" if str(text).startswith(_FORMULA) else str(text)
