/*
** modules.h - where `require` finds Neap's own modules.
*/
#ifndef NEAP_MODULES_H
#define NEAP_MODULES_H

#include <lua.h>

/* Appends a searcher for the folders in `path` (may be NULL: none) to
   package.searchers. May raise "not enough memory". */
void neap__modules_open(lua_State *L, const char *path);

/* For a sandbox: leaves the searchers that the capabilities allow, and makes
   the global `package`, which has `path` and `loadlib` if they are granted;
   the true one only `require` has. Before a script runs. */
void neap__modules_restrict(lua_State *L, unsigned granted);

#endif
