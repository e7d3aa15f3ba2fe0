"""The command line: one thin file a verb; each calls one function of `isotone.api`."""
