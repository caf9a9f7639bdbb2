/*
** interrupt.c - Ctrl-C: from the signal handler to Lua.
**
** The handler counts, wakes up the loop's poll, and puts a hook on the
** Lua threads that may be running. In a run the loop cancels the main
** task; the hook stops a step that goes on spinning after that, and any
** step at the second interrupt. Outside a run the hook raises an error.
*/
#include "vm.h"

#define GRACE 100000000u /* ns that a step may go on after Ctrl-C */
#define CHECK_EVERY 1000 /* instructions (and calls, which may be slow) */

static void hook(lua_State *L, lua_Debug *ar) {
  neap_vm *vm = neap__vm(L);
  (void)ar;
  lua_sethook(L, NULL, 0, 0);
  if (vm->interrupts == vm->interrupts_seen)
    return; /* it has been dealt with */
  if (vm->L == NULL) { /* synchronous code */
    vm->interrupts_seen = vm->interrupts;
    luaL_error(L, "interrupted!");
    return;
  }
  if (vm->interrupts == 1) {
    uint64_t now = uv_hrtime();
    if (vm->interrupt_time == 0)
      vm->interrupt_time = now;
    if (now - vm->interrupt_time < GRACE) {
      lua_sethook(L, hook, LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT,
                  CHECK_EVERY);
      return;
    }
  }
  vm->interrupts_seen = vm->interrupts; /* this is what comes of it */
  lua_pushnil(L);
  neap__error_new(L, "KeyboardInterrupt");
  neap__throw(L);
}

void neap__keyboard(lua_State *L) {
  neap_vm *vm = neap__vm(L);
  neap__ref_set(L, NEAP__KEYBOARD);
  vm->keyboard = 1;
  vm->stopping = 1;
}

void neap__interrupt_clear(lua_State *L) {
  if (lua_gethook(L) == hook)
    lua_sethook(L, NULL, 0, 0);
}

static void set_hook(lua_State *L) {
  const int mask = LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT;
  if (L != NULL)
    lua_sethook(L, hook, mask, 1);
}

NEAP_API int neap_interrupt(neap_vm *vm) {
  neap__task *task = vm->current;
  vm->interrupt_time = 0;
  vm->interrupts = vm->interrupts + 1;
  if (vm->L != NULL)
    (void)uv_async_send(&vm->pollers->wakeup); /* async-signal-safe */
  set_hook(vm->running);
  if (task != NULL && task->thread != vm->running)
    set_hook(task->thread);
  return vm->L != NULL;
}

void neap__interrupt_check(neap_vm *vm) {
  neap__task *task = vm->main_task;
  int first = vm->interrupts_seen == 0;
  vm->interrupts_seen = vm->interrupts;
  if (!first || task == NULL || task->future.state != NEAP__PENDING) {
    vm->interrupts = 2; /* nothing (more) to cancel: end at once */
    vm->stopping = 1;
    return;
  }
  vm->main_interrupted = 1;
  neap__task_cancel(vm->L, task);
}
