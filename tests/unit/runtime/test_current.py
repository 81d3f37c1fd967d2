import threading

from antiphon.runtime.current import Current


class Thing:
    pass


def test_the_first_workspace_adopts_what_was_used_before_it() -> None:
    current = Current(Thing)
    early = current.get()
    assert current.adopt() is early
    assert current.get() is early


def test_a_second_workspace_gets_its_own_and_the_first_stays_current() -> None:
    current = Current(Thing)
    first, second = current.adopt(), current.adopt()
    assert first is not second
    assert current.get() is first
    current.release(second)
    assert current.adopt() is not first, "the first still runs"


def test_what_a_stopped_workspace_had_goes_to_the_next() -> None:
    current = Current(Thing)
    first = current.adopt()
    current.release(first)
    assert current.get() is first
    assert current.adopt() is first


def test_a_given_object_becomes_the_current_one_unless_another_came_first() -> None:
    current, mine, other = Current(Thing), Thing(), Thing()
    assert current.adopt(mine) is mine
    assert current.get() is mine
    assert current.adopt(other) is other
    assert current.get() is mine


def test_threads_that_ask_at_the_same_moment_get_the_same_object() -> None:
    barrier, made, got = threading.Barrier(16), list[Thing](), list[Thing]()

    def make() -> Thing:
        made.append(Thing())
        return made[-1]

    current = Current(make)

    def ask() -> None:
        barrier.wait()
        got.append(current.get())

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert set(got) == set(made)
    assert len(got) == 16
