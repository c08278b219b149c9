"""A fake Zammad: a part of its REST interface, with the traps of the real one."""
