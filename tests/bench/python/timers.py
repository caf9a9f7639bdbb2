# Timers: set n of them at 1000 distinct times and let them fire; prints ns of processor time per timer.
# usage: timers.py N [uvloop]
import sys
import time

if "uvloop" in sys.argv:
    from uvloop import new_event_loop
else:
    from asyncio import new_event_loop

n = left = int(sys.argv[1])
loop = new_event_loop()


async def main():
    finished = loop.create_future()

    def fire():
        global left
        left -= 1
        if left == 0:
            finished.set_result(True)

    start = time.process_time()
    for i in range(n):
        loop.call_later((1 + i % 1000) / 1000, fire)
    await finished
    print((time.process_time() - start) * 1e9 / n)


loop.run_until_complete(main())
