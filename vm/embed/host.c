/*
** host.c - how C comes into the VM, and leaves it.
*/
#include "embed.h"

int neap__protect(neap_vm *vm, lua_CFunction f, void *args) {
  lua_State *L = vm->running;
  int status;
  if (!lua_checkstack(L, LUA_MINSTACK))
    return neap__fail(vm, NEAP_ENOMEM, NULL, NULL);
  lua_pushcfunction(L, f);
  lua_pushlightuserdata(L, args);
  status = lua_pcall(L, 1, 0, 0);
  if (status == LUA_OK)
    return NEAP_OK;
  lua_pop(L, 1);
  return neap__fail(vm, NEAP_ENOMEM, NULL, NULL);
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
