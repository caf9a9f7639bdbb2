/*
** neap.h - the embedding interface of Neap.
**
** A neap_vm is a Lua 5.4 state with async functions, tasks and an event
** loop on libuv. Several may live in one process, on one loop, or on a
** thread each. The smallest host:
**
**     neap_config config;
**     neap_vm *vm;
**     neap_value script;
**     neap_config_init(&config);
**     config.report = neap_report_stderr;
**     if (neap_new(&vm, &config) == NEAP_OK) {
**       if (neap_load(vm, "hello", code, size, &script) == NEAP_OK &&
**           neap_spawn(vm, &script, NULL, 0, 0, NULL, NULL, NULL) == NEAP_OK)
**         neap_run(vm);
**       neap_close(vm, NULL, NULL);
**     }
**
** Rules, which hold unless a function's comment says otherwise:
**  1. Thread. A VM belongs to the thread that created it, and its functions
**     are called there: elsewhere those that can fail give NEAP_ETHREAD, and
**     do nothing. "Any thread" is for ports and promises.
**  2. Errors. A function that can fail returns 0 or a negative NEAP_E code;
**     then neap_error tells more, but of those for any thread. No error
**     leaves a function by longjmp, but for those of the last section, which
**     are for Lua's own API. Any function may give NEAP_ENOMEM.
**  3. Ownership. The library owns what it creates, and copies what it is
**     given. What a caller has to give back has `retain` or `open` in the
**     function's name, and `release` in that which gives it back; a VM is
**     ended by neap_close.
**  4. Values that a function gives are borrowed. Those got inside a callback
**     or native function hold until it returns; others until the next
**     neap_call, neap_run, neap_tick or turn of the loop. neap_retain keeps
**     one. Of neap_table_next, a pair holds until the next pair. A value that
**     holds no longer is found out: NEAP_EINVAL.
**  5. A callback may call all functions of its VM, but none that runs the
**     loop (neap_run, neap_tick) and not neap_close: NEAP_EBUSY.
**  6. No function waits but neap_run, and neap_close for its threads' work.
**     neap_call and neap_tick take as long as the scripts that they run.
**  7. The library prints nothing, ends no process, and leaves signals, the
**     locale and what is not its own on the host's loop alone, as far as
**     neither the configuration asks for it nor a script that may.
**  8. Pointers are not NULL where nothing is said; releasing NULL does nothing.
*/
#ifndef NEAP_H
#define NEAP_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <uv.h>

#define NEAP_VERSION_MAJOR 0
#define NEAP_VERSION_MINOR 1
#define NEAP_VERSION_PATCH 0
#define NEAP_VERSION "0.1.0"

#if defined(__GNUC__)
#define NEAP_API __attribute__((visibility("default")))
#else
#define NEAP_API
#endif

