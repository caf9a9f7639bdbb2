/*
** state.h - the VM itself: what every file of the core may look at. Its
** functions: vm.h, at whose head their invariants stand.
*/
#ifndef NEAP_STATE_H
#define NEAP_STATE_H

#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>

#include <lauxlib.h>
#include <lua.h>
#include <uv.h>

#include "neap.h"
#include "objects.h"

/* Where Lua's small blocks come from (alloc.c). */
#define NEAP__LARGEST 768
#define NEAP__GRAIN 8

/* Memory that was never used. */
typedef struct neap__room {
  char *next;
  char *end;
} neap__room;

typedef struct neap__memory {
  struct neap__block *idle[NEAP__LARGEST / NEAP__GRAIN + 1]; /* by size */
  neap__room fresh;           /* of the newest region, */
  neap__room rest;            /* and the end of another, for smaller blocks */
  struct neap__region *spans; /* of regions, newest first */
  size_t regions_left;        /* of the newest, which are not yet in use */
  size_t count;    /* of all regions */
  size_t sweep_at; /* this many */
} neap__memory;

/* An idle Lua thread, ready for the next task. */
typedef struct neap__thread {
  lua_State *L;
  uint32_t anchor;
} neap__thread;

/* The VM's handles in libuv. A block of their own: many VMs never need it. */
typedef struct neap__pollers {
  uv_timer_t alarm;  /* ends a poll when the first timer is due */
  uv_async_t wakeup; /* ends a poll when a signal or mail has come */
  uv_prepare_t prepare; /* no poll sleeps while something is ready */
  uv_prepare_t turns;   /* on a host's loop: runs the turns (embed/host.c) */
  uv_idle_t busy;       /* there: something is ready; keeps the loop alive */
  neap_vm *vm;
  int open; /* of these; when none is, this is called */
  void (*closed)(neap_vm *vm);
} neap__pollers;

/*
** Lua values that the core needs at any time, each a reference in the
** registry: an integer key, since these are looked up for every task. Never
** nil: luaL_ref gives a key away that seems to be free.
*/
typedef enum neap__ref {
  NEAP__METATABLES,                /* of each kind */
  NEAP__WATCHED = NEAP__KINDS,     /* metatable: coroutine.c */
  NEAP__REPORTER,                  /* metatable: future.c */
  NEAP__GUARD,                     /* metatable: lock.c */
  NEAP__KEEPER,                    /* thread: anchor.c */
  NEAP__NAMES,                     /* of async functions, coroutine.c */
  NEAP__WARNED,                    /* set of texts, coroutine.c */
  NEAP__CLASSES,                   /* error classes by name, error.c */
  NEAP__KEYBOARD,                  /* the one raised, interrupt.c */
  NEAP__REFS
} neap__ref;

struct neap_vm {
  int refs[NEAP__REFS];      /* see neap__ref */
  lua_Alloc alloc;           /* the host's, or malloc: for all but Lua */
  void *alloc_ud;
  neap__memory memory;       /* for Lua, unless the host's allocator is */
  lua_State *main;           /* the VM's first Lua thread */
  lua_State *volatile L;     /* the one that is in `run`, or NULL */
  neap__task *volatile current; /* the task whose step runs, or NULL */
  lua_State *volatile running; /* the Lua thread that runs, for hooks */
  volatile sig_atomic_t interrupts; /* neap_interrupt calls so far; */
  int interrupts_seen;       /* of these, dealt with, */
  int interrupts_before;     /* and before this run */
  uint8_t suspending;        /* an await is on its way to the loop; or */
#define NEAP__COMES_BACK 2   /* is to be resumed at once */
  uint8_t debug;             /* debug mode */
  uint8_t async_used;        /* a script has made an async function */
  uint8_t ending;            /* run cancels all tasks, each once */
  uint8_t main_xpcall;       /* the main thread has called xpcall */
  uint8_t main_interrupted;  /* Ctrl-C has cancelled the main task */
  uint8_t stopping;          /* the loop ends after this turn */
  uint8_t keyboard;          /* a step raised KeyboardInterrupt */
  uint32_t noyield;          /* coroutine.resume calls that cannot yield */
  uint32_t nested;           /* calls in await.c since the C stack was empty */
  uint32_t close_depth;      /* nested coroutine.close calls */
  uintptr_t close_base;      /* where the C stack was in the outermost */
  neap__coroutine *bare_yield; /* the shared object of sleep(0), */
  uint8_t bare_yield_out;    /* given out and not yet awaited */
  neap__coroutine *fresh;    /* newest coroutine object (coroutine.c) */

  neap__queue ready;         /* jobs of the next turn; while one runs: */
  neap__job *last_job;       /* its last one, NULL when that has begun, */
  uint64_t turn_until;       /* and when it ends all the same; 0: never */
  neap__heap timers;
  neap__gather *gathers;     /* with unfinished children */
  neap__task *tasks;         /* unfinished ones, oldest first */
  neap__task *last_task;
  uint64_t task_count;       /* so far */
  uint8_t raised;            /* report.c remembers an error */
  uint32_t leftovers;        /* tasks cancelled at the end, not yet ended */

  lua_State *keeper;         /* a Lua thread, only a stack: anchor.c */
  uint32_t anchors_used;
  uint32_t anchors_free;     /* a number without a value, or 0 */
  uint32_t anchors_total;    /* numbers that were given out, */
  uint32_t anchors_room;     /* and can be */
  neap__thread *pool;        /* idle threads */
  uint32_t pool_count;
  uint32_t pool_capacity;
  uint8_t starved;           /* memory ended: keep no idle threads */

