"""What a reader hands over when partitions of its group move."""

from shared.event_log.kafka_handover import Handover


def test_what_was_read_is_done_once_it_is_staged() -> None:
    handover = Handover()
    handover.read({"0": 10, "1": 7})
    handover.stage({"0": 10, "1": 6})
    assert handover.is_done(["0"])
    assert not handover.is_done(["0", "1"])
    handover.stage({"1": 7})
    assert handover.is_done(["0", "1"])
    assert handover.staged(["1", "2"]) == {"1": 7}


def test_a_partition_that_nothing_was_read_of_is_not_waited_for() -> None:
    handover = Handover()
    assert handover.is_done(["0"])
    handover.read({"0": 10})
    handover.lose(["0"])
    assert handover.is_done(["0"])


def test_what_went_can_not_be_staged_before_its_owner_was_told_and_has_come_back() -> None:
    handover = Handover()
    handover.stage({"0": 10})
    handover.lose(["0"])
    assert handover.staged(["0"]) == {}
    handover.stage({"0": 11})
    assert handover.take_lost() == {"0"}
    handover.stage({"0": 12})
    assert handover.staged(["0"]) == {}
    handover.note_return()
    handover.stage({"0": 3})
    assert handover.staged(["0"]) == {"0": 3}
    assert handover.take_lost() == frozenset()