#ifdef __cplusplus
extern "C" {
#endif
#include <lua.h>

typedef struct neap_vm neap_vm;

/* ======== Errors ======================================================== */

/* Error codes: name, value, text. */
#define NEAP_ERROR_MAP(X) \
  X(ENOMEM, -1, "not enough memory") \
  X(EINVAL, -2, "invalid argument") \
  X(EBUSY, -3, "the VM is running") \
  X(ETIMEDOUT, -4, "the time has passed") \
  X(ELOOP, -5, "no event loop can be opened") \
  X(ESCRIPT, -6, "the script raised an error") \
  X(ESYNTAX, -7, "the script does not compile") \
  X(ECANCELED, -8, "the task was cancelled") \
  X(EKILLED, -9, "killed by the host") \
  X(EMEMORY, -10, "killed: the limit of memory was reached") \
  X(EDEADLINE, -11, "killed: the limit of time was reached") \
  X(ESTALL, -12, "killed: it cannot be preempted where it runs") \
  X(ETHREAD, -13, "called on another thread than the VM's") \
  X(ECLOSED, -14, "the VM is closed") \
  X(EALREADY, -15, "it has been settled or revoked before") \
  X(ENOENT, -16, "there is no such thing") \
  X(EDEADLK, -17, "every task waits, and nothing can wake one") \
  X(EINTR, -18, "interrupted")

enum {
#define NEAP_ERROR_ENUM(name, value, text) NEAP_##name = (value),
  NEAP_ERROR_MAP(NEAP_ERROR_ENUM)
#undef NEAP_ERROR_ENUM
  NEAP_OK = 0,
  NEAP_SUSPENDED = 1 /* what a native function returns: not an error */
};

/* The text of a NEAP_E code. Static; any thread. */
NEAP_API const char *neap_strerror(int code);

/* What went wrong. The texts hold until the VM's next error, or its end. */
typedef struct neap_error_info {
  int code;              /* a NEAP_E code; 0: nothing has failed yet */
  const char *message;   /* "plugin:3: boom"; never NULL */
  const char *traceback; /* the whole await chain, a "\n\t" before each line,
                            to be printed behind the message; "": none */
  int exit_code;         /* that process.exit asks for, 0 to 255; -1: none */
} neap_error_info;

/* Tells of the last function of the VM that failed, or, inside a done
   callback with an error, of its task. Runs no Lua: an error that is an object
   tells its class and message, or its type. Cannot fail. */
NEAP_API void neap_error(neap_vm *vm, neap_error_info *info);

/* ======== Life ========================================================== */

/*
** Receives one diagnostic: a coroutine that was never awaited, an error
** in a task that nobody looked at, a warning of Lua's, a slow step in debug
** mode. `text` has one or more lines, no newline at its end, and is valid
** during the call only. May be called while Lua collects garbage: must not
** call back into the VM. Runs on the VM's thread.
*/
typedef void (*neap_report_fn)(void *ud, const char *text, size_t len);

/* One that writes to stderr, a newline behind it; `ud` is not used. */
NEAP_API void neap_report_stderr(void *ud, const char *text, size_t len);

/* Receives what `print` writes, with its newline. As neap_report_fn. */
typedef void (*neap_output_fn)(void *ud, const char *text, size_t len);

/*
** What a script may reach. Whatever is granted or not, it has the language,
** asyncio and json, and the pure parts of Lua's library.
** NEAP_CAN_ALL is a stock Lua, for code that the host trusts as its own.
** With anything less the VM is a sandbox: no binary chunks, no __gc of the
** script's own, the collector cannot be stopped, and the functions of string
** and table that can run for ever end with an error instead.
*/
enum {
  NEAP_CAN_FS = 1,       /* io, os.remove, os.rename, os.tmpname, dofile,
                            loadfile, package.path's modules; require "fs" */
  NEAP_CAN_NET = 2,      /* require "http", "net", "tls" */
  NEAP_CAN_PROCESS = 4,  /* os.execute, os.exit, io.popen, os.setlocale;
                            require "process", "signal", "time" */
  NEAP_CAN_ENV = 8,      /* os.getenv */
  NEAP_CAN_NATIVE = 16,  /* modules in C: with it a script can do anything */
  NEAP_CAN_DEBUG = 32,   /* debug: with it, too */
  NEAP_CAN_LOAD = 64,    /* load, of text */
  NEAP_CAN_ALL = 127
};

/*
** Limits; 0 means none. Without any there is no cost. A kill cannot be caught
** and runs no more of the script: no pcall, no __close. It ends the call that
** reached the limit: a neap_call, or the task of a neap_spawn, with all tasks
** and callbacks that came of it; a callback of a Future comes of who settles
** that. The limit of memory, which has no single culprit, ends the whole VM:
** neap_close is left. C that a script calls is not stopped: neap_checkpoint.
*/
typedef struct neap_limits {
  size_t memory;      /* bytes. When Lua's heap is larger, even after a
                         collection, the VM is killed: NEAP_EMEMORY */
  size_t memory_hard; /* an allocation beyond it fails: "not enough memory",
                         an error that scripts can catch. 0: 4 x memory. Less
                         is possible, down to `memory`, and not advised: Lua
                         5.4.4 is not safe there from scripts that want harm */
  double deadline;    /* seconds of real time, waiting included, for each call
                         from its begin to its end: NEAP_EDEADLINE */
  double slice;       /* seconds. A task that runs longer without an await
                         loses its turn, and goes on when all others had
                         theirs. Code that cannot (called by string.gsub, a
                         callback, a neap_call, the library's Lua) is killed
                         after some ten slices of processor time: NEAP_ESTALL */
  size_t tasks;       /* unfinished at once; create_task raises beyond */
  size_t output;      /* bytes for `print`, which raises beyond, since the
                         limits were set */
} neap_limits;

/* What a VM is made of. neap_config_init gives every field its default
   (which is 0); a host then changes what it wants to. */
typedef struct neap_config {
  unsigned capabilities;   /* NEAP_CAN_ flags */
  neap_limits limits;
  lua_Alloc alloc;         /* memory; NULL: malloc, which also gives that of
                              ports, posts, promises and work. Must outlive
                              the VM; is called on the VM's thread only */
  void *alloc_ud;          /* its first argument */
  uv_loop_t *loop;         /* the host's loop, which the host runs; NULL: the
                              VM makes its own when it first needs one */
  neap_report_fn report;   /* diagnostics; NULL: nobody is told */
  void *report_ud;         /* its first argument */
  neap_output_fn output;   /* for print; NULL: stdout */
  void *output_ud;         /* its first argument */
  void (*wakeup)(void *ud);  /* called by any thread: a post, a settled promise
                              or the end of work waits for neap_tick. For a
                              host that neither waits for neap_backend_fd nor
                              runs the loop. Must not block, nor call neap.h */
  void *wakeup_ud;         /* its first argument */
  const char *module_path; /* folders of Neap's own modules (json, http, and
                              all of asyncio that is not in the core),
                              separated by ';', searched after package.path
                              and package.cpath. NULL: the environment
                              variable NEAP_PATH, or else where they were
                              installed; "": none. Copied */
  int signal;              /* with a limit of time: the signal by which a
                              thread of the library stops the script; 0:
                              SIGURG. A handler of the host's that was there
                              before still gets what is not for us. neap_new
                              unblocks it on its thread, where system calls may
                              now give EINTR. Less than 0: no signal and no
                              thread; scripts take about twice as long */
  int debug;               /* non-zero: debug mode from the start */
  int ignore_env;          /* non-zero: LUA_PATH, LUA_CPATH and NEAP_PATH
                              do not count (as lua's option -E) */
} neap_config;

/* Fills `config` with the defaults. Cannot fail. Any thread. */
NEAP_API void neap_config_init(neap_config *config);

/*
** Makes a VM and stores it in `*vm`. `config` may be NULL (all defaults: a
** sandbox without limits) and is not kept. Any thread, which the VM then
** belongs to. End it with neap_close. Errors, with `*vm` NULL: NEAP_ENOMEM;
** NEAP_EINVAL: unknown capabilities, a limit that is negative or no number,
** memory_hard below memory; NEAP_ELOOP: thread or signal for the limits.
*/
NEAP_API int neap_new(neap_vm **vm, const neap_config *config);

/*
** Kills all tasks (their done callbacks get NEAP_ECLOSED), frees the VM,
** and calls `closed`, if given, when nothing of it is left: no handle on the
** host's loop, no work on a thread. After that nothing of the VM is called
** any more. With a loop of the VM's own that is before neap_close returns,
** which waits for work on threads; a host's loop has to run on until then.
** Objects of the host are finalized; finalizers of scripts run, where there
** are any (NEAP_CAN_ALL). From now on ports and promises say NEAP_ECLOSED, and
** `vm` is not to be used. NULL does nothing but call `closed`.
** Errors: NEAP_EBUSY inside the VM, NEAP_ETHREAD: nothing was freed.
*/
NEAP_API int neap_close(neap_vm *vm, void (*closed)(void *ud), void *ud);

/* Replaces the limits, all but memory_hard, and begins to count `output`
   anew. A new deadline is for calls that begin later. Errors: NEAP_EINVAL as
   for neap_new; or a limit of memory or time, or of output with NEAP_CAN_ALL,
   where neap_new was given none (for output: nor a handler). */
NEAP_API int neap_limits_set(neap_vm *vm, const neap_limits *limits);

/* Takes capabilities (NEAP_CAN_ flags) away, for good: also what a script
   has kept of them raises an error from now on. Errors: NEAP_EINVAL: an
   unknown one, or the VM was made with NEAP_CAN_ALL. */
NEAP_API int neap_drop(neap_vm *vm, unsigned capabilities);

/* Whether the VM has all of these now: for modules in C, whose functions are
   to fail when a capability was taken away. */
NEAP_API int neap_can(neap_vm *vm, unsigned capabilities);

typedef struct neap_statistics {
  size_t memory;        /* bytes of Lua's heap now (0 in a finalizer), */
  size_t memory_peak;   /* and at most; 0 without a limit of memory */
  uint64_t run_time;    /* ns in scripts; 0 without a limit of time */
  uint64_t preemptions; /* turns that tasks have lost */
  size_t tasks;         /* unfinished, */
  uint64_t tasks_ended; /* and those that have ended so far */
  size_t output;        /* bytes printed; 0 without a limit of these */
} neap_statistics;

/* Fills in `*stats`. Fails on another thread only. */
NEAP_API int neap_stats(neap_vm *vm, neap_statistics *stats);

/* ======== Values ======================================================== */

typedef enum neap_type {
  NEAP_NIL,
  NEAP_BOOLEAN,
  NEAP_INTEGER,
  NEAP_NUMBER,
  NEAP_STRING,   /* bytes, with a 0 behind them */
  NEAP_TABLE,    /* from here on: a reference to a value of Lua */
  NEAP_FUNCTION,
  NEAP_OBJECT,   /* of a class of the host */
  NEAP_OTHER     /* a task, a Lua thread, any other userdata */
} neap_type;

/* A Lua value in C: plain data, which may be copied. */
typedef struct neap_value {
  neap_type type;
  int32_t ref; /* the library's, as `serial` is; 0 for what C has made */
  union {
    int boolean;
    lua_Integer integer;
    lua_Number number;
    struct {
      const char *data;
      size_t size;
    } string;
    uint64_t serial;
  } as;
} neap_value;

/* Values made in C; they need no release. A string is read when the value
   is used, and copied by Lua then; neap_text ends at its 0. Any thread. */
static inline neap_value neap_nil(void) {
  neap_value v;
  v.type = NEAP_NIL;
  v.ref = 0;
  v.as.string.size = 0;
  v.as.integer = 0;
  return v;
}
static inline neap_value neap_boolean(int boolean) {
  neap_value v = neap_nil();
  v.type = NEAP_BOOLEAN;
  v.as.boolean = boolean;
  return v;
}
static inline neap_value neap_integer(lua_Integer integer) {
  neap_value v = neap_nil();
  v.type = NEAP_INTEGER;
  v.as.integer = integer;
  return v;
}
static inline neap_value neap_number(lua_Number number) {
  neap_value v = neap_nil();
  v.type = NEAP_NUMBER;
  v.as.number = number;
  return v;
}
static inline neap_value neap_bytes(const char *data, size_t size) {
  neap_value v = neap_nil();
  v.type = NEAP_STRING;
  v.as.string.data = data;
  v.as.string.size = size;
  return v;
}
static inline neap_value neap_text(const char *text) {
  return neap_bytes(text, strlen(text));
}

/*
** Keeps a borrowed value, string or reference, until neap_release: the value
** itself now holds, as do its copies. One that is retained is so once more,
** apart from the first. Retained values end with the VM at the latest. Of one
** that needs no keeping (a number, or made in C) nothing changes.
** Errors: NEAP_EINVAL: it is borrowed no longer.
*/
NEAP_API int neap_retain(neap_vm *vm, neap_value *value);

/* Gives a retained value back, and makes it nil. Nothing happens to others.
   Errors: NEAP_EINVAL: it was given back before. */
NEAP_API int neap_release(neap_vm *vm, neap_value *value);

/* The value of a global by its path, "config" or "app.config.name". Tables
   are read as they are, without metamethods; runs no Lua. What is not there
   is nil; neap_set makes the tables that are missing on the way. Errors, with
   nil: NEAP_EINVAL: a name in the path is empty, or it leads through something
   that is no table. */
NEAP_API int neap_get(neap_vm *vm, const char *path, neap_value *value);
NEAP_API int neap_set(neap_vm *vm, const char *path, const neap_value *value);

/* Makes a table; reads and writes a field of one, without metamethods; runs no
   Lua. Errors: NEAP_EINVAL: no table, or (set) the key is nil or NaN. */
NEAP_API int neap_table_new(neap_vm *vm, neap_value *table);
NEAP_API int neap_table_get(neap_vm *vm, const neap_value *table,
                            const neap_value *key, neap_value *value);
NEAP_API int neap_table_set(neap_vm *vm, const neap_value *table,
                            const neap_value *key, const neap_value *value);

/*
** Goes through a table: `*key` nil asks for the first pair, and then it is
** the key of the pair before. Returns 1 with a pair, 0 at the end, with nil.
** Fields may be changed meanwhile, and set to nil, but none be added.
** Errors: NEAP_EINVAL: no table, or no key of it; NEAP_ENOMEM, also where a
** callback has borrowed one more value at each of some 160,000 pairs.
*/
NEAP_API int neap_table_next(neap_vm *vm, const neap_value *table,
                             neap_value *key, neap_value *value);

/*
** Writes a description of any value to `buffer`, cut to `size` bytes with
** the 0 at the end: numbers and strings (quoted) as in Lua, "nil", "true",
** "table: 0x...", "<Task pending name='a'>", an error object as its class and
** message. Runs no Lua: a script's __tostring does not count. Where there is
** an error, its text. Returns buffer.
*/
NEAP_API const char *neap_describe(neap_vm *vm, const neap_value *value,
                                   char *buffer, size_t size);

/* ======== Code ========================================================== */

/* Compiles a script: Lua as text, `size` bytes, which may begin with a line
   "#!...". `name` is for messages: "plugin" in "plugin:3: boom". The value is
   a function; its arguments are the script's `...`. Runs nothing.
   Errors: NEAP_ESYNTAX, for a binary chunk, too. */
NEAP_API int neap_load(neap_vm *vm, const char *name, const char *text,
                       size_t size, neap_value *function);

/*
** Calls a function and waits for its end. It cannot await, but it may create
** tasks, which go on when the loop runs. The first `nresults` results are
** stored in `results`, nil where there are fewer, or after an error.
** `deadline`: seconds that the call may take; 0: as the limits say; HUGE_VAL:
** any time. It is for VMs made with a limit of time; a call within a task or
** another call may have less time than that, not more.
** Errors: NEAP_EINVAL: no function, or a value that holds no longer;
** NEAP_ESCRIPT; NEAP_ECANCELED: it raised a CancelledError; NEAP_ENOMEM; the
** limit that it, or the whole VM before, was killed by.
*/
NEAP_API int neap_call(neap_vm *vm, const neap_value *function,
                       const neap_value *args, int nargs, neap_value *results,
                       int nresults, double deadline);

/* A task that the host has started: a number, never 0 and never used again. */
typedef uint64_t neap_task;

/* Called when the task has ended: with its results and NEAP_OK; or with
   NEAP_ESCRIPT, NEAP_ECANCELED, NEAP_ENOMEM, the limit that it was killed by,
   NEAP_EKILLED or NEAP_ECLOSED, and neap_error tells more. Once, in a turn of
   the loop or neap_close: never inside neap_spawn, neap_cancel or neap_kill. */
typedef void (*neap_done_fn)(void *ud, neap_vm *vm, int status,
                             const neap_value *results, int nresults);

/*
** Starts a task that calls the function, async or plain, with the arguments;
** it takes its first step when the loop runs. It may await, and `await` at
** the top level of a script is an await of that task. `deadline` as for
** neap_call, counted from now, and for all that comes of the task; in a VM made
** without a limit of time it ends only what waits. `done` and `task` may be
** NULL. An error goes to `done`, or else to config.report.
** Errors, with `done` not called: NEAP_EINVAL as for neap_call; NEAP_ENOMEM;
** NEAP_ESCRIPT: too many tasks; NEAP_ELOOP; what the VM was killed by.
*/
NEAP_API int neap_spawn(neap_vm *vm, const neap_value *function,
                        const neap_value *args, int nargs, double deadline,
                        neap_done_fn done, void *ud, neap_task *task);

/* Whether the task has not yet ended; in its done callback it has. */
NEAP_API int neap_pending(neap_vm *vm, neap_task task);

/* Cancels the task as task:cancel(message) does: a CancelledError is raised
   where it awaits, and its cleanup may await. `message` may be NULL.
   Errors: NEAP_ENOENT: it has ended. */
NEAP_API int neap_cancel(neap_vm *vm, neap_task task, const char *message);

/* Kills the task and all that came of it, also when it has ended itself; 0:
   everything in the VM, which is good for neap_close only then. Runs no Lua. A
   native function may kill the task that called it, which ends when that
   returns. Errors: NEAP_ENOENT: nothing of it is left. */
NEAP_API int neap_kill(neap_vm *vm, neap_task task);

/* ======== Driving: who runs the loop? =================================== */

/*
** A host with a libuv loop of its own gives it in the configuration and has
** nothing to do: the VM runs when the loop does, and keeps it alive while
** it has something ready, a timer, or a native call that is under way.
** All others choose: neap_run; or neap_tick, again and again. A script's own
** `run` is an error then: the host is the one who runs.
*/

/* Runs the VM's own loop until nothing is left to do, or neap_stop. Errors of
   tasks are not its own. Errors: NEAP_EDEADLK: nothing on the loop can wake the
   tasks left (a post does not count); NEAP_EINTR: neap_interrupt, process.exit;
   NEAP_EINVAL: the loop is the host's; NEAP_EBUSY; NEAP_ELOOP; NEAP_ENOMEM. */
NEAP_API int neap_run(neap_vm *vm);

/* Makes neap_run return after the turn that runs; from a callback. */
NEAP_API int neap_stop(neap_vm *vm);

/* Does what can be done without waiting: one turn if `budget_us` is 0, else at
   least one step, and more within so many microseconds; a step that has begun
   is not cut short (but see limits.slice). Returns 1 if something is ready
   still, 0 if the VM has to wait, or an error: as neap_run, but EDEADLK; and of
   NEAP_EINTR only neap_error tells. */
NEAP_API int neap_tick(neap_vm *vm, uint64_t budget_us);

/*
** What a foreign loop waits for between two ticks: the descriptor becomes
** readable (poll, epoll, select), or so many milliseconds pass (-1: for ever,
** 0: tick at once). Ask for the timeout after each tick, and after each other
** call to the VM. The descriptor is the same for the VM's life; less than 0:
** an error. Any other handles on the loop (neap_loop) count, too.
*/
NEAP_API int neap_backend_fd(neap_vm *vm);
NEAP_API int neap_backend_timeout(neap_vm *vm);

/* Whether the VM has, or will have, something to do by itself: something
   ready, a timer, a native call or a handle on its own loop. A task that
   waits for the host does not count. */
NEAP_API int neap_alive(neap_vm *vm);

/* ======== Native functions: C for scripts =============================== */

/* One call of a native function; it ends when that returns. */
typedef struct neap_frame neap_frame;
NEAP_API neap_vm *neap_frame_vm(neap_frame *frame);

/*
** A native function: takes arguments from the frame, gives results to it,
** and returns NEAP_OK; or what neap_fail or a neap_arg function returned; or
** what neap_promise_open or neap_offload returned, which suspends the task;
** or the error of its neap_call, which then is the script's. Any other
** negative code becomes an error of its text. `ud` is the host's; for a
** method: the object. It may not longjmp, nor throw, past the library.
*/
typedef int (*neap_function)(neap_frame *frame, void *ud);

/*
** Makes a global function of C, by its path as neap_set does; or a value.
** `path` and `name` are for messages, and copied; `ud` must outlive the VM.
** An async one is called as async functions are: it gives a coroutine object,
** and f runs when that is awaited. A function that is not async may suspend
** the task, too: then its call takes as long, and needs no await.
** Errors: NEAP_EINVAL as for neap_set, or f is NULL.
*/
NEAP_API int neap_register(neap_vm *vm, const char *path, neap_function f,
                           void *ud);
NEAP_API int neap_register_async(neap_vm *vm, const char *path,
                                 neap_function f, void *ud);
NEAP_API int neap_function_new(neap_vm *vm, const char *name, neap_function f,
                               void *ud, neap_value *function);

/*
** Arguments, from 1 on; a method's object is not counted. neap_arg gives any
** (nil beyond the last); the others want one type, and convert as Lua does:
** an integral float is an integer, a number is a string, any value a boolean.
** Else they return an error, to be returned, which then raises "bad argument #1
** to 'name' (integer expected, got nil)". Strings are borrowed. neap_arg_object
** wants an object of that class, and gives its pointer.
*/
NEAP_API int neap_arg_count(neap_frame *frame);
NEAP_API neap_value neap_arg(neap_frame *frame, int i);
/* What neap_arg_integer calls: gives both in registers, which is faster. */
typedef struct neap_converted { lua_Integer value; int status; } neap_converted;
NEAP_API neap_converted neap_arg_convert(neap_frame *frame, int i);
static inline int neap_arg_integer(neap_frame *frame, int i, lua_Integer *n) {
  neap_converted c = neap_arg_convert(frame, i);
  *n = c.value;
  return c.status;
}
NEAP_API int neap_arg_number(neap_frame *frame, int i, lua_Number *value);
NEAP_API int neap_arg_boolean(neap_frame *frame, int i, int *value);
NEAP_API int neap_arg_string(neap_frame *frame, int i, const char **data,
                             size_t *size);

/* One more result. Errors, to be returned: NEAP_EINVAL: it holds no longer. */
NEAP_API int neap_return_value(neap_frame *frame, const neap_value *value);
NEAP_API int neap_return_integer(neap_frame *frame, lua_Integer integer);
static inline int neap_return(neap_frame *frame, neap_value value) {
  if (value.type == NEAP_INTEGER)
    return neap_return_integer(frame, value.as.integer);
  return neap_return_value(frame, &value);
}

/* Makes the call fail: returns NEAP_ESCRIPT, to be returned. The message is
   formatted as by printf (cut after 500 bytes), and gets the caller's
   position before it, as that of error(). */
NEAP_API int neap_fail(neap_frame *frame, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 2, 3)))
#endif
    ;

