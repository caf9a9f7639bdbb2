/*
** module.h - what the C of several modules shares: errors, arguments, classes,
** names of signals, hosts, work on libuv's threads. It is linked into each
** module that uses it.
*/
#ifndef MODULE_H
#define MODULE_H

#include <lauxlib.h>
#include <lua.h>
#include <stdatomic.h>
#include <uv.h>

#include "neap.h"

/* What a module exports: its luaopen_ functions. */
#if defined(__GNUC__)
#define MODULE_API __attribute__((visibility("default")))
#else
#define MODULE_API
#endif

/* {======================================================
** error.c: errors and arguments
** ======================================================= */

/* Raises a usage error with the position of the script's function: of the
   nearest one that is neither C nor Neap's own. `format`: as of
   lua_pushfstring; begins with the function, "fs.open: ...". Never returns. */
int module_refuse(lua_State *L, const char *format, ...);

/* Raises an asyncio.OSError: its code is the name of `status` (UV_ENOENT:
   "ENOENT"), its field `field` ("path", "address") has the value `value`, its
   message is "SYSCALL 'VALUE': what the system says (CODE)". `value` may be
   NULL; it and `syscall` are copied. Never returns. */
int module_os_error(lua_State *L, int status, const char *syscall,
                    const char *field, const char *value);
/* The same, but pushes the error. */
void module_os_error_push(lua_State *L, int status, const char *syscall,
                          const char *field, const char *value);

/* Raises an error when the capability (FS, NET, PROCESS or ENV) has been taken
   away: at the beginning of each function that uses it. */
void module_check(lua_State *L, unsigned capability, const char *function);

/* Arguments: each raises a usage error "FUNCTION: a string expected as WHAT,
   got nil". A path, name, address: a string with no zero inside. */
const char *module_string(lua_State *L, int arg, const char *function,
                          const char *what, size_t *len);
const char *module_path(lua_State *L, int arg, const char *function,
                        const char *what);
/* An integer from `least` to `most`. */
lua_Integer module_integer(lua_State *L, int arg, const char *function,
                           const char *what, lua_Integer least,
                           lua_Integer most);
/* A boolean; nil is false. */
int module_boolean(lua_State *L, int arg, const char *function,
                   const char *what);
/* Options: nil, or a table without keys but those of `known`, which ends with
   NULL. Cuts the stack behind them, and pushes the values in that order. */
void module_options(lua_State *L, int arg, const char *function,
                    const char *const *known);
/* Seconds: not negative, HUGE_VAL (nil or math.huge) is without a limit. */
lua_Number module_seconds(lua_State *L, int arg, const char *function,
                          const char *what);

/* ====================================================== } */

/* {======================================================
** signals.c: the names of signals
** ======================================================= */

/* The number of the signal that an argument names, "TERM" or "SIGTERM"; and
   the other way round, "TERM"; NULL: it has no name. */
int module_signal(lua_State *L, int arg, const char *function);
const char *module_signal_name(int number);

/* ====================================================== } */

/* {======================================================
** host.c: numeric hosts
** ======================================================= */

#define MODULE_HOST_SIZE (INET6_ADDRSTRLEN + UV_IF_NAMESIZE)

/* Writes the host of an IPv4 or IPv6 address to `text`, with the zone where it
   has one: "fe80::1%eth0". */
void module_host(const struct sockaddr *address, char *text);

/* ====================================================== } */

/* {======================================================
** class.c: userdata with methods, whose metatables no script can name
** ======================================================= */

/* Pushes a class: a metatable with that __name, the metamethods, and the
   methods as its __index. It is upvalue 1 of all these functions. */
void module_class(lua_State *L, const char *name, const luaL_Reg *metamethods,
                  const luaL_Reg *methods);

/* The userdata at `index` if its metatable is the one at `class`, which may be
   an upvalue; else NULL. */
void *module_object(lua_State *L, int index, int class);
/* The same, where the class is in the registry, at the address `key`. */
void *module_object_p(lua_State *L, int index, const void *key);

/* ====================================================== } */

/* {======================================================
** work.c: work on libuv's threads, which the calling task waits for
** ======================================================= */

typedef struct module_work module_work;

/* Works of one line are done one after the other, in the order of their
   module_work_run: the next begins when `done` and `dispose` of the one before
   are over. In the memory of what they work on, zero at first; who has work in
   it keeps it alive until `dispose`. */
typedef struct module_line {
  module_work *first; /* is under way */
  module_work *last;
} module_line;

/* Begins the memory of a kind of work: allocated by module_work_new, it then
   belongs to module_work_run. */
struct module_work {
  /* In the thread; touches nothing but this memory, and what only the works
     of its line touch. What may take long looks at `cancelled` now and then.
     Where it would have to wait for a pipe it sets `events` (UV_READABLE or
     UV_WRITABLE) and `fd`, and returns: it is called again when they have
     come, and meanwhile no thread is taken. */
  void (*run)(module_work *work);
  /* Lua, in the task, afterwards, with the stack of the C function: pushes
     the results and returns their number, or raises an error. Not called when
     the task was cancelled or killed meanwhile. May suspend the task; the work
     is freed when it has returned or raised. */
  int (*done)(lua_State *L, module_work *work);
  /* Once, at the end, on the VM's thread: frees what the memory owns (not the
     memory itself), closes what `done` has not taken over. NULL: nothing. */
  void (*dispose)(module_work *work);
  const char *what; /* the task awaits, for dumps: "a file". Static */
  module_line *line;    /* NULL: it waits for no other work */
  int to_the_end;       /* it is done also when the task is cancelled */
  int at_once;          /* on the VM's thread: no task is there to wait; not
                           with a line */
  atomic_int cancelled; /* nobody waits any longer; not with to_the_end */
  int events;           /* 0: it is done */
  int fd;
  int unwatched;        /* libuv cannot tell: it has to wait in the thread */
  /* work.c's: */
  uv_work_t request;
  neap_wait wait;
  neap_vm *vm;
  struct module_work_box *box; /* the Lua side; NULL when it is gone */
  module_work *next;           /* in the line */
  struct module_work_watch *watch; /* of the fd; NULL: none */
  enum { MODULE_WORK_NEW, MODULE_WORK_RUNS, MODULE_WORK_ENDED } state;
};

/* A zeroed one of `size` bytes; raises "not enough memory". Push what can
   fail first: until module_work_run, nobody frees it but the caller. */
void *module_work_new(lua_State *L, size_t size);

/* As the last act of a C function: suspends the task until the work is done,
   unless that is done at once.
   Work that has not begun when the task is cancelled is left out; what has
   begun goes on to its end, and is disposed of then. neap_close waits. */
int module_work_run(lua_State *L, module_work *work);

/* ====================================================== } */

#endif
