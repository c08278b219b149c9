"""Checks worked examples of firms' rule texts against the engine that judges live accounts."""
