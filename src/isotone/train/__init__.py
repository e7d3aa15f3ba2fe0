"""Training that can be trusted: exact resume, atomic checkpoints, honest stops. It knows no method by name."""
