/*
** tls.c - the C half of the module tls: its functions, for tls.lua.
*/
#include <stdlib.h>

#include "tls.h"

MODULE_API int luaopen_tls_c(lua_State *L);

enum { STREAMS = 1, SHARED }; /* upvalues of all functions */

const stream_api *tls__streams(lua_State *L) {
  return (const stream_api *)lua_touserdata(L, lua_upvalueindex(STREAMS));
}

tls_shared *tls__shared(lua_State *L) {
  return *(tls_shared **)lua_touserdata(L, lua_upvalueindex(SHARED));
}

void tls__shared_release(tls_shared *shared) {
  if (--shared->users > 0)
    return;
  BIO_meth_free(shared->method);
  BIO_free(shared->text);
  X509_STORE_free(shared->system);
  free(shared->spare);
  free(shared);
}

static int shared_gc(lua_State *L) {
  tls_shared **box = (tls_shared **)lua_touserdata(L, 1);
  if (*box != NULL)
    tls__shared_release(*box);
  *box = NULL;
  return 0;
}

/* Pushes the userdata that is one of its users. */
static void shared_new(lua_State *L) {
  tls_shared *shared,
      **box = (tls_shared **)lua_newuserdatauv(L, sizeof *box, 0);
  *box = NULL;
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, shared_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  shared = *box = (tls_shared *)calloc(1, sizeof *shared);
  if (shared == NULL)
    luaL_error(L, "not enough memory");
  shared->users = 1;
  shared->method = tls__bio_method();
  shared->text = BIO_new(BIO_s_mem());
  if (shared->method == NULL || shared->text == NULL)
    luaL_error(L, "not enough memory");
}

/* After `require "stream"`. */
int luaopen_tls_c(lua_State *L) {
  const stream_api *streams = stream_api_get(L);
  const luaL_Reg *const files[] = {tls__context_functions,
                                   tls__failure_functions,
                                   tls__handshake_functions,
                                   tls__info_functions};
  size_t i;
  lua_settop(L, 0);
  tls__context_init(L);
  shared_new(L);
  lua_newtable(L);
  for (i = 0; i < sizeof files / sizeof *files; i++) {
    lua_pushlightuserdata(L, (void *)streams);
    lua_pushvalue(L, 1);
    luaL_setfuncs(L, files[i], 2);
  }
  lua_pushinteger(L, TLS1_2_VERSION);
  lua_setfield(L, -2, "TLS1_2");
  lua_pushinteger(L, TLS1_3_VERSION);
  lua_setfield(L, -2, "TLS1_3");
  return 1;
}
