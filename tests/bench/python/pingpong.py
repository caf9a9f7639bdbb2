# Ping-pong of two tasks through a Queue(1) each way; prints ns per round trip.
# usage: pingpong.py N [uvloop]
import asyncio
import sys
import time

if "uvloop" in sys.argv:
    from uvloop import new_event_loop
else:
    from asyncio import new_event_loop

PAIRS = 1
rounds = int(sys.argv[1]) // PAIRS
there, back = asyncio.Queue(1), asyncio.Queue(1)


async def ping():
    for i in range(rounds):
        await there.put(i)
        await back.get()


async def pong():
    for _ in range(rounds):
        await back.put(await there.get())


async def main():
    tasks = [asyncio.create_task(ping()) for _ in range(PAIRS)]
    tasks += [asyncio.create_task(pong()) for _ in range(PAIRS)]
    start = time.process_time()
    await asyncio.gather(*tasks)
    print((time.process_time() - start) * 1e9 / (rounds * PAIRS))


new_event_loop().run_until_complete(main())
