# An await in line: `await one()` of a coroutine that does not suspend; prints ns per await.
import asyncio
import sys
import time

n = int(sys.argv[1])


async def one():
    return 1


async def main():
    total = 0
    start = time.process_time()
    for _ in range(n):
        total += await one()
    spent = time.process_time() - start
    assert total == n
    print(spent * 1e9 / n)


asyncio.run(main())