  uv_loop_t *loop;           /* NULL before the first `run` */
  uv_loop_t own_loop;        /* `loop` points here unless the host gave one */
  neap__pollers *pollers;    /* NULL before the first `run` */
  uint32_t unpolled;         /* turns since the last poll */
  _Atomic(neap__job *) mail; /* the next turn runs it first: it takes what
                                other threads have sent (embed/port.c) */

  neap__task *main_task;     /* of `run`, or NULL */
  neap__job stop;            /* waits for the main task */
  neap__job last_ended;      /* comes after the last leftover's callbacks */
  uint64_t interrupt_time;   /* of the last one, when a step saw it */
  volatile sig_atomic_t dump_requested; /* a neap_dump not yet answered */
  lua_State *volatile hooked; /* Lua thread whose own hook interrupt.c has
                                 replaced; it had: */
  lua_Hook hook;
  int hook_mask;
  int hook_count;
  int count_hook;            /* every Lua thread has ours, at so many
                                instructions; 0: none has (limits.c) */

  neap_report_fn report;     /* diagnostics; NULL: nobody is told */
  void *report_ud;
  neap_output_fn output;     /* what print writes; NULL: stdout */
  void *output_ud;
  unsigned capabilities;     /* NEAP_CAN_ flags */
  char *warning;             /* Lua's warning so far (warn.c) */
  size_t warning_len;
  size_t warning_size;
  uint8_t warnings_on;

  struct neap__limits *limits; /* limits.c; NULL: no limit of memory or time */
  neap__budget *budgets;     /* all that have users */
  neap__budget *budget;      /* of what runs outside tasks, or NULL; whoever
                                sets it is a user of it */
  neap__budget *inner;       /* of a call inside that, or a task, or NULL */
  int killed;                /* a NEAP_E code: the VM as a whole is */
  uint32_t postponed;        /* instructions since the last kill of a part */
  _Atomic int kill_requested; /* by another thread */
  size_t task_limit;         /* 0: none */
  size_t tasks_alive;        /* unfinished */
  size_t output_limit;       /* 0: none */
  size_t output_count;
  uint8_t output_counts;     /* print is ours, which does so */

  const char *thread;        /* of whoever made the VM: see neap__is_here */
  _Atomic(const char *) plain; /* the same, as long as there has been no limit
                                of memory or time, host's loop, kill or hook of
                                ours, which calls look for; then NULL */
  uint32_t entered;          /* nested neap__enter; not 0: the host has begun
                                what runs, and not a script's `run` */
  uint32_t host_interrupted; /* what the host runs was */
  uint8_t driven;            /* the host has run the loop */
  uint8_t closing;           /* neap_close was called */
  uint32_t loop_refs;        /* what modules and natives have on the loop */
  atomic_uint works_over;    /* of work, of which the next polls will know */
  void (*closed)(void *ud);  /* of neap_close */
  void *closed_ud;
  struct neap__spawned **spawned; /* embed/spawn.c */
  uint32_t spawned_size;
  uint32_t spawned_used;     /* slots that are not free */
  uint32_t spawned_next;     /* where to look for a free one */
  uint64_t spawned_count;    /* so far */
  uint64_t *retained;        /* embed/value.c: serial numbers, by reference */
  uint32_t retained_size;
  lua_State *shelf;          /* embed/value.c: borrowed values */
  int shelved;               /* slots of it that hold them */
  uint64_t shelf_serial;     /* of the newest reference there */
  int failure_code;          /* embed/failure.c: of the last one, and its */
  char *failure_message;     /* texts; NULL: that of the code, */
  char *failure_traceback;   /* and none */
  int failure_exit;          /* the exit code that it asks for; -1: none */
  neap_port *port;           /* embed/port.c; NULL: nobody has asked for one */
  uint32_t native_calls;     /* promises and work that are not over */
  void (*host_wakeup)(void *ud); /* config.wakeup */
  void *host_wakeup_ud;
};

/*
** The VM of a Lua thread, from the thread's extra space, which new
** threads copy from the main one. Its low bits are marks of the thread.
*/
#define NEAP__TASK_THREAD ((uintptr_t)1)  /* runs tasks: no script's to run */
#define NEAP__AWAITING ((uintptr_t)2)     /* a generator inside an await */
#define NEAP__XPCALL ((uintptr_t)4)       /* has called xpcall (protect.c) */
#define NEAP__MARKS ((uintptr_t)7)

static inline uintptr_t *neap__extra(lua_State *L) {
  return (uintptr_t *)lua_getextraspace(L);
}

static inline neap_vm *neap__vm(lua_State *L) {
  return (neap_vm *)(*neap__extra(L) & ~NEAP__MARKS);
}

/* A thread is told by where it has this. Initial-exec: the address is had in
   two instructions. */
extern _Thread_local char neap__here
    __attribute__((tls_model("initial-exec")));

/* Whether this is the VM's thread. */
static inline int neap__is_here(const neap_vm *vm) {
  return vm->thread == &neap__here;
}

/* Whether it has a loop that the host runs, or one of its own. */
static inline int neap__has_hosts_loop(const neap_vm *vm) {
  return vm->loop != NULL && vm->loop != &vm->own_loop;
}
static inline int neap__has_own_loop(const neap_vm *vm) {
  return vm->loop == &vm->own_loop;
}

/* Pushes the value of a reference; pops one into it. */
static inline void neap__ref_push(lua_State *L, int ref) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, neap__vm(L)->refs[ref]);
}
static inline void neap__ref_set(lua_State *L, int ref) {
  lua_rawseti(L, LUA_REGISTRYINDEX, neap__vm(L)->refs[ref]);
}

#endif
