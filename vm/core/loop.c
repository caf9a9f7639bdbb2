/*
** loop.c - the event loop: turns, and polls between them.
**
** A turn runs the jobs that were ready at its start, first in first out;
** what they make ready waits for the next one. Between turns the loop
** moves due timers to the ready queue and polls libuv: always when
** something in libuv is active, else once in NEAP__SHARED_TURNS, since a
** poll is a system call. It sleeps only when nothing is ready.
**
** A loop that its host runs is never polled here, unless a script calls
** `run`: the VM's turns are a callback of that loop, before each of its
** polls (embed/host.c).
*/
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "vm.h"

#define NEAP__SHARED_TURNS 64
#define HANDLES 5 /* in neap__pollers */

_Thread_local char neap__here;

/* It may ring just before the poll, which then is not to wait. */
static void alarm_rings(uv_timer_t *timer) { uv_stop(timer->loop); }
/* A signal has come, or mail: the next turn sees to it. */
static void wakeup_comes(uv_async_t *async) {
  neap__loop_kick(((neap__pollers *)async->data)->vm);
}

/* Libuv runs its timers, and then polls: a timer's callback may have made a
   task ready. */
static void before_poll(uv_prepare_t *prepare) {
  const neap__pollers *p = (neap__pollers *)prepare->data;
  if (neap__is_ready(p->vm))
    uv_stop(prepare->loop); /* this poll does not wait, and is the last */
}

static void poller_closed(uv_handle_t *handle) {
  neap__pollers *p = (neap__pollers *)handle->data;
  neap_vm *vm = p->vm;
  void (*closed)(neap_vm *vm) = p->closed;
  if (--p->open > 0)
    return;
  (void)neap__alloc(vm, p, sizeof *p, 0);
  vm->pollers = NULL;
  closed(vm);
}

static int pollers_open(neap_vm *vm) {
  neap__pollers *p = (neap__pollers *)neap__alloc(vm, NULL, 0, sizeof *p);
  int status;
  if (p == NULL)
    return UV_ENOMEM;
  status = uv_async_init(vm->loop, &p->wakeup, wakeup_comes);
  if (status != 0) {
    (void)neap__alloc(vm, p, sizeof *p, 0);
    return status;
  }
  (void)uv_timer_init(vm->loop, &p->alarm); /* cannot fail */
  (void)uv_prepare_init(vm->loop, &p->prepare); /* nor these, nor their start */
  (void)uv_prepare_init(vm->loop, &p->turns);
  (void)uv_idle_init(vm->loop, &p->busy);
  uv_unref((uv_handle_t *)&p->wakeup); /* alone, they are nothing to wait for */
  uv_unref((uv_handle_t *)&p->prepare);
  uv_unref((uv_handle_t *)&p->turns);
  p->alarm.data = p->wakeup.data = p->prepare.data = p->turns.data = p;
  p->busy.data = p;
  p->vm = vm;
  p->open = HANDLES;
  vm->pollers = p;
  return 0;
}

/* The first loop of a process has libuv make a pipe, when it has one descriptor
   already; without two more it would abort. */
static int can_open_pipe(void) {
  int fds[2], own;
  if (pipe(fds) != 0)
    return 0;
  own = dup(fds[0]);
  (void)close(fds[0]);
  (void)close(fds[1]);
  if (own >= 0)
    (void)close(own);
  return own >= 0;
}

int neap__loop_open(neap_vm *vm) {
  if (vm->pollers != NULL)
    return 0;
  if (vm->loop == NULL) {
    int status = can_open_pipe() ? uv_loop_init(&vm->own_loop) : UV_EMFILE;
    if (status != 0)
      return status;
    vm->loop = &vm->own_loop;
  }
  return pollers_open(vm); /* after an error the loop stays for a next try */
}

