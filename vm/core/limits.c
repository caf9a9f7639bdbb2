/*
** limits.c - what a script may use, and how it is stopped.
**
** A kill takes effect in the hook (interrupt.c), between two instructions.
** Where the Lua thread can yield, it does, and is never resumed: no pcall
** can catch that. Where it cannot, a kill is raised: a value that no script
** can make and all protected calls pass on (protect.c), up to the first one
** that can yield; whatever a script wants to run on its way, the hook stops
** at its first instruction. A kill of a part waits, within bounds, until the
** library's own Lua has come to an end, whose queues others use, too.
**
** What asks for the hook:
**    memory  the allocator, when the heap has grown past its limit; a
**            collection then tells whether that is garbage
**    time    the watchdog (watchdog.c), when a step has had its slice; a
**            deadline has a timer for those who wait, and is looked at in
**            the hook for who runs
**    a kill  of the code that runs
*/
#include <math.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "vm.h"

#define HARD 4              /* times the limit of memory may be allocated */
#define SLICES 10           /* that code which cannot yield may take */
#define COUNTED 1000        /* instructions between hooks, without signals */
#define MOST_POSTPONED 10000 /* instructions of the library that a kill waits
                                for: a script may send it round in circles */
#define AGAIN 97            /* to the next try to preempt, and up to as many
                               more: a loop must not keep step with it */
#define DEEPEST 1000        /* calls that are searched for one of the library */
#define DEFAULT_SLICE 10000000u /* ns between looks for a deadline alone */

typedef struct neap__limits {
  neap_vm *vm;
  lua_Alloc alloc; /* gives the memory that is counted */
  void *alloc_ud;
  size_t used;
  size_t peak;
  size_t soft;     /* 0: none */
  size_t trigger;  /* a heap as large is looked at */
  size_t hard;     /* 0: none */
  uint8_t look;    /* the heap has grown past `trigger` */
  uint8_t timed;   /* a limit of time: there is */
  uint8_t watched; /* the watchdog; else there is a count hook */
  uint32_t depth;  /* nested neap__limits_begin */
  double deadline; /* seconds for each call; 0: none */
  uint64_t slice;  /* ns; 0: none */
  uint32_t late;   /* the step that had its slice and could not yield, */
  uint64_t late_at; /* when that was first seen, and what the thread had */
  uint64_t late_cpu; /* used of the processor then */
  uint64_t began;  /* the outermost begin */
  uint64_t run_time;
  uint64_t preemptions;
  neap_vm *outer;  /* which ran on this thread before */
  neap__watched watch;
} neap__limits;

/* {======================================================
** Memory
** ======================================================= */

void *neap__limits_alloc(void *ud, void *block, size_t old, size_t size) {
  neap__limits *l = (neap__limits *)ud;
  void *result;
  if (block == NULL)
    old = 0; /* it tells the type of an object */
  if (size > old && l->hard != 0 && size - old > l->hard - l->used)
    return NULL;
  result = l->alloc(l->alloc_ud, block, old, size);
  if (result == NULL && size > 0)
    return NULL;
  l->used += size - old;
  if (l->used > l->peak)
    l->peak = l->used;
  if (l->used > l->trigger && !l->look) {
    l->look = 1;
    neap__interrupt_arm(l->vm, l->vm->running, 1);
  }
  return result;
}

/* The heap has grown past its trigger: what is left of it? */
static void look_at_heap(neap_vm *vm, lua_State *L) {
  neap__limits *l = vm->limits;
  if (lua_gc(L, LUA_GCCOLLECT) < 0) /* in a finalizer: later */
    return;
  l->look = 0;
  if (l->soft != 0 && l->used > l->soft)
    neap__vm_kill(vm, NEAP_EMEMORY);
  if (l->soft == 0) /* it has been lifted meanwhile */
    return;
  /* a heap close to its limit is not collected at each instruction */
  l->trigger = l->used + l->soft / 8 > l->soft ? l->used + l->soft / 8
                                               : l->soft;
}

/* ====================================================== } */

/* {======================================================
** Budgets
** ======================================================= */

static void budget_free(neap_vm *vm, neap__budget *b) {
  neap__budget_drop(vm, b->outer);
  if (b->previous != NULL)
    b->previous->next = b->next;
  else
    vm->budgets = b->next;
  if (b->next != NULL)
    b->next->previous = b->previous;
  (void)neap__alloc(vm, b, sizeof *b, 0);
}

/* False: no memory. */
static int start_timer(neap_vm *vm, neap__budget *b) {
  b->timed = neap__timer_start(vm, &b->timer, b->deadline) == NEAP_OK;
  return b->timed;
}

