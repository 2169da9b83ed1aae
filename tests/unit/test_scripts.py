"""What a call of a script is packed from."""

import os

from messaging.scripts import newborn


def test_no_two_epochs_are_alike_not_even_those_of_a_fork() -> None:
    ours = {newborn() for _ in range(1000)}
    source, sink = os.pipe()
    pid = os.fork()
    if not pid:
        os.write(sink, b"".join(newborn() for _ in range(1000)))
        os._exit(0)
    os.close(sink)
    with os.fdopen(source, "rb") as child:
        text = child.read()
    os.waitpid(pid, 0)
    theirs = {text[at : at + 16] for at in range(0, len(text), 16)}
    ours |= {newborn() for _ in range(1000)}
    assert len(ours) == 2000
    assert len(theirs) == 1000
    assert not ours & theirs
    assert {len(epoch) for epoch in ours} == {16}
    assert all(int(epoch, 16) >= 0 for epoch in ours)
