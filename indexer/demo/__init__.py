"""The demo catalogue, drawn by the project itself from a seed: events, and the pictures that they carry."""