/* For a native function that takes long: is it to stop? Returns NEAP_OK, or
   an error, to be returned: the call is killed, or interrupted. Costs a few
   ns. It cannot let other tasks run: neap_offload does. */
NEAP_API int neap_checkpoint(neap_frame *frame);

/* ======== Native async functions ======================================== */

/* The result of a call, which comes later. */
typedef struct neap_promise neap_promise;

/*
** Lets the calling task wait for a promise, stored in `*promise`. Begin the
** work, and return what this returned: NEAP_SUSPENDED, or an error (outside
** a task, say), when there is no promise: NULL. Then, on any thread, now or
** later: neap_resolve or neap_reject, and in any case neap_promise_release.
** `cancel(ud)`, if given, is called on the VM's thread when nobody waits any
** longer: the task was cancelled or killed, or the VM is closed. Of a settle
** and `cancel` the first one counts: the other fails, or is not called.
** `cancel` may release the promise, and begins the end of the work; it must
** not call functions of the VM. A pending promise keeps the loop alive.
*/
NEAP_API int neap_promise_open(neap_frame *frame, void (*cancel)(void *ud),
                               void *ud, neap_promise **promise);

/*
** Settles it: the task goes on, with the results of its call; or an error is
** raised there, with the message. Numbers, booleans, nil and strings, which
** are copied; at most 255. Any thread; takes a lock, for a moment.
** Errors, with nothing changed: NEAP_EALREADY: it is settled; NEAP_ECANCELED:
** nobody waits any longer; NEAP_ECLOSED: the VM is closed; NEAP_EINVAL: a
** value that is a reference, too many; NEAP_ENOMEM.
*/
NEAP_API int neap_resolve(neap_promise *promise, const neap_value *results,
                          int nresults);
