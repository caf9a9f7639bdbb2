# A TaskGroup of 1000 tasks that do not suspend, again and again; prints ns per task.
# usage: taskgroup.py N [uvloop]
import asyncio
import sys
import time

if "uvloop" in sys.argv:
    from uvloop import new_event_loop
else:
    from asyncio import new_event_loop

SIZE = 1000
rounds = int(sys.argv[1]) // SIZE


async def one():
    return 1


async def main():
    total = 0
    start = time.process_time()
    for _ in range(rounds):
        tasks = []
        async with asyncio.TaskGroup() as group:
            for _ in range(SIZE):
                tasks.append(group.create_task(one()))
        for task in tasks:
            total += task.result()
    spent = time.process_time() - start
    assert total == rounds * SIZE
    print(spent * 1e9 / total)


new_event_loop().run_until_complete(main())
