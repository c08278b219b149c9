"""Workflows. Each module has one; `registry` names them all."""