NEAP_API int neap_reject(neap_promise *promise, const char *message);

/* Gives it back. Any thread. One that nobody has settled is rejected. */
NEAP_API void neap_promise_release(neap_promise *promise);

/*
** Work for a thread of libuv's pool. `work(ud)` runs there, and may not touch
** the VM; then the task goes on with `after`, a native function that gives the
** results, NULL: none; at last `dispose(ud)`, if given, on the VM's thread,
** whatever happened: `after` is left out when the task was cancelled or killed
** meanwhile, `work` too when it had not begun: else it goes on to its end.
** Return what this returns: NEAP_SUSPENDED; or an error, with `dispose` called.
*/
NEAP_API int neap_offload(neap_frame *frame, void (*work)(void *ud),
                          neap_function after, void (*dispose)(void *ud),
                          void *ud);

/* ======== Host objects: C data with methods ============================= */

typedef struct neap_method {
  const char *name;   /* "read"; a metamethod but __gc: "__len", "__call" */
  neap_function call; /* its `ud` is the object */
  int async;          /* non-zero: as neap_register_async does */
} neap_method;

/* A class: static, or outlives the VM. */
typedef struct neap_class {
  const char *name;           /* as in "File expected, got nil" */
  const neap_method *methods; /* the last one has no name; NULL: none */
  void (*finalize)(void *object); /* NULL: nothing to do. Called once, on the
                                     VM's thread: revoked, collected, or the VM
                                     is closed. Must not call the VM */
} neap_class;

