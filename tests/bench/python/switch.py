# A task switch: 1000 tasks, each awaiting asyncio.sleep(0) in a loop; prints ns per switch.
# usage: switch.py N [uvloop]
import asyncio
import sys
import time

if "uvloop" in sys.argv:
    from uvloop import new_event_loop
else:
    from asyncio import new_event_loop

TASKS = 1000
rounds = int(sys.argv[1]) // TASKS


async def worker():
    for _ in range(rounds):
        await asyncio.sleep(0)


async def main():
    tasks = [asyncio.create_task(worker()) for _ in range(TASKS)]
    start = time.process_time()
    await asyncio.gather(*tasks)
    print((time.process_time() - start) * 1e9 / (rounds * TASKS))


new_event_loop().run_until_complete(main())
