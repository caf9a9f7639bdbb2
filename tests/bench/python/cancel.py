# Cancel 100,000 tasks that sleep, and join them; prints ns per task: creating them is not measured.
# usage: cancel.py N [uvloop]
import asyncio
import sys
import time

if "uvloop" in sys.argv:
    from uvloop import new_event_loop
else:
    from asyncio import new_event_loop

SIZE = 100000
rounds = int(sys.argv[1]) // SIZE


async def main():
    cancelled, spent = 0, 0
    for _ in range(rounds):
        tasks = [asyncio.create_task(asyncio.sleep(3600 + i % 1000)) for i in range(SIZE)]
        await asyncio.sleep(0)
        start = time.process_time()
        for task in tasks:
            task.cancel()
        for task in tasks:
            try:
                await task
            except asyncio.CancelledError:
                cancelled += 1
        spent += time.process_time() - start
    assert cancelled == rounds * SIZE
    print(spent * 1e9 / cancelled)


new_event_loop().run_until_complete(main())