/* Makes an object of Lua's for `object`, which must not be NULL. While it
   lives, scripts call its methods: file:read(). Each call makes a new one.
   Errors, when it is not finalized: NEAP_ENOMEM; NEAP_EINVAL: NULL, or a
   method without a function. */
NEAP_API int neap_object_new(neap_vm *vm, const neap_class *type, void *object,
                             neap_value *value);

/* The pointer; NULL for any other value, class, or revoked object. */
NEAP_API void *neap_object_get(neap_vm *vm, const neap_value *value,
                               const neap_class *type);
NEAP_API int neap_arg_object(neap_frame *frame, int i, const neap_class *type,
                             void **object); /* see Arguments, above */

/* Ends it now: it is finalized, and each later use by a script is an error
   ("this File is gone"). Errors: NEAP_EINVAL: no object; NEAP_EALREADY. */
NEAP_API int neap_revoke(neap_vm *vm, const neap_value *value);

/* ======== Other threads ================================================= */

/* A way to a VM from any thread, which outlives the VM. */
typedef struct neap_port neap_port;

/* Opens one, on the VM's thread; all others here: any thread. Each open and
   retain asks for one release. Errors: NEAP_ENOMEM, NEAP_ELOOP. */
NEAP_API int neap_port_open(neap_vm *vm, neap_port **port);
NEAP_API void neap_port_retain(neap_port *port);
NEAP_API void neap_port_release(neap_port *port);

