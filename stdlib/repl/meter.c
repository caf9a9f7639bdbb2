/*
** meter.c - neap.repl.meter: how much memory Lua asks for, for `.time`.
**
** While a meter runs it stands before Lua's allocator. It ends with its
** scope, or, before its own memory goes, with its finalizer.
*/
#include <stdint.h>

#include "../module/module.h"

MODULE_API int luaopen_repl_meter(lua_State *L);

typedef struct repl__meter {
  lua_Alloc alloc; /* the allocator behind it; NULL: it does not run */
  void *alloc_ud;
  uint64_t count; /* blocks that were asked for, */
  uint64_t bytes; /* and what they and larger ones take */
} repl__meter;

static void *counting_alloc(void *ud, void *block, size_t old, size_t size) {
  repl__meter *meter = (repl__meter *)ud;
  void *result = meter->alloc(meter->alloc_ud, block, old, size);
  size_t before = block != NULL ? old : 0; /* else `old` is a type */
  if (result != NULL && size > before) {
    meter->count += block == NULL;
    meter->bytes += size - before;
  }
  return result;
}

/* Lua: meter:stop() -> how many blocks Lua has asked for, and their bytes;
   also __close and __gc */
static int meter_stop(lua_State *L) {
  repl__meter *meter =
      (repl__meter *)module_object(L, 1, lua_upvalueindex(1));
  if (meter == NULL)
    return module_refuse(L, "stop: a meter expected");
  if (meter->alloc != NULL)
    lua_setallocf(L, meter->alloc, meter->alloc_ud);
  meter->alloc = NULL;
  lua_pushinteger(L, (lua_Integer)meter->count);
  lua_pushinteger(L, (lua_Integer)meter->bytes);
  return 2;
}

/* Lua: start() -> a meter; one runs at a time */
static int start(lua_State *L) {
  repl__meter *meter;
  void *ud;
  if (lua_getallocf(L, &ud) == counting_alloc)
    return module_refuse(L, "meter: one runs already");
  meter = (repl__meter *)lua_newuserdatauv(L, sizeof *meter, 0);
  meter->count = meter->bytes = 0;
  meter->alloc = NULL; /* until it can be found again */
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_setmetatable(L, -2);
  meter->alloc = lua_getallocf(L, &meter->alloc_ud);
  lua_setallocf(L, counting_alloc, meter);
  return 1;
}

int luaopen_repl_meter(lua_State *L) {
  static const luaL_Reg metamethods[] = {
      {"__close", meter_stop}, {"__gc", meter_stop}, {NULL, NULL}};
  static const luaL_Reg methods[] = {{"stop", meter_stop}, {NULL, NULL}};
  module_class(L, "Meter", metamethods, methods);
  lua_pushcclosure(L, start, 1);
  return 1;
}
