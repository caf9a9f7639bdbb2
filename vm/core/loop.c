/*
** loop.c - the event loop: turns, and polls between them.
**
** A turn runs the jobs that were ready at its start, first in first out;
** what they make ready waits for the next one. Between turns the loop
** moves due timers to the ready queue and polls libuv: always when
** something in libuv is active, else once in NEAP__SHARED_TURNS, since a
** poll is a system call. It sleeps only when nothing is ready.
*/
#include <stdio.h>

#include "vm.h"

#define NEAP__SHARED_TURNS 64

/* It may ring just before the poll, which then is not to wait. */
static void alarm_rings(uv_timer_t *timer) { uv_stop(timer->loop); }
static void wakeup_comes(uv_async_t *async) { (void)async; }

/* Libuv runs its timers, and then polls: a timer's callback may have made a
   task ready. */
static void before_poll(uv_prepare_t *prepare) {
  const neap__pollers *p = (neap__pollers *)prepare->data;
  if (p->vm->ready.last != NULL)
    uv_stop(prepare->loop); /* this poll does not wait, and is the last */
}

static void poller_closed(uv_handle_t *handle) {
  neap__pollers *p = (neap__pollers *)handle->data;
  if (--p->open == 0)
    (void)p->alloc(p->ud, p, sizeof *p, 0);
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
  (void)uv_prepare_init(vm->loop, &p->prepare); /* nor this, nor its start */
  uv_unref((uv_handle_t *)&p->wakeup); /* alone, they are nothing to wait for */
  uv_unref((uv_handle_t *)&p->prepare);
  p->alarm.data = p->wakeup.data = p->prepare.data = p;
  p->vm = vm;
  p->alloc = vm->alloc;
  p->ud = vm->alloc_ud;
  p->open = 3;
  vm->pollers = p;
  return 0;
}

int neap__loop_open(neap_vm *vm) {
  if (vm->pollers != NULL)
    return 0;
  if (vm->loop == NULL) {
    int status = uv_loop_init(&vm->own_loop);
    if (status != 0)
      return status;
    vm->loop = &vm->own_loop;
    vm->owns_loop = 1;
  }
  return pollers_open(vm); /* after an error the loop stays for a next try */
}

NEAP_API int neap_loop(neap_vm *vm, uv_loop_t **loop) {
  int status = neap__loop_open(vm);
  *loop = status == 0 ? vm->loop : NULL;
  if (status == UV_ENOMEM)
    return NEAP_ENOMEM;
  return status == 0 ? NEAP_OK : NEAP_ELOOP;
}

void neap__loop_close(neap_vm *vm) {
  if (vm->pollers != NULL) {
    uv_close((uv_handle_t *)&vm->pollers->wakeup, poller_closed);
    uv_close((uv_handle_t *)&vm->pollers->alarm, poller_closed);
    uv_close((uv_handle_t *)&vm->pollers->prepare, poller_closed);
    vm->pollers = NULL;
  }
  if (vm->owns_loop) {
    uv_run(vm->loop, UV_RUN_NOWAIT); /* completes the closing */
    (void)uv_loop_close(vm->loop);   /* busy: a module left its own handles */
    vm->owns_loop = 0;
  }
  vm->loop = NULL;
}

/* Runs what is ready now. */
static void turn(neap_vm *vm) {
  neap__job *last = vm->ready.last, *job;
  if (last == NULL)
    return;
  do {
    job = neap__queue_pop(&vm->ready);
    job->run(vm, job); /* frees the job, maybe */
  } while (job != last);
  if (vm->fresh != NULL)
    neap__coroutine_settle_fresh(vm, vm->L);
}

/* Sleeps until libuv has something or the first timer is due. */
static void wait(neap_vm *vm) {
  uint64_t deadline = neap__timers_next(vm);
  if (deadline != UINT64_MAX) {
    uint64_t now = uv_hrtime(), ms = 0;
    if (deadline > now)
      ms = (deadline - now + 999999) / 1000000; /* never wakes too early */
    uv_update_time(vm->loop);
    (void)uv_timer_start(&vm->pollers->alarm, alarm_rings, ms, 0); /* cannot fail */
  }
  (void)uv_prepare_start(&vm->pollers->prepare, before_poll); /* nor this */
  uv_run(vm->loop, UV_RUN_ONCE);
  (void)uv_prepare_stop(&vm->pollers->prepare); /* the host's runs are its own */
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
    if (vm->ready.last == NULL) {
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
    turn(vm);
  }
  return 1;
}

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
  lua_getfield(L, -1, "slow_callback_duration");
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
    lua_pop(L, 1); /* no memory for the report */
}

/* ====================================================== } */
