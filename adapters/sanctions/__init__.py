"""Published sanctions lists: the consolidated list of the United Nations, the OFAC SDN list, those of the EU and UK.

The layouts are written from memory of the published formats; no file of theirs is in this project.
"""
