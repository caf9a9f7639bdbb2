"""Runs the programs of order_programs.lua on asyncio, from standard input;
prints what happens. order_neap.lua does the same, operation by operation.

    python3 order_asyncio.py EAGER <programs
"""
import asyncio
import math
import sys

EAGER = sys.argv[1] == "1"
FUEL = 300    # operations that one program may do
TICKS = 25    # turns after which all that is left is cancelled
ROUNDS = 100  # of that
DEPTH = 2     # of gathers in gathers: cancel costs 4 to its power


class Boom(Exception):
    pass


class Task(asyncio.tasks._PyTask):
    """Before 3.13 uncancel did not take back a request not delivered."""

    def uncancel(self):
        left = super().uncancel()
        if left == 0:
            self._must_cancel = False
        return left


# Reading: from words to tuples.

words = iter(sys.stdin.read().split())

ARITY = dict(
    sleep=0, count=0, spawn=2, call=1, future=1, set=2, fail=2, cancel=1,
    uncancel=1, cancelling=1, add=2, remove=2, soon=2, later=2, drop=1,
    state=1, result=1, exception=1)
ARITY.update({"await": 1, "raise": 1, "return": 1})
BLOCKS = {"pcall": 1, "catch": 1, "guard": 2, "finally": 2}


def read_block():
    assert next(words) == "{"
    block = []
    for name in words:
        if name == "}":
            return block
        if name in BLOCKS:
            args = [read_block() for _ in range(BLOCKS[name])]
        elif name == "gather":
            register, flag, n = int(next(words)), next(words), int(next(words))
            args = [register, flag == "1", [next(words) for _ in range(n)]]
        else:
            args = [int(next(words)) for _ in range(ARITY[name])]
        block.append((name, *args))


def read_programs():
    for _ in words:
        seed, functions, callbacks = next(words), [], []
        for word in words:
            if word == "end":
                break
            (functions if word == "func" else callbacks).append(read_block())
        yield seed, functions, callbacks


# Running.

def error_text(err):
    if isinstance(err, asyncio.CancelledError):
        return "CancelledError"
    if isinstance(err, Boom):
        return f"Boom {err.args[0]}"
    if isinstance(err, asyncio.InvalidStateError):
        return "InvalidStateError"
    return f"unexpected: {err!r}"


def value_text(value):
    if value is None:
        return "nil"
    if isinstance(value, list):
        return "[" + " ".join(map(value_text, value)) + "]"
    if isinstance(value, BaseException):
        return f"({error_text(value)})"
    return str(value)


def truth(value):
    return {True: "true", False: "false"}.get(value, str(value)) \
        if isinstance(value, bool) else str(value)


def outcome_text(future):
    if future.cancelled():
        return "CancelledError"
    if future.exception() is not None:
        return error_text(future.exception())
    return value_text(future.result())


class Context:
    def __init__(self, label, level, task):
        self.label, self.level, self.task = label, level, task


class Object:
    def __init__(self, kind, future, level, depth, number):
        self.kind, self.future, self.level = kind, future, level
        self.depth, self.number = depth, number


