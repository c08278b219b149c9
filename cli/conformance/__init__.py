"""Worked examples of firms' own rule texts, fed through the engine that judges live accounts."""
