/*
** host.c - how C comes into the VM, and leaves it.
*/
#include "embed.h"

int neap__check(neap_vm *vm) {
  uv_thread_t self = uv_thread_self();
  if (!uv_thread_equal(&vm->thread, &self))
    return NEAP_ETHREAD; /* not remembered: that would be a race */
  return vm->closing ? NEAP_ECLOSED : NEAP_OK;
}

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

int neap__attach(neap_vm *vm) {
  uv_loop_t *loop;
  int status;
  if (!vm->loop_of_host)
    return NEAP_OK;
  status = neap_loop(vm, &loop);
  if (status != NEAP_OK)
    return neap__fail(vm, status, NULL, NULL);
  neap__loop_attach(vm);
  return NEAP_OK;
}

void neap__enter(neap_vm *vm) {
  if (vm->L == NULL) {
    vm->L = vm->main;
    vm->hosted = 1;
  }
  if (vm->hosted)
    vm->entered++;
}

void neap__leave(neap_vm *vm) {
  if (!vm->hosted || --vm->entered > 0)
    return;
  vm->L = NULL;
  vm->hosted = 0;
  neap__interrupt_clear(vm->main);
  neap__loop_kick(vm);
}
