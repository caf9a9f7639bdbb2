# gather of 100,000 coroutines that do not suspend, again and again; prints ns per coroutine.
# usage: gather.py N [uvloop]
import asyncio
import sys
import time

if "uvloop" in sys.argv:
    from uvloop import new_event_loop
else:
    from asyncio import new_event_loop

SIZE = 100000
rounds = int(sys.argv[1]) // SIZE


async def one():
    return 1


async def main():
    total = 0
    start = time.process_time()
    for _ in range(rounds):
        results = await asyncio.gather(*[one() for _ in range(SIZE)])
        total += len(results)
    spent = time.process_time() - start
    assert total == rounds * SIZE
    print(spent * 1e9 / total)


new_event_loop().run_until_complete(main())