/* The deadline, for all who wait. */
static void budget_expires(neap_vm *vm, neap__job *job) {
  neap__budget *b =
      (neap__budget *)((char *)job - offsetof(neap__budget, timer));
  b->timed = 0;
  if (b->users == 0)
    budget_free(vm, b);
  else if (uv_hrtime() < b->deadline && vm->killed == 0)
    start_timer(vm, b); /* the end of a `run` has emptied the heap */
  else
    neap__budget_kill(vm, b, NEAP_EDEADLINE);
}

neap__budget *neap__budget_new(neap_vm *vm, neap__budget *outer,
                               double seconds) {
  neap__budget *b = (neap__budget *)neap__alloc(vm, NULL, 0, sizeof *b);
  if (b == NULL)
    return NULL;
  if (seconds == 0)
    seconds = vm->limits != NULL ? vm->limits->deadline : 0;
  b->timer.job.run = budget_expires;
  b->timer.position = 0;
  b->outer = neap__budget_use(outer);
  b->previous = NULL;
  b->next = vm->budgets;
  if (vm->budgets != NULL)
    vm->budgets->previous = b;
  vm->budgets = b;
  b->number = 0;
  b->deadline = UINT64_MAX;
  b->users = 1;
  b->killed = 0;
  b->timed = 0;
  if (seconds > 0 && isfinite(seconds)) {
    b->deadline = neap__deadline(seconds);
    if (!start_timer(vm, b)) {
      budget_free(vm, b);
      return NULL;
    }
  }
  return b;
}

neap__budget *neap__budget_use(neap__budget *b) {
  if (b != NULL)
    b->users++;
  return b;
}

void neap__budget_drop(neap_vm *vm, neap__budget *b) {
  if (b == NULL || --b->users > 0)
    return;
  if (b->timed && b->timer.position == 0)
    return; /* its job is on its way, and frees it */
  if (b->timed)
    neap__timer_stop(vm, &b->timer);
  budget_free(vm, b);
}

/* ====================================================== } */

/* {======================================================
** Killing
** ======================================================= */

/* What runs is to die: the hook will see to it. */
static void arm(neap_vm *vm) {
  neap__task *task = vm->current;
  neap__interrupt_arm(vm, vm->running, 1);
  if (task != NULL && task->thread != vm->running)
    neap__interrupt_arm(vm, task->thread, 1);
}

void neap__budget_kill(neap_vm *vm, neap__budget *b, int code) {
  if (b->killed != 0)
    return;
  b->killed = code;
  vm->postponed = 0;
  if (b->timed && b->timer.position != 0) { /* there is nothing left to end */
    neap__timer_stop(vm, &b->timer);
    b->timed = 0;
  }
  neap__tasks_kill(vm, b);
  neap__handles_kill(vm, b);
  arm(vm);
}

void neap__vm_kill(neap_vm *vm, int code) {
  if (vm->killed != 0)
    return;
  vm->killed = code;
  vm->plain = NULL;
  neap__tasks_kill(vm, NULL);
  neap__timers_expire(vm, UINT64_MAX);
  arm(vm);
}

/* Kills what runs. */
static void kill_current(neap_vm *vm, int code) {
  neap__budget *b = neap__budget_current(vm);
  if (b != NULL)
    neap__budget_kill(vm, b, code);
  else
    neap__vm_kill(vm, code);
}

int neap__limits_reached(neap_vm *vm) {
  neap__budget *b = neap__budget_current(vm), *part;
  if (atomic_load_explicit(&vm->kill_requested, memory_order_relaxed))
    neap__vm_kill(vm, NEAP_EKILLED);
  for (part = b; part != NULL; part = part->outer) {
    if (part->killed == 0 && part->deadline != UINT64_MAX &&
        uv_hrtime() >= part->deadline)
      neap__budget_kill(vm, part, NEAP_EDEADLINE);
  }
  return neap__killed(vm, b);
}

/* Whether Lua of the library's own runs, or C that it has called; `called`: or
   what else it has called, and not awaited. Between two awaits it counts on
   that nobody else changes its queues and lines, and that it comes to its end
   there. `[neap]` is no part of that: it does for scripts, and for the library,
   what C would do. */
static int in_library(lua_State *L, int called) {
  lua_Debug ar;
  int level;
  for (level = 0; level < DEEPEST && lua_getstack(L, level, &ar) &&
                  lua_getinfo(L, "S", &ar); level++) {
    if (*ar.what == 'C') {
      if (called && neap__is_await(L, &ar))
        break;
    }
    else if (!neap__is_own(&ar)) {
      if (!called)
        break;
    }
    else if (strcmp(ar.short_src, "[neap]") != 0)
      return 1;
  }
  return 0;
}

