"""Renderer: environment variables in, verified files for the engine and the collector out."""
