/*
** interrupt.c - Ctrl-C, and the request for a dump: from the signal
** handler to Lua.
**
** The handler counts, wakes up the loop's poll, and puts a hook on the
** Lua threads that may be running. In a run the loop cancels the main
** task; the hook stops a step that goes on before the loop comes to that,
** and any step at the second interrupt. Outside a run the hook raises an
** error. A dump is made by whichever comes first, the loop or the hook. A
** hook of the script's own is put back when ours has done its work.
**
** None is lost while the counts differ. The thread that had the hook may
** have ended, or have come to another: so whatever makes Lua run on a
** thread tells it to vm->running first, and then looks at the counts
** (neap__interrupt_meet). An interrupt that comes before that look is seen
** by it; the handler of a later one finds the thread.
*/
#include "vm.h"

#define GRACE 100000000u /* ns that a step may go on after Ctrl-C */
#define CHECK_EVERY 1000 /* instructions (and calls, which may be slow) */

#define ALL_EVENTS \
  (LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT)

static void hook(lua_State *L, lua_Debug *ar);

/* Async-signal-safe, as are the functions of Lua that it calls. */
static void set_hook(neap_vm *vm, lua_State *L, int mask, int count) {
  lua_Hook old;
  if (L == NULL)
    return;
  vm->plain = NULL;
  old = lua_gethook(L);
  if (old != NULL && old != hook) {
    vm->hook = old;
    vm->hook_mask = lua_gethookmask(L);
    vm->hook_count = lua_gethookcount(L);
    vm->hooked = L;
  }
  lua_sethook(L, hook, mask, count);
}

void neap__interrupt_reset(neap_vm *vm, lua_State *L) {
  if (vm->count_hook != 0)
    lua_sethook(L, hook, LUA_MASKCOUNT, vm->count_hook);
  else
    lua_sethook(L, NULL, 0, 0);
}

void neap__interrupt_clear(lua_State *L) {
  neap_vm *vm = neap__vm(L);
  if (lua_gethook(L) != hook)
    return;
  if (vm->hooked != L)
    neap__interrupt_reset(vm, L);
  else {
    vm->hooked = NULL;
    lua_sethook(L, vm->hook, vm->hook_mask, vm->hook_count);
  }
}

void neap__interrupt_arm(neap_vm *vm, lua_State *L, int count) {
  set_hook(vm, L, count == 1 ? LUA_MASKCALL | LUA_MASKCOUNT : LUA_MASKCOUNT,
           count);
}

void neap__interrupt_arm_return(neap_vm *vm, lua_State *L, int count) {
  set_hook(vm, L, LUA_MASKRET | LUA_MASKCOUNT, count);
}

int neap__interrupt_is_armed(lua_State *L) {
  return lua_gethook(L) == hook && (lua_gethookmask(L) & LUA_MASKCALL);
}

void neap__interrupt_pass(lua_State *from, lua_State *to) {
  if (neap__interrupt_is_armed(from))
    neap__interrupt_arm(neap__vm(to), to, 1);
}

/* Whether no script runs on a task's thread yet, or any longer: only the C
   function at its base does, or one that this calls. An error would end the
   task without a word of its own, or find it ended. */
static int is_at_base(lua_State *L, lua_Debug *ar) {
  lua_Debug beyond;
  return (*neap__extra(L) & NEAP__TASK_THREAD) &&
         !lua_getstack(L, 2, &beyond) && lua_getinfo(L, "S", ar) &&
         *ar->what == 'C';
}

/* The loop ends, and so does its turn: what else is ready may spin as well. */
static void stop_at_once(neap_vm *vm) {
  vm->stopping = 1;
  vm->last_job = NULL;
}

