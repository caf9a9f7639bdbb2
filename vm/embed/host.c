/*
** host.c - how C comes into the VM, and leaves it.
*/
#include "embed.h"

int neap__own_pcall(neap_vm *vm, lua_State *L, int nargs, int nresults) {
  int armed = neap__interrupt_is_armed(L), status;
  if (armed)
    neap__interrupt_clear(L);
  status = lua_pcall(L, nargs, nresults, 0);
  if (armed)
    neap__interrupt_arm(vm, L, 1);
  return status;
}

int neap__protect(neap_vm *vm, lua_CFunction f, void *args) {
  lua_State *L = vm->running;
  int status;
  if (!lua_checkstack(L, LUA_MINSTACK))
    return neap__fail(vm, NEAP_ENOMEM, NULL, NULL);
  lua_pushcfunction(L, f);
  lua_pushlightuserdata(L, args);
  status = neap__own_pcall(vm, L, 1, 0);
  return status == LUA_OK ? NEAP_OK : neap__fail_lua(vm, L, status);
}

int neap__call_check(neap_vm *vm, double deadline) {
  int status = neap__check(vm);
  if (status != NEAP_OK)
    return status;
  if (vm->killed != 0)
    return neap__fail(vm, vm->killed, NULL, NULL);
  if (!(deadline >= 0)) /* nor NaN */
    return neap__fail(vm, NEAP_EINVAL, "a deadline is not negative", NULL);
  return neap__attach(vm); /* it may create tasks */
}

int neap__room_make(neap_vm *vm, lua_State *L, int nargs, int nresults) {
  if (nargs < 0 || nresults < 0)
    return neap__fail(vm, NEAP_EINVAL, "less than no values", NULL);
  if (nargs > INT_MAX - NEAP__CALL_ROOM - nresults ||
      !lua_checkstack(L, nargs + nresults + NEAP__CALL_ROOM))
    return neap__fail(vm, NEAP_ENOMEM, NULL, NULL);
  return NEAP_OK;
}

/* Before each poll of the host's loop. */
static void turns(uv_prepare_t *prepare) {
  neap_vm *vm = ((neap__pollers *)prepare->data)->vm;
  if (vm->L == NULL) /* else a script's `run` polls the loop */
    neap__host_turn(vm);
}

int neap__host_attach(neap_vm *vm) {
  uv_loop_t *loop;
  int status = neap_loop(vm, &loop);
  if (status != NEAP_OK)
    return neap__fail(vm, status, NULL, NULL);
  (void)uv_prepare_start(&vm->pollers->turns, turns); /* cannot fail */
  return NEAP_OK;
}