NEAP_API int neap_loop(neap_vm *vm, uv_loop_t **loop) {
  int status;
  *loop = NULL;
  if (!neap__is_here(vm))
    return NEAP_ETHREAD;
  if (vm->closing) /* a finalizer; what it makes would have none any more */
    return NEAP_ECLOSED;
  status = neap__loop_open(vm);
  *loop = status == 0 ? vm->loop : NULL;
  if (status == UV_ENOMEM)
    return NEAP_ENOMEM;
  return status == 0 ? NEAP_OK : NEAP_ELOOP;
}

void neap__loop_close(neap_vm *vm, void (*closed)(neap_vm *vm)) {
  neap__pollers *p = vm->pollers;
  p->closed = closed;
  uv_close((uv_handle_t *)&p->wakeup, poller_closed);
  uv_close((uv_handle_t *)&p->alarm, poller_closed);
  uv_close((uv_handle_t *)&p->prepare, poller_closed);
  uv_close((uv_handle_t *)&p->turns, poller_closed);
  uv_close((uv_handle_t *)&p->busy, poller_closed);
}

/* Takes what other threads have sent, and runs what is ready now, until so
   late, if that is not 0. */
static inline void turn(neap_vm *vm, uint64_t until) {
  neap__job *job = neap__mail(vm);
  if (job != NULL)
    job->run(vm, job);
  if (vm->ready.last == NULL)
    return;
  if (vm->limits != NULL) {
    uint64_t most = neap__limits_begin(vm);
    if (most != 0 && (until == 0 || most < until))
      until = most;
  }
  neap__ready_run(vm, until);
  if (vm->fresh != NULL)
    neap__coroutine_settle_fresh(vm);
  if (vm->limits != NULL)
    neap__limits_end(vm);
}

void neap__loop_turn(neap_vm *vm, uint64_t until) {
  if (vm->dump_requested)
    neap__dump_requested(vm, vm->L);
  if (vm->timers.count > 0)
    neap__timers_expire(vm, uv_hrtime());
  turn(vm, until);
}

/* {======================================================
** Waiting
** ======================================================= */

int neap__loop_timeout(const neap_vm *vm) {
  uint64_t now, ms, deadline = neap__timers_next(vm);
  if (deadline == UINT64_MAX)
    return -1;
  now = uv_hrtime();
  if (deadline <= now)
    return 0;
  ms = (deadline - now + 999999) / 1000000; /* never wakes too early */
  return ms < INT_MAX ? (int)ms : INT_MAX;
}

/* Sleeps until libuv has something or the first timer is due. */
static void wait(neap_vm *vm) {
  int ms = neap__loop_timeout(vm);
  if (ms >= 0) {
    uv_update_time(vm->loop);
    (void)uv_timer_start(&vm->pollers->alarm, alarm_rings, (uint64_t)ms,
                         0); /* cannot fail */
  }
  (void)uv_prepare_start(&vm->pollers->prepare, before_poll); /* nor this */
  uv_run(vm->loop, UV_RUN_ONCE);
  (void)uv_prepare_stop(&vm->pollers->prepare); /* a host's runs are its own */
  (void)uv_timer_stop(&vm->pollers->alarm);
  vm->unpolled = 0;
}

int neap__loop_run(neap_vm *vm) {
  vm->stopping = 0;
  while (!vm->stopping) {
    if (vm->interrupts != vm->interrupts_seen) {
      neap__interrupt_check(vm);
      continue;
    }
    if (vm->dump_requested)
      neap__dump_requested(vm, vm->L);
    if (!neap__is_ready(vm)) {
      if (vm->timers.count == 0 && !uv_loop_alive(vm->loop))
        return 0;
      wait(vm);
    }
    else if (uv_loop_alive(vm->loop) ||
             ++vm->unpolled >= NEAP__SHARED_TURNS) {
      uv_run(vm->loop, UV_RUN_NOWAIT);
      vm->unpolled = 0;
    }
    if (vm->timers.count > 0)
      neap__timers_expire(vm, uv_hrtime());
    turn(vm, 0);
  }
  return 1;
}

