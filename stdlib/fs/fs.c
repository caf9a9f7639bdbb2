/*
** fs.c - the C half of the module: what its functions have in common.
*/
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs.h"

MODULE_API int luaopen_fs_c(lua_State *L);

static const char overrun_key = 0; /* makes that error; in the registry */

/* {======================================================
** Work on a path
** ======================================================= */

static void dispose(module_work *work) {
  fs__op *op = (fs__op *)work;
  if (op->fd >= 0)
    (void)close(op->fd); /* what had to be told was told before */
  free(op->data);
  free(op->made);
}

void *fs__op_new(lua_State *L, size_t size, const char *function, int path,
                 int other) {
  const char *first, *second = NULL;
  size_t len, other_len = 0;
  fs__op *op;
  module_check(L, NEAP_CAN_FS, function);
  first = module_path(L, path, function, "path");
  len = strlen(first) + 1;
  if (other != 0) {
    second = module_path(L, other, function, "path");
    other_len = strlen(second) + 1;
  }
  op = (fs__op *)module_work_new(L, size + len + other_len);
  op->path = (char *)memcpy((char *)op + size, first, len);
  if (second != NULL)
    op->other = (char *)memcpy((char *)op + size + len, second, other_len);
  op->fd = -1;
  op->work.dispose = dispose;
  op->work.what = "a file";
  return op;
}

int fs__op_run(lua_State *L, fs__op *op, fs__run run, fs__done done) {
  op->work.run = run;
  op->work.done = done;
  return module_work_run(L, &op->work);
}

int fs__failed(fs__op *op, const char *syscall, const char *where) {
  if (op->work.events == 0) {
    op->status = uv_translate_sys_error(errno);
    op->syscall = syscall;
    op->where = where;
  }
  return -1;
}

void fs__raise_failed(lua_State *L, const fs__op *op) {
  if (op->status == 0)
    return;
  module_os_error_push(L, op->status, op->syscall, "path", op->where);
  if (op->other != NULL) {
    lua_pushstring(L, op->other);
    lua_setfield(L, -2, "dest");
  }
  lua_error(L);
}

int fs__nothing(lua_State *L, module_work *work) {
  fs__raise_failed(L, (fs__op *)work);
  return 0;
}

/* ====================================================== } */

mode_t fs__permissions(lua_State *L, int arg, const char *function,
                       mode_t otherwise) {
  const char *text;
  char *end;
  unsigned long mode;
  if (lua_isnoneornil(L, arg))
    return otherwise;
  if (lua_type(L, arg) == LUA_TNUMBER)
    return (mode_t)module_integer(L, arg, function, "permissions", 0, 07777);
  text = module_path(L, arg, function, "permissions");
  mode = strtoul(text, &end, 8);
  if (*text < '0' || *text > '7' || *end != '\0' || mode > 07777)
    module_refuse(L, "%s: '%s' as permissions; octal digits expected, \"644\"",
                  function, text);
  return (mode_t)mode;
}

int fs__raise_overrun(lua_State *L, const char *what, size_t limit) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &overrun_key);
  lua_pushfstring(L, "%s is longer than the limit, %I bytes", what,
                  (LUAI_UACINT)limit);
  lua_createtable(L, 0, 1);
  lua_pushinteger(L, (lua_Integer)limit);
  lua_setfield(L, -2, "limit");
  lua_call(L, 2, 1);
  return lua_error(L);
}

/* Lua: on_overrun(function(message, fields) -> the error above) */
static int on_overrun(lua_State *L) {
  lua_settop(L, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &overrun_key);
  return 0;
}

/* Pushes the folder where the process is. */
static void push_cwd(lua_State *L) {
  char path[4096];
  size_t size = sizeof path;
  int status = uv_cwd(path, &size);
  if (status != 0)
    (void)module_os_error(L, status, "getcwd", NULL, NULL);
  lua_pushlstring(L, path, size);
}

/* Lua: place(function, options) -> the folder for something temporary, and how
   its name begins */
static int place(lua_State *L) {
  static const char *const known[] = {"dir", "prefix", NULL};
  enum { FUNCTION = 1, OPTIONS, DIR, PREFIX };
  const char *function = lua_tostring(L, FUNCTION);
  const char *path;
  module_options(L, OPTIONS, function, known);
  if (lua_isnil(L, DIR)) {
    path = getenv("TMPDIR");
    lua_pushstring(L, path != NULL && *path != '\0' ? path : "/tmp");
    lua_replace(L, DIR);
  }
  path = module_path(L, DIR, function, "dir");
  if (*path != '/') { /* it is to be removed from whatever folder */
    push_cwd(L);
    lua_pushfstring(L, "%s/%s", lua_tostring(L, -1), path);
    lua_replace(L, DIR);
    lua_settop(L, PREFIX);
  }
  if (lua_isnil(L, PREFIX)) {
    lua_pushliteral(L, "neap-");
    lua_replace(L, PREFIX);
  }
  if (strchr(module_path(L, PREFIX, function, "prefix"), '/') != NULL)
    return module_refuse(L, "%s: a '/' in prefix", function);
  return 2;
}

/* Lua: walk_options(path, options) -> depth, follow */
static int walk_options(lua_State *L) {
  static const char function[] = "fs.walk";
  static const char *const known[] = {"depth", "follow", NULL};
  (void)module_path(L, 1, function, "path");
  module_options(L, 2, function, known);
  if (lua_isnil(L, 3)) {
    lua_pushnumber(L, HUGE_VAL);
    lua_replace(L, 3);
  }
  if (lua_type(L, 3) != LUA_TNUMBER || lua_tonumber(L, 3) != HUGE_VAL)
    (void)module_integer(L, 3, function, "depth", 1, LUA_MAXINTEGER);
  lua_pushvalue(L, 3);
  lua_pushboolean(L, module_boolean(L, 4, function, "follow"));
  return 2;
}

/* Lua: -> functions: those that wait; file: the class File, file_waiting: its
   methods that wait; watcher, watcher_next, watch */
int luaopen_fs_c(lua_State *L) {
  lua_newtable(L);
  lua_newtable(L);
  luaL_setfuncs(L, fs__stat_functions, 0);
  luaL_setfuncs(L, fs__whole_functions, 0);
  luaL_setfuncs(L, fs__copy_functions, 0);
  luaL_setfuncs(L, fs__entry_functions, 0);
  luaL_setfuncs(L, fs__tree_functions, 0);
  fs__file_class(L);
  lua_pushvalue(L, -1);
  lua_setfield(L, -4, "file");
  lua_pushvalue(L, -1);
  lua_insert(L, -3);
  luaL_setfuncs(L, fs__file_functions, 1);
  lua_setfield(L, -3, "functions");
  lua_newtable(L);
  lua_insert(L, -2);
  luaL_setfuncs(L, fs__file_waiting, 1);
  lua_setfield(L, -2, "file_waiting");
  fs__watcher_class(L);
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, "watcher");
  lua_pushvalue(L, -1);
  lua_pushcclosure(L, fs__watch, 1);
  lua_setfield(L, -3, "watch");
  lua_pushcclosure(L, fs__watcher_next, 1);
  lua_setfield(L, -2, "watcher_next");
  lua_pushcfunction(L, on_overrun);
  lua_setfield(L, -2, "on_overrun");
  lua_pushcfunction(L, place);
  lua_setfield(L, -2, "place");
  lua_pushcfunction(L, walk_options);
  lua_setfield(L, -2, "walk_options");
  return 1;
}
