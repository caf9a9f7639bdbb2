/*
** clock.h - what the files of the module `time` share.
*/
#ifndef CLOCK_H
#define CLOCK_H

#include <time.h>

#include <lua.h>

/* Reads a clock; raises what the system says when it has none, and an error
   when the capability has been taken away. */
struct timespec time__clock(lua_State *L, clockid_t id);

/* Lua: time.iso, time.parse (iso.c) */
int time__iso(lua_State *L);
int time__parse(lua_State *L);

#endif
