/*
** net.c - the C half of the module net: its functions, for net.lua.
*/
#include <stdlib.h>

#include "net.h"

MODULE_API int luaopen_net_c(lua_State *L);

static void closed(uv_handle_t *handle) {
  neap_vm *vm = (neap_vm *)handle->data;
  free(handle);
  neap_loop_release(vm);
}

void net__handle_close(neap_vm *vm, uv_handle_t *handle) {
  neap_loop_retain(vm);
  handle->data = vm;
  uv_close(handle, closed);
}

/* After `require "stream"`. */
int luaopen_net_c(lua_State *L) {
  const stream_api *streams = stream_api_get(L);
  const luaL_Reg *const files[] = {net__address_functions,
                                   net__connect_functions,
                                   net__listen_functions, net__udp_functions};
  size_t i;
  net__listen_init(L);
  net__udp_init(L);
  lua_newtable(L);
  for (i = 0; i < sizeof files / sizeof *files; i++) {
    lua_pushlightuserdata(L, (void *)streams);
    net__lookup_init(L);
    luaL_setfuncs(L, files[i], 2);
  }
  return 1;
}