/* The task that runs, in a hook or a C function of L, which can yield, has its
   next step in the next turn. */
static int give_up_turn(neap_vm *vm, lua_State *L) {
  neap__queue_push(&vm->ready, &vm->current->timer.job);
  vm->suspending = 1;
  (void)lua_yield(L, 0); /* from a hook it returns */
  return 1;
}

/* Ends the code that runs in L: see the head of this file. `may_yield`: it is
   not in a hook for another event than a count. */
static int die(neap_vm *vm, lua_State *L, int may_yield) {
  if (may_yield && neap__can_suspend(vm, L))
    return give_up_turn(vm, L); /* its next step is its last */
  neap__kill_push(L);
  return neap__throw(L);
}

void neap__checkpoint(lua_State *L) {
  neap_vm *vm = neap__vm(L);
  if (neap__limits_reached(vm))
    (void)die(vm, L, 1);
}

/* ====================================================== } */

/* {======================================================
** Time
** ======================================================= */

/* ns of the processor that this thread has used. */
static uint64_t processor_time(void) {
  struct timespec t;
  if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) != 0)
    return uv_hrtime();
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The step that runs has had its slice. 1: it has yielded. */
static int preempt(neap_vm *vm, lua_State *L, int counted, uint32_t serial) {
  neap__limits *l = vm->limits;
  int called = counted && in_library(L, 1);
  uint64_t now;
  if (counted && !called && neap__can_suspend(vm, L)) {
    l->preemptions++;
    return give_up_turn(vm, L);
  }
  now = uv_hrtime();
  if (l->late != serial) {
    l->late = serial;
    l->late_at = now;
    l->late_cpu = processor_time();
  }
  if (now - l->late_at > (SLICES - 1) * l->slice && /* on a busy machine, too */
      processor_time() - l->late_cpu > (SLICES - 1) * l->slice) {
    kill_current(vm, NEAP_ESTALL);
    return die(vm, L, counted);
  }
  /* maybe it can then; calls do not count here, or it would never come */
  if (!counted || in_library(L, 0))
    neap__interrupt_arm(vm, L, 2);
  else if (called) /* the library may be about to end when this returns */
    neap__interrupt_arm_return(vm, L, AGAIN + (int)(now % AGAIN));
  else
    neap__interrupt_arm(vm, L, AGAIN + (int)(now % AGAIN));
  return 0;
}

int neap__limits_hook(neap_vm *vm, lua_State *L, int counted) {
  neap__limits *l = vm->limits;
  uint32_t serial;
  if (l != NULL && l->look)
    look_at_heap(vm, L);
  if (neap__limits_reached(vm)) {
    if (vm->killed != 0 || vm->postponed == MOST_POSTPONED || !in_library(L, 0))
      return die(vm, L, counted);
    vm->postponed++; /* what others use, too, it leaves whole */
    neap__interrupt_arm(vm, L, 1);
  }
  if (l == NULL || l->slice == 0)
    return 0;
  serial = atomic_load_explicit(&l->watch.serial, memory_order_relaxed);
  if (!l->watched) { /* there is a clock to look at */
    if (uv_hrtime() - l->watch.seen_at < l->slice)
      return 0;
  }
  else if (atomic_load(&l->watch.over) != serial)
    return 0;
  return preempt(vm, L, counted, serial);
}

void neap__limits_signal(neap_vm *vm) { arm(vm); }

void neap__kill_request(neap_vm *vm) {
  const neap__limits *l = vm->limits;
  atomic_store(&vm->kill_requested, 1);
  if (l != NULL && l->watched)
    neap__watchdog_signal(&l->watch);
}

uint64_t neap__limits_begin(neap_vm *vm) {
  neap__limits *l = vm->limits;
  if (l->depth++ > 0 || !l->timed)
    return 0;
  l->began = uv_hrtime();
  atomic_fetch_add(&l->watch.serial, 1);
  if (l->watched)
    l->outer = neap__watchdog_run(vm);
  else
    l->watch.seen_at = l->began;
  return l->began + (l->slice != 0 ? l->slice : DEFAULT_SLICE);
}

void neap__limits_step(neap_vm *vm) {
  neap__limits *l = vm->limits;
  if (l->look) /* what has taken the memory ran to its end, or waits */
    neap__interrupt_arm(vm, vm->running, 1);
  if (!l->timed)
    return;
  atomic_store_explicit(&l->watch.serial, l->watch.serial + 2,
                        memory_order_relaxed);
  if (!l->watched)
    l->watch.seen_at = uv_hrtime();
}