/*
** Lets the VM's thread call f(vm, payload) when the loop runs next, and then
** `dispose(payload)`, if given. Posts of one thread keep their order.
** Takes a lock, for a moment. Does not keep the loop alive. When the VM is
** closed first, `dispose` alone is called, by neap_close.
** Errors: NEAP_ECLOSED: the VM is closed; `dispose` has been called, here.
** NEAP_ENOMEM, NEAP_EINVAL (f is NULL): `payload` is the caller's.
*/
NEAP_API int neap_post(neap_port *port, void (*f)(neap_vm *vm, void *payload),
                       void *payload, void (*dispose)(void *payload));

/* Kills what runs in the VM now, and all other tasks: as neap_kill(vm, 0).
   In a VM without a limit of time that takes place when the script has
   returned to the loop. Does not wait. Errors: NEAP_ECLOSED. */
NEAP_API int neap_port_kill(neap_port *port);

/* ======== For Lua's own API: the escape hatch, modules in C, interrupts = */

/* The VM's main Lua thread, for Lua's own API. Owned by the VM. Its errors
   longjmp, and what the host runs by it has no limit of time. */
NEAP_API lua_State *neap_lua(neap_vm *vm);

/* The VM a Lua thread belongs to; NULL for a state that is not Neap's. Needs
   one free slot on the stack of L. */
