/*
** neap.h - the embedding interface of Neap.
**
** A neap_vm is a Lua 5.4 state with async functions, tasks and an event
** loop on libuv. Several may live in one process; each belongs to the
** thread that created it, and every function here is called on that
** thread unless its comment says otherwise.
**
** Conventions: a function that can fail returns 0 or a negative NEAP_E
** code; no error leaves a function by longjmp; the library owns what it
** creates and the caller owns what it passes in, unless said otherwise.
*/
#ifndef NEAP_H
#define NEAP_H

#include <stddef.h>
#include <lua.h>
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

typedef struct neap_vm neap_vm;

/* Error codes: name, value, text. */
#define NEAP_ERROR_MAP(X) \
  X(ENOMEM, -1, "not enough memory") \
  X(EINVAL, -2, "invalid argument") \
  X(EBUSY, -3, "the VM is running") \
  X(ETIMEDOUT, -4, "the time has passed") \
  X(ELOOP, -5, "no event loop can be opened")

enum {
#define NEAP_ERROR_ENUM(name, value, text) NEAP_##name = (value),
  NEAP_ERROR_MAP(NEAP_ERROR_ENUM)
#undef NEAP_ERROR_ENUM
  NEAP_OK = 0
};

/*
** Receives one diagnostic: a coroutine that was never awaited, an error
** in a task that nobody looked at, a slow step in debug mode. `text` has
** one or more lines, no newline at its end, and is valid during the call
** only. May be called while Lua collects garbage: must not call back
** into the VM. Runs on the VM's thread.
*/
typedef void (*neap_report_fn)(void *ud, const char *text, size_t len);

/*
** What a VM is made of. neap_config_init gives every field its default;
** a host then changes what it wants to.
*/
typedef struct neap_config {
  lua_Alloc alloc;         /* memory; NULL: malloc. Must outlive the VM */
  void *alloc_ud;          /* its first argument */
  uv_loop_t *loop;         /* the host's loop; NULL: the VM makes its own
                              when `run` or neap_loop first needs one */
  neap_report_fn report;   /* diagnostics; NULL: to stderr */
  void *report_ud;         /* its first argument */
  const char *module_path; /* folders of Neap's own modules, separated by
                              ';', searched after package.path and
                              package.cpath; NULL: none. Copied */
  int debug;               /* non-zero: debug mode from the start */
  int ignore_env;          /* non-zero: LUA_PATH and LUA_CPATH do not
                              count (as lua's option -E) */
} neap_config;

/* Fills `config` with the defaults. Cannot fail; any thread. */
NEAP_API void neap_config_init(neap_config *config);

/*
** Makes a VM with Lua's standard libraries and Neap's globals and stores
** it in `*vm`. `config` may be NULL (all defaults) and is not kept.
** Errors: NEAP_ENOMEM. Runs no script. Free with neap_close.
*/
NEAP_API int neap_new(neap_vm **vm, const neap_config *config);

/*
** Frees a VM and everything in it. Pending tasks end without running
** again; finalizers of Lua objects run. A loop of the VM's own is closed.
** A host's loop frees the VM's three handles, by config.alloc, when it runs
** next: run it once more before closing it. NULL is allowed.
** Errors: NEAP_EBUSY, called from inside the VM's own `run` (nothing
** was freed). Must not be called by a function that a script of the VM
** has called.
*/
NEAP_API int neap_close(neap_vm *vm);

/* The VM's main Lua thread, for Lua's own API. Owned by the VM. */
NEAP_API lua_State *neap_lua(neap_vm *vm);

/* The VM a Lua thread belongs to; NULL for a state that is not Neap's. Needs
   one free slot on the stack of L. */
NEAP_API neap_vm *neap_from_lua(lua_State *L);

/*
** Asks the program in the VM to stop, as Ctrl-C does. In `run`: the first
** call cancels the main task, and stops a step that goes on spinning; the
** second makes `run` raise KeyboardInterrupt at once. Outside `run`:
** raises the error "interrupted!" in the Lua code that runs.
** Returns whether the VM is in `run`: outside, nothing but Lua code can
** react. Async-signal-safe; from a signal handler on the VM's thread, or
** called plainly on it.
*/
NEAP_API int neap_interrupt(neap_vm *vm);

