# Sleeping tasks: n of them asleep at once, at 1000 distinct times; prints bytes of resident memory
# per task and the seconds it took to create them and put them to sleep.
# usage: sleeping.py N [uvloop]
import asyncio
import os
import re
import sys
import time

if "uvloop" in sys.argv:
    from uvloop import new_event_loop
else:
    from asyncio import new_event_loop

n = int(sys.argv[1])
started = 0


def resident():
    with open("/proc/self/status") as file:
        return int(re.search(r"VmRSS:\s*(\d+)", file.read())[1]) * 1024


async def sleeper(seconds):
    global started
    started += 1
    await asyncio.sleep(seconds)


async def main():
    before, start = resident(), time.process_time()
    # asyncio keeps only weak references to tasks: its manual says to hold them
    tasks = [asyncio.create_task(sleeper(3600 + i % 1000)) for i in range(n)]
    while started < n:
        await asyncio.sleep(0)
    spent = time.process_time() - start
    print((resident() - before) / n, spent, flush=True)
    assert len(tasks) == n
    os._exit(0)  # what comes after is not measured


new_event_loop().run_until_complete(main())
