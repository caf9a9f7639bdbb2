# A semaphore with 10 places: 1000 tasks wait, hold a place for a turn, and queue again; prints ns
# per acquire. usage: semaphore.py N [uvloop]
import asyncio
import sys
import time

if "uvloop" in sys.argv:
    from uvloop import new_event_loop
else:
    from asyncio import new_event_loop

TASKS = 1000
rounds = int(sys.argv[1]) // TASKS
semaphore = asyncio.Semaphore(10)


async def worker():
    for _ in range(rounds):
        async with semaphore:
            await asyncio.sleep(0)


async def main():
    tasks = [asyncio.create_task(worker()) for _ in range(TASKS)]
    start = time.process_time()
    await asyncio.gather(*tasks)
    print((time.process_time() - start) * 1e9 / (rounds * TASKS))


new_event_loop().run_until_complete(main())