static void hook(lua_State *L, lua_Debug *ar) {
  neap_vm *vm = neap__vm(L);
  neap__interrupt_clear(L);
  if (neap__limits_hook(vm, L, ar->event == LUA_HOOKCOUNT))
    return;
  if (vm->dump_requested)
    neap__dump_requested(vm, L);
  if (vm->interrupts == vm->interrupts_seen)
    return; /* it has been dealt with */
  if (is_at_base(L, ar)) {
    neap__interrupt_arm(vm, L, 1); /* later */
    return;
  }
  if (vm->L == NULL || vm->entered > 0) { /* there is no main task */
    int again = vm->host_interrupted;
    vm->host_interrupted = vm->entered > 0;
    vm->stopping = 1;
    vm->interrupts_seen = vm->interrupts;
    if (!again)
      luaL_error(L, "interrupted!");
  }
  else if (neap__interrupt_count(vm) == 1) {
    uint64_t now = uv_hrtime();
    if (vm->interrupt_time == 0)
      vm->interrupt_time = now;
    if (now - vm->interrupt_time < GRACE) {
      set_hook(vm, L, ALL_EVENTS & ~LUA_MASKLINE, CHECK_EVERY);
      return;
    }
  }
  else /* whoever closes variables for the error, and awaits, is left there */
    stop_at_once(vm);
  vm->interrupts_seen = vm->interrupts; /* this is what comes of it */
  lua_pushnil(L);
  neap__error_new(L, "KeyboardInterrupt");
  neap__throw(L);
}

/* In this order: one that comes after the look keeps its hook. */
void neap__interrupt_leave(neap_vm *vm) {
  int now;
  neap__interrupt_clear(vm->main);
  now = vm->interrupts;
  if (now != vm->interrupts_seen)
    vm->host_interrupted = 1;
  vm->interrupts_seen = now;
}

void neap__keyboard(lua_State *L) {
  neap_vm *vm = neap__vm(L);
  neap__ref_set(L, NEAP__KEYBOARD);
  vm->keyboard = 1;
  stop_at_once(vm);
}

int neap__error_drop(lua_State *L) {
  int is_keyboard = neap__error_flags(L, -1) & NEAP__IS_KEYBOARD;
  if (is_keyboard)
    neap__keyboard(L);
  else
    lua_pop(L, 1);
  return is_keyboard;
}

void neap__keyboard_take(lua_State *L) {
  neap__ref_push(L, NEAP__KEYBOARD);
  lua_pushboolean(L, 0);
  neap__ref_set(L, NEAP__KEYBOARD);
}

NEAP_API int neap_interrupt(neap_vm *vm) {
  neap__task *task = vm->current;
  vm->interrupt_time = 0;
  vm->interrupts = vm->interrupts + 1;
  if (vm->L != NULL && vm->pollers != NULL)
    (void)uv_async_send(&vm->pollers->wakeup); /* async-signal-safe */
  set_hook(vm, vm->running, ALL_EVENTS, 1);
  if (task != NULL && task->thread != vm->running)
    set_hook(vm, task->thread, ALL_EVENTS, 1);
  return vm->L != NULL ? neap__interrupt_count(vm) : 0;
}

NEAP_API int neap_dump(neap_vm *vm) {
  if (vm->L == NULL && (vm->pollers == NULL || vm->tasks == NULL))
    return 0;
  vm->dump_requested = 1;
  if (vm->pollers != NULL)
    (void)uv_async_send(&vm->pollers->wakeup);
  set_hook(vm, vm->running, ALL_EVENTS, 1);
  return 1;
}

void neap__interrupt_check(neap_vm *vm) {
  neap__task *task = vm->main_task;
  vm->interrupts_seen = vm->interrupts;
  if (vm->entered > 0) {
    vm->host_interrupted = 1;
    vm->stopping = 1;
    return;
  }
  if (neap__interrupt_count(vm) > 1 || task == NULL ||
      task->future.state != NEAP__PENDING) {
    vm->interrupts_before = vm->interrupts_seen - 2; /* nothing (more) to
                                                        cancel: end at once */
    vm->stopping = 1;
    return;
  }
  vm->main_interrupted = 1;
  neap__task_cancel(vm->L, task);
}