/* ====================================================== } */

/* {======================================================
** On a loop that the host runs
** ======================================================= */

static void is_busy(uv_idle_t *busy) { (void)busy; }

/* A loop that is run once at a time is over when it has run its timers: now
   there is something left for the next time. */
static void alarm_wakes(uv_timer_t *timer) {
  (void)uv_idle_start(&((neap__pollers *)timer->data)->busy, is_busy);
}

/* Starting and stopping these handles cannot fail. */
void neap__loop_kick(neap_vm *vm) {
  neap__pollers *p = vm->pollers;
  int ms;
  if (vm->L != NULL || p == NULL || !uv_is_active((uv_handle_t *)&p->turns))
    return;
  if (neap__is_ready(vm))
    (void)uv_idle_start(&p->busy, is_busy);
  else
    (void)uv_idle_stop(&p->busy);
  ms = neap__loop_timeout(vm);
  if (ms >= 0) {
    uv_update_time(vm->loop);
    (void)uv_timer_start(&p->alarm, alarm_wakes, (uint64_t)ms, 0);
  }
  else
    (void)uv_timer_stop(&p->alarm);
}

/* ====================================================== } */

/* {======================================================
** Libuv's threads
** ======================================================= */

#define POOL_USUALLY 4 /* as libuv has it */
#define POOL_AT_MOST 1024

static void stay(void *end) { uv_sem_wait((uv_sem_t *)end); }

/* Libuv starts all of them when it needs the first, and aborts the process if
   it cannot: they are tried before. */
NEAP_API int neap_threads(void) {
  static atomic_int there;
  const char *size = getenv("UV_THREADPOOL_SIZE");
  int count = size != NULL ? atoi(size) : POOL_USUALLY, made = 0, i, status;
  uv_thread_t threads[POOL_AT_MOST];
  uv_sem_t end;
  if (atomic_load(&there))
    return 0;
  if (count == 0)
    count = 1;
  else if (count < 0 || count > POOL_AT_MOST)
    count = POOL_AT_MOST;
  status = uv_sem_init(&end, 0);
  if (status != 0)
    return status;
  while (status == 0 && made < count) {
    status = uv_thread_create(&threads[made], stay, &end);
    made += status == 0;
  }
  for (i = 0; i < made; i++)
    uv_sem_post(&end);
  while (made > 0)
    (void)uv_thread_join(&threads[--made]); /* it ends, and was not joined */
  uv_sem_destroy(&end);
  atomic_store(&there, status == 0);
  return status;
}

/* ====================================================== } */

/* {======================================================
** Debug mode: slow steps
** ======================================================= */

/* Lua: object, seconds */
static int report_slow(lua_State *L) {
  double limit, took = lua_tonumber(L, 2);
  char text[64];
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (lua_getfield(L, -1, "asyncio") != LUA_TTABLE)
    return 0;
  lua_pushliteral(L, "slow_callback_duration");
  lua_rawget(L, -2); /* runs no script */
  limit = luaL_optnumber(L, -1, 0.1);
  if (took < limit)
    return 0;
  luaL_tolstring(L, 1, NULL);
  snprintf(text, sizeof text, "%.3f", took);
  if (neap__future_at(L, 1) != NULL)
    neap__awaiter_push(L, 1);
  else
    lua_pushliteral(L, "");
  lua_pushfstring(L, "Executing %s took %s seconds%s", lua_tostring(L, -2),
                  text, lua_tostring(L, -1));
  neap__report(L);
  return 0;
}

void neap__step_end(neap_vm *vm, uint64_t begin) {
  lua_State *L = vm->L;
  double took = (double)(uv_hrtime() - begin) / 1e9;
  lua_pushcfunction(L, report_slow);
  lua_insert(L, -2);
  lua_pushnumber(L, took);
  if (lua_pcall(L, 2, 0, 0) != LUA_OK)
    (void)neap__error_drop(L); /* no memory for the report? */
}

/* ====================================================== } */