void neap__limits_end(neap_vm *vm) {
  neap__limits *l = vm->limits;
  if (--l->depth > 0)
    return;
  if (l->look) /* the thread that had the hook is no more */
    look_at_heap(vm, vm->main);
  if (!l->timed)
    return;
  atomic_fetch_add(&l->watch.serial, 1);
  if (l->watched)
    (void)neap__watchdog_run(l->outer);
  l->run_time += uv_hrtime() - l->began;
}

void neap__limits_unwind(neap_vm *vm) {
  neap__limits *l = vm->limits;
  neap__budget_drop(vm, vm->budget);
  vm->budget = NULL;
  if (l != NULL && l->depth > 0) {
    l->depth = 1;
    neap__limits_end(vm);
  }
}

/* ====================================================== } */

/* {======================================================
** Life
** ======================================================= */

static int is_time(double seconds) { return seconds >= 0; /* nor NaN */ }

int neap__limits_valid(const neap_limits *limits) {
  return is_time(limits->deadline) && is_time(limits->slice) &&
         (limits->memory_hard == 0 || limits->memory_hard >= limits->memory);
}

static uint64_t nanoseconds(double seconds) {
  return seconds < 1e9 ? (uint64_t)(seconds * 1e9) : 0; /* 0: none */
}

/* What can be set again. Returns how long the watchdog is to wait. */
static uint64_t set(neap__limits *l, const neap_limits *limits) {
  l->soft = limits->memory;
  l->trigger = l->soft != 0 ? l->soft : SIZE_MAX;
  l->deadline = limits->deadline;
  l->slice = nanoseconds(limits->slice);
  return l->slice != 0 ? l->slice : DEFAULT_SLICE;
}

int neap__limits_open(neap_vm *vm, const neap_config *config, lua_Alloc alloc,
                      void *alloc_ud) {
  const neap_limits *limits = &config->limits;
  neap__limits *l;
  int timed = limits->deadline > 0 || limits->slice > 0, status = NEAP_OK;
  if (limits->memory == 0 && limits->memory_hard == 0 && !timed)
    return NEAP_OK;
  l = (neap__limits *)neap__alloc(vm, NULL, 0, sizeof *l);
  if (l == NULL)
    return NEAP_ENOMEM;
  memset(l, 0, sizeof *l);
  l->vm = vm;
  l->alloc = alloc;
  l->alloc_ud = alloc_ud;
  l->watch.slice = set(l, limits);
  l->hard = limits->memory_hard;
  if (l->hard == 0 && l->soft <= SIZE_MAX / HARD)
    l->hard = HARD * l->soft;
  l->timed = (uint8_t)timed;
  l->watch.thread = uv_thread_self();
  l->watch.signal = config->signal != 0 ? config->signal : SIGURG;
  if (timed && config->signal >= 0) {
    status = neap__watchdog_add(&l->watch);
    l->watched = status == NEAP_OK;
  }
  else if (timed)
    vm->count_hook = COUNTED;
  vm->limits = l;
  vm->plain = NULL;
  return status;
}

void neap__limits_close(neap_vm *vm) {
  neap__limits *l = vm->limits;
  if (l == NULL)
    return;
  if (l->watched)
    neap__watchdog_remove(&l->watch);
  (void)neap__alloc(vm, l, sizeof *l, 0);
  vm->limits = NULL;
}

int neap__limits_set(neap_vm *vm, const neap_limits *limits) {
  int timed = limits->deadline > 0 || limits->slice > 0;
  neap__limits *l = vm->limits;
  uint64_t slice;
  if (!neap__limits_valid(limits) ||
      (limits->memory != 0 && (l == NULL || limits->memory > l->hard)) ||
      (timed && (l == NULL || !l->timed)) ||
      (limits->output != 0 && !vm->output_counts))
    return NEAP_EINVAL;
  if (l != NULL) {
    slice = set(l, limits);
    if (l->watched)
      neap__watchdog_set(&l->watch, slice);
  }
  vm->task_limit = limits->tasks;
  vm->output_limit = limits->output;
  vm->output_count = 0;
  return NEAP_OK;
}

void neap__limits_stats(const neap_vm *vm, neap_statistics *stats) {
  const neap__limits *l = vm->limits;
  if (l != NULL) {
    stats->memory_peak = l->hard != 0 ? l->peak : 0;
    stats->run_time = l->run_time;
    stats->preemptions = l->preemptions;
  }
}

/* ====================================================== } */
