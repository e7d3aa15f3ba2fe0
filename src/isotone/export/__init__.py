"""A trained model as files that anyone can read: safetensors and JSON, never a pickle."""
