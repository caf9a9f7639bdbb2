/*
** output.c - print: to the host's output handler, or to stdout; counted
** against the limit of output.
*/
#include <stdio.h>

#include "embed.h"

static void write_text(neap_vm *vm, const char *text, size_t len) {
  if (vm->output != NULL)
    vm->output(vm->output_ud, text, len);
  else { /* as Lua's own: what cannot be written is lost */
    fwrite(text, 1, len, stdout);
    fflush(stdout);
  }
}

/* Lua: print(...). All of it is written at once, or nothing. */
static int print(lua_State *L) {
  neap_vm *vm = neap__vm(L);
  int i, n = lua_gettop(L);
  luaL_Buffer b;
  const char *text;
  size_t len;
  luaL_buffinit(L, &b);
  for (i = 1; i <= n; i++) {
    if (i > 1)
      luaL_addchar(&b, '\t');
    luaL_tolstring(L, i, NULL);
    luaL_addvalue(&b);
  }
  luaL_addchar(&b, '\n');
  luaL_pushresult(&b);
  text = lua_tolstring(L, -1, &len);
  if (!neap__output_count(vm, len))
    return luaL_error(L, "print: the limit of output (%I bytes) was reached",
                      (LUAI_UACINT)vm->output_limit);
  write_text(vm, text, len);
  return 0;
}

void neap__output_open(lua_State *L) {
  neap_vm *vm = neap__vm(L);
  if (vm->output == NULL && vm->output_limit == 0 &&
      vm->capabilities == NEAP_CAN_ALL)
    return; /* Lua's own */
  vm->output_counts = 1;
  lua_pushcfunction(L, print);
  lua_setglobal(L, "print");
}
