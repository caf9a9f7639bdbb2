# Whole small files, 16 at a time; prints us of processor time per file.
# usage: files.py N [uvloop | threads] FOLDER, which has the files 1 to N, of 1000 bytes each; "threads": without a loop
import asyncio
import sys
import time
from concurrent.futures import ThreadPoolExecutor

TOGETHER = 16
n = int(sys.argv[1])
folder = sys.argv[-1]


def read(i):
    with open(f"{folder}/{i}", "rb") as file:
        return file.read()


async def reader(first, pool):
    loop = asyncio.get_running_loop()
    for i in range(first, n + 1, TOGETHER):
        assert len(await loop.run_in_executor(pool, read, i)) == 1000


async def main(pool):
    await asyncio.gather(*[reader(i, pool) for i in range(1, TOGETHER + 1)])


with ThreadPoolExecutor(4) as pool:  # as many threads as libuv has
    start = time.process_time()
    if "threads" in sys.argv[2:-1]:
        for data in pool.map(read, range(1, n + 1)):
            assert len(data) == 1000
    else:
        if "uvloop" in sys.argv[2:-1]:
            import uvloop
            uvloop.install()
        asyncio.run(main(pool))
    print((time.process_time() - start) * 1e6 / n)
