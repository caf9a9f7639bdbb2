/*
** script.c - runs LUA_INIT, the options with code, and the script.
*/
#include "script.h"

#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <lualib.h>

#define INIT_NAME "LUA_INIT"
#define INIT_NAME_VERSIONED INIT_NAME LUA_VERSUFFIX

static int run_string(neap__runner *runner, lua_State *L, const char *code,
                      const char *chunkname) {
  int status = luaL_loadbuffer(L, code, strlen(code), chunkname);
  return neap__chunk_run(runner, L, status);
}

void neap__script_setarg(lua_State *L, const neap__options *options) {
  /* without a script the program's own name takes its place */
  int base = options->script < options->argc ? options->script : 0;
  lua_createtable(L, options->argc - base, base + 1);
  for (int i = 0; i < options->argc; i++) {
    lua_pushstring(L, options->argv[i]);
    lua_rawseti(L, -2, i - base);
  }
  lua_setglobal(L, "arg");
}

int neap__script_init(neap__runner *runner, lua_State *L) {
  const char *chunkname = "=" INIT_NAME_VERSIONED;
  const char *code = getenv(INIT_NAME_VERSIONED);
  if (code == NULL) { /* the name without a version counts less */
    chunkname = "=" INIT_NAME;
    code = getenv(INIT_NAME);
  }
  if (code == NULL)
    return LUA_OK;
  if (code[0] == '@')
    return neap__chunk_run(runner, L, luaL_loadfile(L, code + 1));
  return run_string(runner, L, code, chunkname);
}

/* Does -l: `what` is "module" or "global=module". */
static int require_library(neap__runner *runner, lua_State *L,
                           const char *what) {
  const char *separator = strchr(what, '=');
  const char *module = separator != NULL ? separator + 1 : what;
  size_t length = separator != NULL ? (size_t)(separator - what) : strlen(what);
  int status;
  lua_getglobal(L, "require");
  lua_pushstring(L, module);
  status = neap__chunk_call(runner, L, 1, 1);
  if (status == LUA_OK) {
    lua_pushglobaltable(L);
    lua_pushlstring(L, what, length);
    lua_rotate(L, -3, -1); /* the module comes last */
    lua_settable(L, -3);
    lua_pop(L, 1); /* global table */
  }
  return neap__chunk_report(runner, L, status);
}

int neap__script_options(neap__runner *runner, lua_State *L,
                         const neap__options *options) {
  int at = 1;
  int status = LUA_OK;
  while (status == LUA_OK && at < options->script) {
    const char *argument = NULL;
    switch (neap__option_next(options->argv, &at, &argument)) {
    case 'e':
      status = run_string(runner, L, argument, "=(command line)");
      break;
    case 'l':
      status = require_library(runner, L, argument);
      break;
    case 'W':
      lua_warning(L, "@on", 0);
      break;
    default: /* the others were looked at before; END moves over "--" */
      break;
    }
  }
  return status;
}

/*
** Pushes the elements of the table `arg`: code that ran before the script
** may have changed it, even into something else.
*/
static int push_arguments(lua_State *L) {
  int count;
  int table;
  if (lua_getglobal(L, "arg") != LUA_TTABLE)
    return luaL_error(L, "'arg' is not a table");
  table = lua_gettop(L);
  count = (int)luaL_len(L, table);
  luaL_checkstack(L, count + 3, "too many arguments to script");
  for (int i = 1; i <= count; i++)
    lua_rawgeti(L, table, i);
  lua_remove(L, table);
  return count;
}

int neap__script_named(neap__runner *runner, lua_State *L,
                       const neap__options *options) {
  char **argv = options->argv;
  int script = options->script;
  const char *name = argv[script];
  int status;
  if (strcmp(name, "-") == 0 && strcmp(argv[script - 1], "--") != 0)
    name = NULL; /* standard input; behind "--" a file of that name */
  status = luaL_loadfile(L, name);
  if (status == LUA_OK)
    status = neap__chunk_call(runner, L, push_arguments(L), LUA_MULTRET);
  return neap__chunk_report(runner, L, status);
}

int neap__script_stdin(neap__runner *runner, lua_State *L) {
  return neap__chunk_run(runner, L, luaL_loadfile(L, NULL));
}
