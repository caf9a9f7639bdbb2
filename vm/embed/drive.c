/*
** drive.c - who runs the loop: neap_run, neap_tick, and the turns on a loop
** of the host's.
*/
#include "embed.h"

/* Calls a function that runs jobs: an error there, out of memory, leaves the
   other jobs where they are. */
static int run_protected(neap_vm *vm, lua_CFunction f, void *args) {
  lua_State *L = vm->running;
  int status;
  if (!lua_checkstack(L, LUA_MINSTACK))
    return neap__fail(vm, NEAP_ENOMEM, NULL, NULL);
  vm->driven = 1;
  vm->interrupts_seen = vm->interrupts;
  neap__scope_reset(vm);
  neap__enter(vm);
  lua_pushcfunction(L, f);
  lua_pushlightuserdata(L, args);
  status = lua_pcall(L, 1, 0, 0);
  if (status != LUA_OK) {
    status = neap__fail_lua(vm, L, status);
    neap__limits_unwind(vm);
  }
  neap__leave(vm);
  return status;
}

/* A script has asked for the end of the program, in a step or a callback: the
   error that it raised is that of neap_run. */
static int check_keyboard(neap_vm *vm) {
  lua_State *L = vm->running;
  if (!vm->keyboard)
    return NEAP_OK;
  vm->keyboard = 0;
  neap__keyboard_take(L);
  return neap__fail_lua(vm, L, LUA_ERRRUN); /* NEAP_EINTR */
}

/* Whether the host may run the VM's own loop now, which is opened. */
static int check_driving(neap_vm *vm) {
  uv_loop_t *loop;
  int status = neap__check(vm);
  if (status != NEAP_OK)
    return status;
  if (neap__has_hosts_loop(vm))
    return neap__fail(vm, NEAP_EINVAL, "the loop is the host's, who runs it",
                      NULL);
  if (vm->L != NULL)
    return neap__fail(vm, NEAP_EBUSY, NULL, NULL);
  status = neap_loop(vm, &loop);
  return status == NEAP_OK ? NEAP_OK : neap__fail(vm, status, NULL, NULL);
}

/* {======================================================
** neap_run
** ======================================================= */

/* Lua: where to store whether something can go on */
static int run(lua_State *L) {
  *(int *)lua_touserdata(L, 1) = neap__loop_run(neap__vm(L));
  return 0;
}

NEAP_API int neap_run(neap_vm *vm) {
  int stopped = 0, status = check_driving(vm);
  if (status != NEAP_OK)
    return status;
  status = run_protected(vm, run, &stopped);
  if (status == NEAP_OK)
    status = check_keyboard(vm);
  if (status != NEAP_OK)
    return status;
  if (vm->host_interrupted)
    return neap__fail(vm, NEAP_EINTR, NULL, NULL);
  if (!stopped && vm->tasks != NULL)
    return neap__fail(vm, NEAP_EDEADLK, NULL, NULL);
  return NEAP_OK;
}

NEAP_API int neap_stop(neap_vm *vm) {
  int status = neap__check(vm);
  if (status == NEAP_OK)
    vm->stopping = 1;
  return status;
}

/* ====================================================== } */

/* {======================================================
** neap_tick
** ======================================================= */

#define HOUR ((uint64_t)3600 * 1000000) /* in microseconds: no more, at once */

/* Polls without waiting; also when nothing keeps the loop alive, for what
   other threads have left. */
static void poll(neap_vm *vm) {
  uv_handle_t *wakeup = (uv_handle_t *)&vm->pollers->wakeup;
  uv_ref(wakeup);
  uv_run(vm->loop, UV_RUN_NOWAIT);
  if (vm->native_calls == 0)
    uv_unref(wakeup);
}

/* Lua: until when, a uint64_t; 0: one turn */
static int tick(lua_State *L) {
  uint64_t until = *(uint64_t *)lua_touserdata(L, 1);
  neap_vm *vm = neap__vm(L);
  do {
    poll(vm);
    neap__loop_turn(vm, until);
  } while (neap__is_ready(vm) && uv_hrtime() < until);
  return 0;
}

NEAP_API int neap_tick(neap_vm *vm, uint64_t budget_us) {
  uint64_t until = 0;
  int status = check_driving(vm);
  if (budget_us > 0)
    until = uv_hrtime() + (budget_us < HOUR ? budget_us : HOUR) * 1000;
  if (status != NEAP_OK)
    return status;
  status = run_protected(vm, tick, &until);
  if (status != NEAP_OK)
    return status;
  (void)check_keyboard(vm); /* neap_error tells of it */
  return neap__is_ready(vm) || atomic_load(&vm->works_over) > 0;
}

NEAP_API int neap_backend_fd(neap_vm *vm) {
  int status = check_driving(vm);
  if (status == NEAP_EBUSY && vm->loop != NULL) /* it is open */
    return uv_backend_fd(vm->loop);
  if (status != NEAP_OK)
    return status;
  poll(vm); /* now the kernel knows the handle by which others wake us up */
  return uv_backend_fd(vm->loop);
}

NEAP_API int neap_backend_timeout(neap_vm *vm) {
  int ms, ours;
  if (neap__check(vm) != NEAP_OK)
    return -1;
  if (neap__is_ready(vm))
    return 0;
  ours = neap__loop_timeout(vm);
  if (vm->loop == NULL || !uv_loop_alive(vm->loop))
    return ours;
  uv_update_time(vm->loop);
  ms = uv_backend_timeout(vm->loop);
  if (ms < 0)
    return ours;
  return ours >= 0 && ours < ms ? ours : ms;
}

NEAP_API int neap_alive(neap_vm *vm) {
  if (neap__check(vm) != NEAP_OK)
    return 0;
  return neap__is_ready(vm) || vm->timers.count > 0 ||
         vm->native_calls > 0 ||
         (neap__has_own_loop(vm) && uv_loop_alive(vm->loop));
}

/* ====================================================== } */

/* {======================================================
** Turns that nobody asked for
** ======================================================= */

/* Lua: one turn */
static int host_turn(lua_State *L) {
  neap__loop_turn(neap__vm(L), 0);
  return 0;
}

void neap__host_turn(neap_vm *vm) {
  static const char text[] = "a turn of the loop: not enough memory";
  if (run_protected(vm, host_turn, NULL) != NEAP_OK)
    neap__report_text(vm, text, sizeof text - 1);
}

void neap__ready_finish(neap_vm *vm) {
  while (vm->ready.last != NULL) /* each turn has one job fewer, at least */
    neap__host_turn(vm);
}

/* ====================================================== } */