/*
** Asks for a dump: the text of asyncio.dump(), which tells what each
** unfinished task of a run awaits, goes to config.report, at the next
** instruction of the Lua code that runs, or from the loop when it waits; a
** function in C that goes on is waited for. A text of more than 8000 bytes
** comes in several calls of config.report, each with whole lines. Nothing
** else changes; several requests before the first is answered are one.
** Returns whether the VM is in `run`: outside there are no tasks, and
** nothing happens. Async-signal-safe; from a signal handler on the VM's
** thread, or called plainly on it. The VM must not be closed meanwhile.
*/
NEAP_API int neap_dump(neap_vm *vm);

/*
** Whether the value at `index` is an error that asks the program to stop
** on Ctrl-C (an asyncio.KeyboardInterrupt). Runs no Lua.
*/
NEAP_API int neap_iskeyboardinterrupt(lua_State *L, int index);

/*
** A message handler for lua_pcall (lua_pushcfunction(L, neap_traceback)):
** turns the error into a text with the traceback of the failed task, its
** whole await chain and the place where it was created, followed by the
** traceback of this Lua thread. An error that is an object without a text
** of its own is described by its type.  KeyboardInterrupt is left as it
** is.
*/
NEAP_API int neap_traceback(lua_State *L);

/*
** The loop on which the VM runs its tasks, stored in `*loop`: the host's, or
** the VM's own, which is opened if no `run` has done so. A module in C puts
** its handles there: in memory of its own, since a handle is freed by its
** close callback, which may come after Lua has gone. A module that is a
** shared object must therefore stay loaded (linker option -z nodelete).
** A callback of libuv or of another library may call neap_wake, and nothing
** of Lua: an error would have nowhere to go. Do not run or close the loop.
** Errors: NEAP_ENOMEM; NEAP_ELOOP, it cannot be opened.
*/
NEAP_API int neap_loop(neap_vm *vm, uv_loop_t **loop);

/*
** Suspending a task in C: what the running task waits for. It is in the
** caller's memory, all zero before its first use, and stays there until the
** wait is over; then it can serve again. (A userdata that has it inside lives
** long enough when it is an argument of the function that suspends.) For
** each neap_suspend, either the continuation is called or `cancel`, exactly
** once; so what is begun before it, is always ended.
*/
typedef struct neap_wait neap_wait;
struct neap_wait {
  /*
  ** Called when the task will not go on from here: it was cancelled, maybe
  ** after neap_wake, its run has ended, or neap_suspend raises. It stops
  ** what was begun, and must not fail, use Lua, or call neap_suspend;
  ** neap_wake for other waits is allowed. NULL: nothing to stop.
  */
  void (*cancel)(neap_wait *wait);
  const char *what; /* is awaited, for asyncio.dump and the like: "a message".
                       Static, or lives as long as the wait; NULL: unknown */
  int pending;      /* a task waits, or was woken and has not yet gone on */
  /* the library's, as the setting of `pending` is: */
  neap_vm *vm;
  void *task;
  lua_KFunction k;
  lua_KContext ctx;
  int timed;
};

/*
** Suspends the task that runs, until neap_wake(wait), but at most `seconds`
** (HUGE_VAL: without a limit). For a C function that a task has called, as
** its last act:
**     return neap_suspend(L, &r->wait, HUGE_VAL, (lua_KContext)r, received);
** The task then goes on with k(L, status, ctx), whose results are those of
** the C function; status is NEAP_OK, or NEAP_ETIMEDOUT when the time has
** passed first. k runs in the task: it may raise errors, and suspend again.
** A script awaits such a function through async(function), or calls it.
** As lua_yieldk it does not return. Raises an error, after `cancel`: outside
** a task; where a task cannot suspend (inside a callback of a C function that
** knows no continuations); not enough memory. And, with nothing called, when
** a task waits on `wait` already. On the VM's thread.
*/
NEAP_API int neap_suspend(lua_State *L, neap_wait *wait, double seconds,
                          lua_KContext ctx, lua_KFunction k);

/*
** Makes the task that waits ready to go on in the next turn of the loop.
** Returns whether there was one; nothing happens without. Cannot fail, runs
** no Lua, takes no lock: called on the VM's thread, also by callbacks of
** libuv.
*/
NEAP_API int neap_wake(neap_wait *wait);

/* The text of a NEAP_E code. Static. Any thread. */
NEAP_API const char *neap_strerror(int code);

/* The version of the library, as NEAP_VERSION. Static. Any thread. */
NEAP_API const char *neap_version(void);

#ifdef __cplusplus
}
#endif
#endif
