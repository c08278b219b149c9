"""A fake DXtrade: a process of its own that speaks the venue's REST and push interfaces. docs/dxtrade.md."""
