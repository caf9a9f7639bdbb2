/*
** bindings.h - what the files of vm/lua share.
*/
#ifndef NEAP_BINDINGS_H
#define NEAP_BINDINGS_H

#include "../core/vm.h"

/* The Lua files of this folder, embedded at build. */
extern const char neap__lua_bounded[];
extern const size_t neap__lua_bounded_size;

/* asyncio.c: opens everything in a state with the standard libraries;
   uses the VM of the state. May raise. */
void neap__open(lua_State *L);

/* Pushes a table of those functions of the core that only the library's
   half of asyncio may call (stdlib/asyncio/asyncio.lua). May raise. */
void neap__library_functions(lua_State *L);

#endif
