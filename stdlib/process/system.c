/*
** system.c - this process: its environment, its folder, signals to others.
*/
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "process.h"

MODULE_API int luaopen_process_c(lua_State *L);

extern char **environ;

/* {======================================================
** Environment
** ======================================================= */

static const char *check_name(lua_State *L, int arg, const char *function) {
  const char *name = module_path(L, arg, function, "the variable");
  if (*name == '\0' || strchr(name, '=') != NULL)
    module_refuse(L, "%s: a variable cannot be called '%s'", function, name);
  return name;
}

/* Lua: getenv(name) -> value, or nil */
static int process_getenv(lua_State *L) {
  const char *name = check_name(L, 1, "process.getenv");
  module_check(L, NEAP_CAN_ENV, "process.getenv");
  lua_pushstring(L, getenv(name));
  return 1;
}

/* Lua: setenv(name, value, or nil: it goes) */
static int process_setenv(lua_State *L) {
  const char *name = check_name(L, 1, "process.setenv");
  int status;
  module_check(L, NEAP_CAN_ENV, "process.setenv");
  if (lua_type(L, 2) == LUA_TNUMBER) /* as in the option `env` */
    (void)lua_tostring(L, 2);
  if (lua_isnoneornil(L, 2))
    status = uv_os_unsetenv(name);
  else
    status =
        uv_os_setenv(name, module_path(L, 2, "process.setenv", "its value"));
  return status == 0 ? 0
                     : module_os_error(L, status, "setenv", NULL, NULL);
}

/* Lua: environ() -> table of all */
static int process_environ(lua_State *L) {
  char **each = environ;
  module_check(L, NEAP_CAN_ENV, "process.environ");
  lua_newtable(L);
  while (each != NULL && *each != NULL)
    each++;
  while (each != environ) { /* of two with one name, getenv takes the first */
    const char *sign = strchr(*--each, '=');
    if (sign == NULL || sign == *each) /* nothing that a program could read */
      continue;
    lua_pushlstring(L, *each, (size_t)(sign - *each));
    lua_pushstring(L, sign + 1);
    lua_rawset(L, -3);
  }
  return 1;
}

/* ====================================================== } */

/* Lua: cwd() */
static int process_cwd(lua_State *L) {
  char path[PATH_MAX];
  size_t size = sizeof path;
  int status = uv_cwd(path, &size);
  module_check(L, NEAP_CAN_PROCESS, "process.cwd");
  if (status != 0)
    return module_os_error(L, status, "getcwd", NULL, NULL);
  lua_pushlstring(L, path, size);
  return 1;
}

/* Lua: chdir(path) */
static int process_chdir(lua_State *L) {
  const char *path = module_path(L, 1, "process.chdir", "the folder");
  int status;
  module_check(L, NEAP_CAN_PROCESS, "process.chdir");
  status = uv_chdir(path);
  return status == 0 ? 0
                     : module_os_error(L, status, "chdir", "path", path);
}

/* Lua: kill(pid, signal); 0 for the signal looks whether there is such a
   process */
static int process_kill(lua_State *L) {
  int pid = (int)module_integer(L, 1, "process.kill", "the process",
                                INT_MIN + 1, INT_MAX);
  int probes = lua_isinteger(L, 2) && lua_tointeger(L, 2) == 0, status;
  int signal = probes ? 0 : module_signal(L, 2, "process.kill");
  module_check(L, NEAP_CAN_PROCESS, "process.kill");
  status = uv_kill(pid, signal);
  return status == 0 ? 0 : module_os_error(L, status, "kill", NULL, NULL);
}

int luaopen_process_c(lua_State *L) {
  static const luaL_Reg functions[] = {{"chdir", process_chdir},
                                       {"cwd", process_cwd},
                                       {"environ", process_environ},
                                       {"getenv", process_getenv},
                                       {"kill", process_kill},
                                       {"setenv", process_setenv},
                                       {"standard", process__standard},
                                       {NULL, NULL}};
  process__child_init(L);
  luaL_newlib(L, functions);
  luaL_setfuncs(L, process__child_functions, 0);
  lua_pushinteger(L, getpid());
  lua_setfield(L, -2, "pid");
  return 1;
}
