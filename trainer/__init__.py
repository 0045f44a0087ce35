"""Datasets, networks, export, the arena."""
