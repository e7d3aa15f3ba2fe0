"""Encoders, what is done to their layers, and the guarded import of timm."""
