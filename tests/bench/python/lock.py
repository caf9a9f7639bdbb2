# A lock taken and given back by one task, whom nobody disturbs; prints ns per round trip.
# usage: lock.py N [uvloop]
import asyncio
import sys
import time

if "uvloop" in sys.argv:
    from uvloop import new_event_loop
else:
    from asyncio import new_event_loop

TASKS = 1
rounds = int(sys.argv[1]) // TASKS
lock = asyncio.Lock()


async def worker():
    for _ in range(rounds):
        async with lock:
            pass


async def main():
    await lock.acquire()
    tasks = [asyncio.create_task(worker()) for _ in range(TASKS)]
    await asyncio.sleep(0)
    start = time.process_time()
    lock.release()
    await asyncio.gather(*tasks)
    print((time.process_time() - start) * 1e9 / (rounds * TASKS))


new_event_loop().run_until_complete(main())