NEAP_API neap_vm *neap_from_lua(lua_State *L);

/*
** Asks the program in the VM to stop, as Ctrl-C does. In `run`: the first
** call cancels the main task, and stops a step that goes on spinning; the
** second makes `run` raise KeyboardInterrupt at once. Outside `run`: raises
** "interrupted!" in the Lua code that runs, if that goes on KeyboardInterrupt
** at the next call, and ends neap_run. Returns how many came in this `run`; 0
** if only Lua code can react. Async-signal-safe, but on the VM's thread only.
*/
NEAP_API int neap_interrupt(neap_vm *vm);

/*
** Asks for a dump: the text of asyncio.dump(), which tells what each
** unfinished task awaits, goes to config.report, at the next instruction of
** the Lua code that runs, or from the loop when it waits. A text of more than
** 8000 bytes comes in several calls, each with whole lines. Several requests
** before the first is answered are one. Returns whether the VM runs; if not,
** nothing happens. Async-signal-safe, but on the VM's thread only; the VM must
** not be closed meanwhile.
*/
NEAP_API int neap_dump(neap_vm *vm);

/* Whether the value at `index` is an error that asks the program to stop on
   Ctrl-C (an asyncio.KeyboardInterrupt). Runs no Lua. */
NEAP_API int neap_iskeyboardinterrupt(lua_State *L, int index);

