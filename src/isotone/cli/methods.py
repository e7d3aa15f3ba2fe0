"""`isotone methods`: what there is to train with, and what each needs."""

import sys

from isotone.cli.arguments import Arguments


def run(words: list[str]) -> int:
    """Print each method's name and its first line, then what it needs of the data, and the heads."""
    Arguments("methods", "List the methods.").read(words)

    from isotone.methods import ALIASES, METHODS
    from isotone.methods.needs import KINDS, NEEDS
    from isotone.predict import HEADS

    for name, method in METHODS.items():
        also = [alias for alias, of in ALIASES.items() if of == name]
        first = (method.__doc__ or "").strip().splitlines()[0]
        sys.stdout.write(f"{name:15} {first}{f' Also found as {also[0]}.' if also else ''}\n")
    sys.stdout.write("\n")
    for name, method in METHODS.items():
        needs = " and ".join(NEEDS[need] for need in method.needs) or "no label"
        takes = ", ".join(KINDS[kind] for kind in method.kinds)
        sys.stdout.write(f"{name:15} needs {needs}; takes {takes}\n")
    sys.stdout.write(f"\nHeads (--head) for targets: {', '.join(HEADS['numbers'])}, and on a frozen encoder knn; ")
    sys.stdout.write("for classes: classify\n")
    sys.stdout.write("Settings of a method: isotone fit --method NAME --help\n")
    return 0
