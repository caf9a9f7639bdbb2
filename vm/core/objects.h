/*
** objects.h - jobs, queues, timers, and the objects that scripts hold.
** Included by state.h; their invariants stand at the head of vm.h.
*/
#ifndef NEAP_OBJECTS_H
#define NEAP_OBJECTS_H

#include <stdint.h>

#include <lua.h>

#include "neap.h"

/* {======================================================
** Jobs and queues
** ======================================================= */

/* Something to be run in a turn of the loop; embedded in its owner. */
typedef struct neap__job {
  struct neap__job *next;                          /* in its queue */
  void (*run)(neap_vm *vm, struct neap__job *job); /* runs it */
} neap__job;

/* FIFO of jobs: a ring, since most futures have a queue and few use it. */
typedef struct neap__queue {
  neap__job *last; /* its next is the first; NULL: empty */
} neap__queue;

static inline void neap__queue_push(neap__queue *q, neap__job *job) {
  if (q->last == NULL)
    job->next = job;
  else {
    job->next = q->last->next;
    q->last->next = job;
  }
  q->last = job;
}

/* Takes out the first job of a queue that is not empty. */
static inline neap__job *neap__queue_pop(neap__queue *q) {
  neap__job *first = q->last->next;
  if (first == q->last)
    q->last = NULL;
  else
    q->last->next = first->next;
  return first;
}

/* Moves all jobs of `from` behind those of `to`. */
static inline void neap__queue_splice(neap__queue *to, neap__queue *from) {
  if (from->last == NULL)
    return;
  if (to->last != NULL) {
    neap__job *first = to->last->next;
    to->last->next = from->last->next;
    from->last->next = first;
  }
  to->last = from->last;
  from->last = NULL;
}

/* A job that becomes ready at a point in time, or, of a task, when it is its
   turn in a waitlist: it does not wait for both. While it is in line (its
   `waiting_on` is a waitlist) `position` says nothing. */
typedef struct neap__timer {
  neap__job job;
  union {
    struct {
      uint32_t order;    /* breaks ties: the first started goes first */
      uint32_t position; /* in the heap, from 1; 0: not started */
    };
    struct neap__task *ahead; /* in the line of a waitlist */
  };
} neap__timer;

/* Min-heap of timers, by deadline, then order. */
typedef struct neap__heap {
  struct neap__heap_entry *entries;
  uint32_t count;
  uint32_t capacity;
  uint32_t next_order; /* for the next timer started */
} neap__heap;

/* ====================================================== } */

/* {======================================================
** Objects: userdata that scripts hold
** ======================================================= */

typedef enum neap__kind {
  NEAP__COROUTINE,
  NEAP__FUTURE,
  NEAP__TASK,
  NEAP__GATHER,
  NEAP__HANDLE,
  NEAP__LOCK,
  NEAP__SEMAPHORE,
  NEAP__TIMEOUT,
  NEAP__KINDS
} neap__kind;

/*
** One per kind, static. Its address tells the objects of the kind from
** any other userdata.
*/
typedef struct neap__type {
  neap__kind kind;
  const char *name; /* as in messages, and __name */
} neap__type;

extern const neap__type neap__coroutine_type;
extern const neap__type neap__future_type;
extern const neap__type neap__task_type;
extern const neap__type neap__gather_type;
extern const neap__type neap__waitlist_type;
extern const neap__type neap__handle_type;

/* What every object begins with. */
typedef struct neap__object {
  const neap__type *type;
} neap__object;

/* The state of a coroutine object. */
typedef enum neap__coroutine_state {
  NEAP__NEW,     /* nobody has awaited it */
  NEAP__AWAITED, /* an await runs or ran it */
  NEAP__OWNED,   /* a task runs or ran it */
  NEAP__CLOSED   /* closed before it started */
} neap__coroutine_state;

/* What runs when a coroutine object is awaited. */
typedef enum neap__coroutine_body {
  NEAP__LUA,   /* a function with arguments: the first user value, the others */
  NEAP__NATIVE, /* a C function that has its name, and no upvalues; they are
                   its arguments. One that is called with very many is LUA */
  NEAP__SLEEP, /* a timer; its result is the first user value, if any */
  NEAP__HOLD,  /* the wait for a lock, the first user value (lock.c) */
  NEAP__YIELD  /* one turn given up: the shared object of sleep(0). It is
                  never NEW; its state stands in vm->bare_yield_out */
} neap__coroutine_body;

typedef struct neap__coroutine {
  const neap__type *type;
  uint8_t state;         /* neap__coroutine_state */
  uint8_t body;          /* neap__coroutine_body */
  uint8_t located;       /* the last user value says where it was created */
  uint8_t packed;        /* the arguments stand in one table (many) */
  uint32_t nargs;        /* arguments; SLEEP: 1 when there is a result */
} neap__coroutine;

/* One with the body NATIVE. */
typedef struct neap__native {
  neap__coroutine coroutine;
  lua_CFunction function;
} neap__native;

/* One with the body SLEEP. */
typedef struct neap__sleeper {
  neap__coroutine coroutine;
  double delay; /* seconds */
} neap__sleeper;

typedef enum neap__state {
  NEAP__PENDING,
  NEAP__FINISHED,
  NEAP__FAILED,
  NEAP__CANCELLED
} neap__state;

/*
** A future: a result to come. Tasks and gathers begin with one.
** User values: NEAP__RESULT, NEAP__EXTRA, and those of the kind.
*/
typedef struct neap__future {
  const neap__type *type;
  neap__queue waiters; /* jobs made ready when it settles */
  uint8_t state;       /* neap__state */
  uint8_t observed;    /* FAILED: somebody has seen the error */
  uint8_t callbacks;   /* NEAP__EXTRA has a set of Lua callbacks */
  uint32_t nresults;   /* FINISHED: how many; more than 1: in a table */
} neap__future;

