"""Lockstep waits for the readers of the sandbox, for some of them a little less."""

from sandbox.readers import Readers


def test_a_reader_may_be_behind_except_at_a_flush() -> None:
    readers = Readers(["shard/0"])
    assert readers.join("market/other", 0, behind=3)
    readers.acknowledge("shard/0", 3, 3, 0)
    assert not readers.waited_for(3, flushed=0)
    assert readers.waited_for(3, flushed=1), "the other has not stored what was flushed"
    readers.acknowledge("shard/0", 4, 4, 0)
    assert readers.waited_for(4, flushed=0), "it is four batches behind"
    readers.acknowledge("market/other", 4, 4, news=2)
    assert not readers.waited_for(4, flushed=4)
    assert (readers.acked, readers.keep_after, readers.news) == (4, 4, 2)
    assert not readers.join("shard/0", 0, behind=0)
    assert readers.positions() == {"shard/0": 4, "market/other": 4}


def test_a_restart_knows_its_readers() -> None:
    readers, again = Readers(["a"]), Readers(["a"])
    readers.join("b", 7, behind=2)
    again.restore(readers.state())
    assert again.positions() == {"a": 0, "b": 7}