class Program:
    def __init__(self, functions, callbacks):
        self.functions = functions
        self.trace, self.fuel, self.serial, self.over = [], FUEL, 0, False
        self.registers, self.handles, self.objects = {}, {}, []
        self.callbacks = [self.make_callback(i + 1, block)
                          for i, block in enumerate(callbacks)]

    def say(self, context, *words):
        if not self.over:
            self.trace.append(" ".join(map(str, (context.label, *words))))

    def keep(self, register, kind, future, level, depth=0):
        obj = Object(kind, future, level, depth, len(self.objects) + 1)
        self.registers[register] = obj
        self.objects.append(obj)
        return obj

    def spawn(self, register, f):
        return self.keep(register, "task",
                         asyncio.create_task(self.func(f)), f)

    def gather(self, context, register, return_exceptions, children):
        level, depth = math.inf, 0
        for child in children:
            number = int(child[1:])
            obj = self.registers.get(number)
            if child[0] == "f":
                level = min(level, number)
            elif obj is None or obj.depth == DEPTH \
                    or (not EAGER and obj.future.done()):
                return self.say(context, "gather", "skip")
            else:
                level = min(level, obj.level)
                depth = max(depth, obj.depth)
        children = [self.func(int(child[1:])) if child[0] == "f"
                    else self.registers[int(child[1:])].future
                    for child in children]
        future = asyncio.gather(*children, return_exceptions=return_exceptions)
        self.keep(register, "gather", future, level, depth + 1)
        self.say(context, "gather", "made")

    def on(self, context, name, register, argument=None):
        obj = self.registers.get(register)
        only = {"set": "future", "fail": "future", "uncancel": "task",
                "cancelling": "task"}.get(name)
        if obj is None or (only and only != obj.kind):
            return self.say(context, name, "skip")
        future, result = obj.future, "done"
        if name == "set":
            future.set_result(argument)
        elif name == "fail":
            future.set_exception(Boom(argument))
        elif name in ("cancel", "uncancel", "cancelling"):
            result = truth(getattr(future, name)())
        elif name == "add":
            future.add_done_callback(self.callbacks[argument - 1])
        elif name == "remove":
            result = future.remove_done_callback(self.callbacks[argument - 1])
        elif name == "state":
            result = ("done" if future.done() else "pending") \
                + (" cancelled" if future.cancelled() else "")
        elif name == "result":
            result = value_text(future.result())
        elif name == "exception":
            exception = future.exception()
            result = "nil" if exception is None else error_text(exception)
        self.say(context, name, obj.number, result)

    async def block(self, context, block):
        """Gives None, or a tuple of the value when the block returned."""
        for name, *args in block:
            if self.fuel == 0:
                return None
            self.fuel -= 1
            if context.task is None and name in ("sleep", "call", "await"):
                continue
            returned = await self.operation(context, name, args)
            if returned:
                return returned

    async def operation(self, context, name, args):
        loop = asyncio.get_running_loop()
        if name == "sleep":
            await asyncio.sleep(0)
        elif name == "call":
            if args[0] <= context.level:
                return self.say(context, "call", "skip")
            self.say(context, "called", value_text(await self.func(args[0])))
        elif name == "await":
            obj = self.registers.get(args[0])
            if obj is None or obj.level <= context.level:
                return self.say(context, "await", "skip")
            self.say(context, "await", obj.number)
            self.say(context, "awaited", obj.number,
                     value_text(await obj.future))
        elif name == "count":
            self.say(context, "count", len(asyncio.all_tasks()))
        elif name == "spawn":
            self.say(context, "spawned", self.spawn(*args).number)
        elif name == "future":
            self.keep(args[0], "future", loop.create_future(), math.inf)
        elif name == "gather":
            self.gather(context, *args)
        elif name == "soon":
            self.handles[args[0]] = loop.call_soon(self.callbacks[args[1] - 1])
        elif name == "later":
            self.handles[args[0]] = \
                loop.call_later(0, self.callbacks[args[1] - 1])
        elif name == "drop":
            if args[0] in self.handles:
                self.handles[args[0]].cancel()
        elif name == "raise":
            raise Boom(args[0])
        elif name == "return":
            return (args[0],)
        elif name == "pcall":
            try:
                return await self.block(context, args[0])
            except Exception as err:
                self.say(context, "pcall", error_text(err))
        elif name == "catch":
            try:
                return await self.block(context, args[0])
            except BaseException as err:
                self.say(context, "catch", error_text(err))
        elif name == "guard":
            try:
                return await self.block(context, args[0])
            except BaseException as err:
                self.say(context, "guard", error_text(err))
                await self.block(context, args[1])
                raise
        elif name == "finally":
            try:
                return await self.block(context, args[0])
            finally:
                await self.block(context, args[1])
        else:
            self.on(context, name, *args)

    async def func(self, f):
        self.serial += 1
        context = Context(f"{f}.{self.serial}", f, asyncio.current_task())
        self.say(context, "begins")
        try:
            returned = await self.block(context, self.functions[f - 1])
            value = returned[0] if returned else None
            self.say(context, "ends", value_text(value))
            return value
        except BaseException as err:
            self.say(context, "fails", error_text(err))
            raise

    def make_callback(self, i, block):
        def callback(future=None):
            self.serial += 1
            context = Context(f"c{i}.{self.serial}", math.inf, None)
            self.say(context, "called",
                     "nil" if future is None else truth(future.done()))
            try:  # it never suspends
                self.block(context, block).send(None)
            except StopIteration:
                pass
        return callback

    async def main(self):
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, details: None)
        if sys.version_info < (3, 13):
            loop.set_task_factory(
                lambda loop, coro, **options: Task(coro, loop=loop, **options))
        context = Context("main", 0, asyncio.current_task())
        for f in (1, 2, 3):
            self.spawn(f, f)
        for tick in range(1, TICKS + 1):
            self.say(context, "tick", tick)
            await asyncio.sleep(0)
        quiet = 0  # rounds without anything left
        for round in range(1, ROUNDS + 1):
            self.say(context, "round", round)
            quiet += 1
            for obj in list(self.objects):
                if not obj.future.done():
                    self.say(context, "cancels", obj.number,
                             truth(obj.future.cancel()))
                    quiet = 0
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            if quiet > 3 and len(asyncio.all_tasks()) == 1:
                break
        for obj in self.objects:
            self.say(context, obj.number, obj.kind, outcome_text(obj.future)
                     if obj.future.done() else "pending")
        self.say(context, len(asyncio.all_tasks()))
        self.over = True  # what goes on from here is not compared


for seed, functions, callbacks in read_programs():
    print("program", seed)
    program = Program(functions, callbacks)
    asyncio.run(program.main())
    print("\n".join(program.trace))
