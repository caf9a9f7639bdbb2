# wait_for around a coroutine that does not suspend; prints ns per wait_for. With `timeout`, what
# wait_for is since Python 3.12: a timeout() block. usage: wait_for.py N [timeout] [uvloop]
import asyncio
import sys
import time

if "uvloop" in sys.argv:
    from uvloop import new_event_loop
else:
    from asyncio import new_event_loop

n = int(sys.argv[1])


async def one():
    return 1


async def timeout_block(awaitable, seconds):
    async with asyncio.timeout(seconds):
        return await awaitable


wait_for = timeout_block if "timeout" in sys.argv else asyncio.wait_for


async def main():
    total = 0
    start = time.process_time()
    for _ in range(n):
        total += await wait_for(one(), 10)
    spent = time.process_time() - start
    assert total == n
    print(spent * 1e9 / n)


new_event_loop().run_until_complete(main())