enum {
  NEAP__RESULT = 1, /* the result (or table of them), or the error */
  NEAP__EXTRA,      /* what few futures have (future.c) */
  NEAP__CORO,       /* Task: its coroutine object. Gather: list of children */
  NEAP__GROUP       /* Task: the group that it is a member of */
};

/*
** What one call of the host may use (limits.c): a neap_call, or the task of
** a neap_spawn, and all that comes of it. Shared by these tasks and handles.
*/
typedef struct neap__budget {
  neap__timer timer;    /* kills the tasks that wait at the deadline */
  struct neap__budget *outer; /* of the call in which this one is, or NULL */
  struct neap__budget *previous; /* in vm->budgets */
  struct neap__budget *next;
  neap_task number;     /* of the task that neap_spawn made; 0: a neap_call */
  uint64_t deadline;    /* of uv_hrtime; UINT64_MAX: none */
  uint32_t users;       /* freed when there are none */
  uint8_t timed;        /* the timer has not yet done its work */
  int killed;           /* a NEAP_E code, or 0 */
} neap__budget;

typedef struct neap__task {
  neap__future future;
  neap__timer timer;            /* its job is the task's next step */
  lua_State *thread;            /* runs it; NULL before the first step */
  union {
    neap__future *waiting_on;   /* what its await waits for, or NULL */
    neap_wait *wait;            /* in_c: what a C function waits for */
  };
  struct neap__task *previous;  /* in vm->tasks, in creation order */
  struct neap__task *next;
  uint32_t anchor;              /* keeps the task alive until it ends */
  uint32_t thread_anchor;       /* of `thread` */
  uint32_t cancel_requests;     /* cancel() less uncancel() */
  int32_t line;                 /* where it was created, or -1 */
  uint64_t id : 53;             /* the N of "Task-N" */
  uint64_t member : 1;          /* it is a neap__member */
  uint64_t budgeted : 1;        /* a neap__budget * stands behind it */
  uint64_t in_c : 1;            /* a C function has suspended it (suspend.c) */
  uint64_t must_cancel : 1;     /* raise CancelledError at the next step */
  uint64_t interrupted : 1;     /* its sleep was cancelled: raise, too */
  uint64_t leftover : 1;        /* cancelled at the end of run */
  uint64_t kept : 1;            /* anchored beyond its end, by group.c */
} neap__task;

/* Tasks in line (waitlist.c); to others, a future that never settles. */
typedef struct neap__waitlist {
  neap__future future; /* PENDING; nothing is in its queue */
  const char *what;    /* is waited for, as a Lock; lives as long as the list */
  neap__task *first;
  neap__task *last;
  uint32_t length;
} neap__waitlist;

/* The unfinished tasks of a TaskGroup (group.c), and in line who waits for
   their end. */
typedef struct neap__group {
  neap__waitlist line;
  struct neap__member *first; /* oldest */
  struct neap__member *last;
  lua_Integer count;
} neap__group;

/* A task of a group, and the job that tells its end. */
typedef struct neap__member {
  neap__task task;
  neap__job end;
  neap__group *group;
  struct neap__member *previous; /* in the group, in creation order */
  struct neap__member *next;
} neap__member;

/* Where the budget of the host's call it came of stands; few tasks have one. */
static inline neap__budget **neap__task_slot(neap__task *task) {
  size_t size = task->member ? sizeof(neap__member) : sizeof(neap__task);
  return (neap__budget **)((char *)task + size);
}
/* That budget, or NULL. */
static inline neap__budget *neap__task_budget(neap__task *task) {
  return task->budgeted ? *neap__task_slot(task) : NULL;
}

/* So many permits, and who waits for one: a Lock or a semaphore (lock.c). */
typedef struct neap__lock {
  const neap__type *type;
  neap__waitlist line;  /* those who wait and have no permit */
  lua_Integer value;    /* permits that are free */
  lua_Integer bound;    /* of `value` */
  lua_Integer woken;    /* who have been given a permit and have not yet run */
  lua_Integer holds;    /* that have begun, so far */
  lua_Integer present;  /* number of the Lock's present hold, or 0 */
} neap__lock;

/* A coroutine object with the body HOLD: what acquire() gives; and, once it
   has its permit, the guard. */
typedef struct neap__hold {
  neap__coroutine coroutine;
  neap__lock *lock;
  lua_Integer number; /* of this hold; of a semaphore, 0 when it has ended */
  lua_Integer task;   /* its number, of a semaphore's */
} neap__hold;

/* A callback: of call_soon, call_later or add_done_callback. User values:
   the function, then its arguments. */
typedef struct neap__handle {
  const neap__type *type;
  neap__timer timer;
  neap__budget *budget; /* as of a task; while it is scheduled */
  uint32_t anchor; /* 0: not scheduled */
  uint32_t nargs;
  uint8_t cancelled;
} neap__handle;

/* One child of a gather: its job waits for the child. */
typedef struct neap__child {
  neap__job job;
  neap__future *future;
  uint32_t index; /* in the gather's children */
} neap__child;

typedef struct neap__gather {
  neap__future future;
  struct neap__gather *previous; /* in vm->gathers, while anchored */
  struct neap__gather *next;
  neap__budget *budget; /* as of a task; while it is anchored */
  uint32_t anchor;   /* while a child is unfinished */
  uint32_t count;    /* of children */
  uint32_t finished; /* of these */
  uint8_t return_exceptions;
  uint8_t cancel_requested;
  uint8_t too_late; /* no child is left to cancel */
  neap__child children[];
} neap__gather;

/* ====================================================== } */

#endif
