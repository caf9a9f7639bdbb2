# GET of a small file, 100 requests at a time over connections that are kept; prints us of processor time per request.
# usage: fetch.py N URL CA
import asyncio
import ssl
import sys
import time

import aiohttp

TOGETHER = 100
each = int(sys.argv[1]) // TOGETHER
url, ca = sys.argv[2:4]


async def client(session):
    for _ in range(each):
        async with session.get(url) as response:
            assert response.status == 200 and await response.read() == b"small\n"


async def main():
    context = ssl.create_default_context(cafile=ca)
    connector = aiohttp.TCPConnector(limit=TOGETHER, ssl=context)
    async with aiohttp.ClientSession(connector=connector) as session:
        start = time.process_time()
        await asyncio.gather(*[client(session) for _ in range(TOGETHER)])
        print((time.process_time() - start) * 1e6 / (TOGETHER * each))


asyncio.run(main())
