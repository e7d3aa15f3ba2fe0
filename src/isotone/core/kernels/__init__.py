"""Fast twins of `contrast`, each tested against it for value and gradient."""
