# A task's whole life: create trivial tasks in batches of 1000, then await each; prints ns per task.
# usage: create.py N [uvloop]
import asyncio
import sys
import time

if "uvloop" in sys.argv:
    from uvloop import new_event_loop
else:
    from asyncio import new_event_loop

BATCH = 1000
batches = int(sys.argv[1]) // BATCH


async def one():
    return 1


async def main():
    total = 0
    start = time.process_time()
    for _ in range(batches):
        tasks = [asyncio.create_task(one()) for _ in range(BATCH)]
        for task in tasks:
            total += await task
    spent = time.process_time() - start
    assert total == batches * BATCH
    print(spent * 1e9 / total)


new_event_loop().run_until_complete(main())