/* A message handler for lua_pcall: turns the error into a text with the
   traceback of the failed task, its whole await chain and the place where it
   was created, followed by that of this Lua thread. An object without a text
   of its own is described by its type. KeyboardInterrupt is left as it is. */
NEAP_API int neap_traceback(lua_State *L);

/*
** The loop on which the VM runs its tasks, stored in `*loop`: the host's, or
** the VM's own, which is opened if no `run` has done so. A module in C puts
** its handles there: in memory of its own, since a handle is freed by its
** close callback, which may come after Lua has gone. A shared object has to
** stay loaded for that (linker option -z nodelete).
** A callback of libuv or of another library may call neap_wake, neap_callback,
** and nothing of Lua's that raises errors. Do not run or close the loop.
** Errors: NEAP_ENOMEM; NEAP_ELOOP: it cannot be opened; NEAP_ECLOSED.
** Before libuv is to use threads: neap_threads. It gives 0, or libuv's code of
** the error by which they cannot start, where libuv would abort. Any thread.
*/
NEAP_API int neap_loop(neap_vm *vm, uv_loop_t **loop);
NEAP_API int neap_threads(void);

/* Count what a module has on the loop: neap_close is over only when each
   request or handle was given back, in its last callback. A module ends it
   when its Lua side goes. Neither can fail, or keeps the loop alive. */
NEAP_API void neap_loop_retain(neap_vm *vm);
NEAP_API void neap_loop_release(neap_vm *vm);

/*
** Suspending a task in C: what the running task waits for. It is in the
** caller's memory, all zero before its first use, and stays there until the
** wait is over; then it can serve again. (A userdata that has it inside lives
** long enough when it is an argument of the function that suspends.) For each
** neap_suspend, either the continuation is called or `cancel`, exactly once.
*/
typedef struct neap_wait {
  /* Called when the task will not go on from here: cancelled, maybe after
     neap_wake, or killed, its run has ended, or neap_suspend raises. It stops
     what was begun, and must not fail, use Lua, or call neap_suspend;
     neap_wake for other waits is allowed. NULL: nothing to stop. */
  void (*cancel)(struct neap_wait *wait);
  const char *what; /* is awaited, for asyncio.dump and the like: "a message".
                       Static, or lives as long as the wait; NULL: unknown */
  int pending;      /* a task waits, or was woken and has not yet gone on */
  /* the library's, as the setting of `pending` is: */
  neap_vm *vm;
  void *task;
  lua_KFunction k;
  lua_KContext ctx;
  int timed;
} neap_wait;

/*
** Suspends the task that runs, until neap_wake(wait), but at most `seconds`
** (HUGE_VAL: without a limit). For a C function that a task has called, as
** its last act:
**     return neap_suspend(L, &r->wait, HUGE_VAL, (lua_KContext)r, received);
** The task then goes on with k(L, status, ctx), whose results are those of
** the C function; status is NEAP_OK, or NEAP_ETIMEDOUT when the time has
** passed first. k runs in the task: it may raise errors, and suspend again.
** A script awaits such a function through async(function), or calls it.
** As lua_yieldk it does not return. Raises an error, after `cancel`: outside a
** task; where it cannot suspend (in a callback of a C function that knows no
** continuations); not enough memory. And, with nothing called, when a task
** waits on `wait` already.
*/
NEAP_API int neap_suspend(lua_State *L, neap_wait *wait, double seconds,
                          lua_KContext ctx, lua_KFunction k);

/* Makes the task that waits ready to go on in the next turn of the loop.
   Returns whether there was one; nothing happens without. Cannot fail, runs
   no Lua, takes no lock. On the VM's thread, also by callbacks of libuv. */
NEAP_API int neap_wake(neap_wait *wait);

/* In a callback that the loop has called: calls the Lua function below the
   `nargs` values at the top of L, and pops all. It runs as call_soon's do, an
   error is reported; not in a closed or killed VM. Cannot fail. */
NEAP_API void neap_callback(lua_State *L, int nargs);

/* The version of the library, as NEAP_VERSION. Static; any thread. */
NEAP_API const char *neap_version(void);

#ifdef __cplusplus
}
#endif
#endif
