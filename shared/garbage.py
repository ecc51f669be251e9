"""The garbage collector of a process that runs for long."""

import gc

# New objects between two collections. A picture makes some 100 on its way through a worker, a reply of 100 hits 600.
_OBJECTS = 20_000


def calm_collector() -> None:
    """Let the garbage collector leave alone what is there by now, which stays to the end, and look less often.

    It would walk all of it again and again, holding up everything for a tenth of a second, as long as records, a
    store's pages and replies make many small objects.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_OBJECTS)
