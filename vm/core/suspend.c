/*
** suspend.c - C functions that suspend the task which calls them (neap.h).
**
** A neap_wait is the caller's; while its `task` is set, that task stands
** nowhere but, with a limit of time, in the timer heap, and the task's
** `wait` points back. It ends in one of three ways:
**    neap_wake        `task` is unset, the task's job becomes ready
**    its time passes  the heap has made the job ready; `task` is still set
**    cancellation     both are unset, `cancel` is called, the job is ready
** In the first two the task keeps `wait` until its job runs: if it is
** cancelled meanwhile, or the run ends, `cancel` is called in place of the
** continuation.
*/
#include "vm.h"

/* Longer than this (some 30 years) is for ever, and needs no timer. */
#define FOR_EVER 1e9

/* What the task waits for in C, and waits for no longer; or NULL. */
static neap_wait *leave(neap__task *task) {
  neap_wait *wait = task->in_c ? task->wait : NULL;
  task->in_c = 0;
  task->waiting_on = NULL; /* stands where `wait` stood */
  return wait;
}

static void call_off(neap_wait *wait) {
  wait->task = NULL;
  wait->pending = 0;
  if (wait->cancel != NULL)
    wait->cancel(wait);
}

/* The loop runs the task on. */
static int resumed(lua_State *L, int status, lua_KContext ctx) {
  neap__task *task = neap__vm(L)->current;
  neap_wait *wait = leave(task);
  (void)ctx;
  if (task->must_cancel || task->interrupted) {
    if (wait != NULL)
      call_off(wait);
    return neap__raise_cancelled(L, task);
  }
  status = wait->task != NULL ? NEAP_ETIMEDOUT : NEAP_OK;
  wait->task = NULL;
  wait->pending = 0;
  return wait->k(L, status, wait->ctx);
}

NEAP_API int neap_suspend(lua_State *L, neap_wait *wait, double seconds,
                          lua_KContext ctx, lua_KFunction k) {
  neap_vm *vm = neap__vm(L);
  neap__task *task = vm->current;
  if (wait->pending)
    return neap__usage(L, 1, "another task waits for the same thing");
  if (!neap__can_suspend(vm, L)) {
    call_off(wait);
    neap__cannot_suspend(vm, L, 1);
  }
  wait->k = k;
  wait->ctx = ctx;
  wait->timed = seconds < FOR_EVER;
  if (task->must_cancel) { /* cancelled itself before: strikes here */
    neap__task_interrupt(vm, task);
    call_off(wait);
  }
  else {
    if (wait->timed && neap__timer_start(vm, &task->timer,
                                         neap__deadline(seconds)) != 0) {
      call_off(wait);
      return luaL_error(L, "not enough memory");
    }
    wait->vm = vm;
    wait->pending = 1;
    wait->task = task;
    task->wait = wait;
    task->in_c = 1;
  }
  vm->suspending = 1;
  return lua_yieldk(L, 0, 0, resumed);
}

NEAP_API int neap_wake(neap_wait *wait) {
  neap__task *task = (neap__task *)wait->task;
  int ready;
  if (task == NULL)
    return 0;
  ready = neap__wait_is_over(task);
  wait->task = NULL;
  if (ready) /* its time has passed just now */
    return 1;
  if (wait->timed)
    neap__timer_stop(wait->vm, &task->timer);
  neap__queue_push(&wait->vm->ready, &task->timer.job);
  neap__loop_kick(wait->vm);
  return 1;
}

int neap__wait_cancel(neap_vm *vm, neap__task *task) {
  neap_wait *wait = task->wait;
  if (neap__wait_is_over(task))
    return 0;
  if (wait->timed)
    neap__timer_stop(vm, &task->timer);
  call_off(leave(task));
  return 1;
}

void neap__wait_abandon(neap_vm *vm, neap__task *task) {
  if (!neap__wait_cancel(vm, task))
    call_off(leave(task));
}
