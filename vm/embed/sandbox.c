/*
** sandbox.c - capabilities: what a script can reach of Lua's libraries, and
** how that is taken away again.
**
** In a sandbox (a VM with less than NEAP_CAN_ALL) only the libraries are
** opened of which something is granted; their tables keep what the lists below
** name, and lose all else. A function that takes a capability stands behind a
** gate: a C closure that looks whether the VM still has it. So neap_drop is
** one assignment, and what a script has kept fails from then on.
**
** The functions behind gates have no upvalues of their own: the gate calls
** them in its own frame, so that their messages and continuations are what
** they are without it.
*/
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lualib.h>

#include "embed.h"
#include "modules.h"
#include "sandbox.h"

#define LONGEST_SOURCE (1 << 20) /* bytes that `load` takes, in all pieces */
#define PIECE 4096               /* of them, between two checkpoints */
#define LONGEST_FORMAT 1000      /* bytes of os.date's */

/* {======================================================
** Gates
** ======================================================= */

NEAP_API int neap_can(neap_vm *vm, unsigned capabilities) {
  return (vm->capabilities & capabilities) == capabilities;
}

const char *neap__capability_name(unsigned capability) {
  static const char *const names[] = {"fs",     "net",   "process", "env",
                                      "native", "debug", "load"};
  size_t i = 0;
  while (capability >>= 1)
    i++;
  return names[i];
}

static void check(lua_State *L, unsigned capability) {
  if (!neap_can(neap__vm(L), capability))
    luaL_error(L, "the capability %s was taken away",
               neap__capability_name(capability));
}

/* Upvalues of a gate, and of all that stands in a function's place. */
enum { CAPABILITY = 1, ORIGINAL }; /* 0: it takes none */

/* The function behind the gate that runs; raises when that is shut. */
static lua_CFunction original(lua_State *L) {
  check(L, (unsigned)lua_tointeger(L, lua_upvalueindex(CAPABILITY)));
  return lua_tocfunction(L, lua_upvalueindex(ORIGINAL));
}

static int gate(lua_State *L) { return original(L)(L); }

/* Puts f in the place of the C function at the top. */
static void replace(lua_State *L, lua_CFunction f, unsigned capability) {
  lua_pushinteger(L, capability);
  lua_insert(L, -2);
  lua_pushcclosure(L, f, ORIGINAL);
}

void neap__gate(lua_State *L, unsigned capability) {
  replace(L, gate, capability);
}

NEAP_API int neap_drop(neap_vm *vm, unsigned capabilities) {
  int status = neap__check(vm);
  if (status != NEAP_OK)
    return status;
  if ((capabilities & ~(unsigned)NEAP_CAN_ALL) != 0)
    return neap__fail(vm, NEAP_EINVAL, "unknown capabilities", NULL);
  if (vm->capabilities == NEAP_CAN_ALL)
    return neap__fail(vm, NEAP_EINVAL, "the VM is no sandbox", NULL);
  vm->capabilities &= ~capabilities;
  return NEAP_OK;
}

/* ====================================================== } */

/* {======================================================
** Replaced functions: metatables, garbage, dates
** ======================================================= */

/* Lua: setmetatable(table, metatable). A finalizer runs with hooks off, so
   that no limit of time could end it. */
static int set_metatable(lua_State *L) {
  if (lua_type(L, 2) == LUA_TTABLE) {
    lua_pushliteral(L, "__gc");
    if (lua_rawget(L, 2) != LUA_TNIL)
      return luaL_error(L, "__gc is not available in a sandbox");
    lua_pop(L, 1);
  }
  return original(L)(L);
}

/* Lua: collectgarbage([option]). A step has no size: one less than 0 would
   stop the collector for as long as one likes. */
static int collect_garbage(lua_State *L) {
  const char *option = luaL_optstring(L, 1, "collect");
  if (strcmp(option, "collect") != 0 && strcmp(option, "count") != 0 &&
      strcmp(option, "step") != 0)
    return luaL_error(L, "collectgarbage: '%s' is not available in a sandbox "
                         "(there are 'collect', 'count' and 'step')", option);
  lua_settop(L, 1);
  return original(L)(L);
}

/* Lua: os.date([format [, time]]). Each two bytes of a format take long. */
static int date(lua_State *L) {
  if (lua_type(L, 1) == LUA_TSTRING)
    luaL_argcheck(L, lua_rawlen(L, 1) <= LONGEST_FORMAT, 1, "it is too long");
  return original(L)(L);
}

/* ====================================================== } */

/* {======================================================
** Replaced functions: code, which is text
** ======================================================= */

/* Puts the mode "t" into the stack slot, whatever stands there. */
static void force_text(lua_State *L, int index) {
  if (lua_gettop(L) < index)
    lua_settop(L, index); /* not beyond: no environment is not nil */
  lua_pushliteral(L, "t");
  lua_replace(L, index);
}

enum { SOURCE = 1, TAKEN }; /* upvalues of read_source */

/* Lua: the next piece of what `load` reads: a string, or of a function. */
static int read_source(lua_State *L) {
  size_t taken = (size_t)lua_tointeger(L, lua_upvalueindex(TAKEN)), len;
  neap__checkpoint(L);
  if (lua_type(L, lua_upvalueindex(SOURCE)) == LUA_TFUNCTION) {
    lua_pushvalue(L, lua_upvalueindex(SOURCE));
    lua_call(L, 0, 1);
    if (lua_tolstring(L, -1, &len) == NULL)
      return 1; /* the end, or an error */
    taken += len;
    len = taken;
  }
  else {
    const char *text = lua_tolstring(L, lua_upvalueindex(SOURCE), &len);
    size_t n = len - taken < PIECE ? len - taken : PIECE;
    lua_pushlstring(L, text + taken, n);
    taken += n;
  }
  if (len > LONGEST_SOURCE)
    return luaL_error(L, "load: more than %d bytes of source", LONGEST_SOURCE);
  lua_pushinteger(L, (lua_Integer)taken);
  lua_replace(L, lua_upvalueindex(TAKEN));
  return 1;
}

/* Lua: load(chunk [, name [, mode [, env]]]) */
static int load(lua_State *L) {
  lua_CFunction f = original(L);
  force_text(L, 3);
  if (!lua_isstring(L, 1))
    luaL_checktype(L, 1, LUA_TFUNCTION);
  else if (lua_isnil(L, 2)) { /* a string is its own name */
    lua_pushvalue(L, 1);
    lua_replace(L, 2);
  }
  lua_pushvalue(L, 1);
  lua_pushinteger(L, 0);
  lua_pushcclosure(L, read_source, TAKEN);
  lua_replace(L, 1);
  return f(L);
}

/* Lua: loadfile([name [, mode [, env]]]) */
static int load_file(lua_State *L) {
  lua_CFunction f = original(L);
  force_text(L, 2);
  return f(L);
}

static int file_done(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  return lua_gettop(L) - 1;
}

/* Lua: dofile([name]); not the original, which takes binary chunks. */
static int do_file(lua_State *L) {
  const char *name = luaL_optstring(L, 1, NULL);
  (void)original(L);
  lua_settop(L, 1);
  if (luaL_loadfilex(L, name, "t") != LUA_OK)
    return lua_error(L);
  lua_callk(L, 0, LUA_MULTRET, 0, file_done);
  return file_done(L, LUA_OK, 0);
}

/* ====================================================== } */

/* {======================================================
** Replaced functions: files, which are kept open
** ======================================================= */

/* Lua: closes the file of a pipe, and tells how its program ended. */
static int close_pipe(lua_State *L) {
  luaL_Stream *p = (luaL_Stream *)luaL_checkudata(L, 1, LUA_FILEHANDLE);
  errno = 0;
  return luaL_execresult(L, pclose(p->f));
}

/* The capability by which the value at `index` was opened; 0: it is closed,
   or no file. A pipe is known by its close function, which is ours. */
static unsigned capability_of(lua_State *L, int index) {
  const luaL_Stream *p =
      (luaL_Stream *)luaL_testudata(L, index, LUA_FILEHANDLE);
  if (p == NULL || p->closef == NULL)
    return 0;
  return p->closef == close_pipe ? NEAP_CAN_PROCESS : NEAP_CAN_FS;
}

/* Lua: io.popen(program [, mode]) */
static int open_pipe(lua_State *L) {
  int n = original(L)(L);
  luaL_Stream *p = (luaL_Stream *)luaL_testudata(L, -n, LUA_FILEHANDLE);
  if (p != NULL)
    p->closef = close_pipe;
  return n;
}

/* Lua: io.input([file]), io.output([file]). What io.read and its like use
   is no pipe: they look at their own capability alone. */
static int set_default(lua_State *L) {
  luaL_argcheck(L, capability_of(L, 1) != NEAP_CAN_PROCESS, 1,
                "a pipe is used by its methods in a sandbox");
  return original(L)(L);
}

/* Lua: a method of files but close */
static int method(lua_State *L) {
  check(L, capability_of(L, 1));
  return original(L)(L);
}

/* Lua: what `lines` gives, which has upvalues and reads by itself. */
static int next_line(lua_State *L) {
  check(L, (unsigned)lua_tointeger(L, lua_upvalueindex(CAPABILITY)));
  lua_pushvalue(L, lua_upvalueindex(ORIGINAL));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

/* Lua: io.lines([name, ...]), file:lines(...) */
static int lines(lua_State *L) {
  lua_CFunction f = original(L);
  int n, iterator;
  check(L, capability_of(L, 1));
  n = f(L);
  iterator = lua_gettop(L) - n + 1;
  (void)lua_getupvalue(L, iterator, 1); /* the file */
  lua_pushvalue(L, iterator);
  replace(L, next_line, capability_of(L, -2));
  lua_replace(L, iterator);
  lua_pop(L, 1);
  return n;
}

/* ====================================================== } */

/* {======================================================
** What there is
** ======================================================= */

typedef struct entry {
  const char *name;
  unsigned needs;  /* one of these capabilities; 0: none */
  lua_CFunction f; /* stands in its place; NULL: it stays, or gets a gate */
} entry;

#define ALWAYS 0
#define FS NEAP_CAN_FS
#define PROCESS NEAP_CAN_PROCESS
#define ENV NEAP_CAN_ENV
#define DEBUG NEAP_CAN_DEBUG
#define LOAD NEAP_CAN_LOAD

/* Every list is in the order of strcmp. */

/* Globals; and modules, for `require`. */
static const entry globals[] = {
    {"_G", ALWAYS, NULL},
    {"_VERSION", ALWAYS, NULL},
    {"assert", ALWAYS, NULL},
    {"async", ALWAYS, NULL},
    {"asyncio", ALWAYS, NULL},
    {"await", ALWAYS, NULL},
    {"collectgarbage", ALWAYS, collect_garbage},
    {"coroutine", ALWAYS, NULL},
    {"create_task", ALWAYS, NULL},
    {"debug", DEBUG, NULL},
    {"dofile", FS, do_file},
    {"error", ALWAYS, NULL},
    {"gather", ALWAYS, NULL},
    {"getmetatable", ALWAYS, NULL},
    {"io", FS | PROCESS, NULL},
    {"ipairs", ALWAYS, NULL},
    {"load", LOAD, load},
    {"loadfile", FS, load_file},
    {"math", ALWAYS, NULL},
    {"next", ALWAYS, NULL},
    {"os", ALWAYS, NULL},
    {"package", FS | NEAP_CAN_NATIVE, NULL},
    {"pairs", ALWAYS, NULL},
    {"pcall", ALWAYS, NULL},
    {"print", ALWAYS, NULL},
    {"rawequal", ALWAYS, NULL},
    {"rawget", ALWAYS, NULL},
    {"rawlen", ALWAYS, NULL},
    {"rawset", ALWAYS, NULL},
    {"require", ALWAYS, NULL},
    {"run", ALWAYS, NULL},
    {"select", ALWAYS, NULL},
    {"setmetatable", ALWAYS, set_metatable},
    {"sleep", ALWAYS, NULL},
    {"string", ALWAYS, NULL},
    {"table", ALWAYS, NULL},
    {"tonumber", ALWAYS, NULL},
    {"tostring", ALWAYS, NULL},
    {"type", ALWAYS, NULL},
    {"utf8", ALWAYS, NULL},
    {"warn", ALWAYS, NULL},
    {"xpcall", ALWAYS, NULL}};

static const entry os_functions[] = {
    {"clock", ALWAYS, NULL},      {"date", ALWAYS, date},
    {"difftime", ALWAYS, NULL},   {"execute", PROCESS, NULL},
    {"exit", PROCESS, NULL},      {"getenv", ENV, NULL},
    {"remove", FS, NULL},         {"rename", FS, NULL},
    {"setlocale", PROCESS, NULL}, {"time", ALWAYS, NULL},
    {"tmpname", FS, NULL}};

static const entry io_functions[] = {
    {"close", FS, NULL},           {"flush", FS, NULL},
    {"input", FS, set_default},    {"lines", FS, lines},
    {"open", FS, NULL},            {"output", FS, set_default},
    {"popen", PROCESS, open_pipe}, {"read", FS, NULL},
    {"stderr", FS, NULL},          {"stdin", FS, NULL},
    {"stdout", FS, NULL},          {"tmpfile", FS, NULL},
    {"type", FS, NULL},            {"write", FS, NULL}};

/* Of files; they can be closed at any time. */
static const entry methods[] = {
    {"close", ALWAYS, NULL},     {"flush", ALWAYS, method},
    {"lines", ALWAYS, lines},    {"read", ALWAYS, method},
    {"seek", ALWAYS, method},    {"setvbuf", ALWAYS, method},
    {"write", ALWAYS, method}};

static const entry debug_functions[] = {
    {"debug", DEBUG, NULL},          {"gethook", DEBUG, NULL},
    {"getinfo", DEBUG, NULL},        {"getlocal", DEBUG, NULL},
    {"getmetatable", DEBUG, NULL},   {"getregistry", DEBUG, NULL},
    {"getupvalue", DEBUG, NULL},     {"getuservalue", DEBUG, NULL},
    {"setcstacklimit", DEBUG, NULL}, {"sethook", DEBUG, NULL},
    {"setlocal", DEBUG, NULL},       {"setmetatable", DEBUG, NULL},
    {"setupvalue", DEBUG, NULL},     {"setuservalue", DEBUG, NULL},
    {"traceback", DEBUG, NULL},      {"upvalueid", DEBUG, NULL},
    {"upvaluejoin", DEBUG, NULL}};

static int compare(const void *name, const void *e) {
  return strcmp((const char *)name, ((const entry *)e)->name);
}

/* Takes from the table at the top, which is popped, what is not granted. */
static void restrict_table(lua_State *L, const entry *list, size_t count,
                           unsigned granted) {
  for (lua_pushnil(L); lua_next(L, -2);) {
    const entry *e = NULL;
    if (lua_type(L, -2) == LUA_TSTRING)
      e = (const entry *)bsearch(lua_tostring(L, -2), list, count, sizeof *e,
                                 compare);
    if (e == NULL || (e->needs != ALWAYS && !(e->needs & granted))) {
      lua_pop(L, 1);
      lua_pushnil(L);
    }
    else if (e->f != NULL)
      replace(L, e->f, e->needs);
    else if (e->needs != ALWAYS && lua_iscfunction(L, -1))
      neap__gate(L, e->needs);
    else {
      lua_pop(L, 1);
      continue; /* it stays */
    }
    lua_pushvalue(L, -2);
    lua_insert(L, -2); /* table, key, key, value */
    lua_rawset(L, -4);
  }
  lua_pop(L, 1);
}
#define RESTRICT(list)                                                         \
  restrict_table(L, list, sizeof list / sizeof *list, capabilities)

/* Hides the metatable at the top, which is popped, from scripts. */
static void hide(lua_State *L) {
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
}

void neap__libraries_open(lua_State *L, unsigned capabilities) {
  static const struct {
    const char *name;
    lua_CFunction open;
    unsigned needs;
  } libraries[] = {{LUA_GNAME, luaopen_base, ALWAYS},
                   {LUA_LOADLIBNAME, luaopen_package, ALWAYS},
                   {LUA_COLIBNAME, luaopen_coroutine, ALWAYS},
                   {LUA_TABLIBNAME, luaopen_table, ALWAYS},
                   {LUA_IOLIBNAME, luaopen_io, FS | PROCESS},
                   {LUA_OSLIBNAME, luaopen_os, ALWAYS},
                   {LUA_STRLIBNAME, luaopen_string, ALWAYS},
                   {LUA_MATHLIBNAME, luaopen_math, ALWAYS},
                   {LUA_UTF8LIBNAME, luaopen_utf8, ALWAYS},
                   {LUA_DBLIBNAME, luaopen_debug, DEBUG}};
  size_t i;
  for (i = 0; i < sizeof libraries / sizeof *libraries; i++) {
    if (libraries[i].needs != ALWAYS && !(libraries[i].needs & capabilities))
      continue;
    luaL_requiref(L, libraries[i].name, libraries[i].open, 1);
    lua_pop(L, 1);
  }
}

void neap__sandbox_open(lua_State *L, unsigned capabilities) {
  if (capabilities == NEAP_CAN_ALL)
    return;
  neap__modules_restrict(L, capabilities);
  lua_getglobal(L, LUA_OSLIBNAME);
  RESTRICT(os_functions);
  if (capabilities & DEBUG) {
    lua_getglobal(L, LUA_DBLIBNAME);
    RESTRICT(debug_functions);
  }
  if (capabilities & (FS | PROCESS)) {
    lua_getglobal(L, LUA_IOLIBNAME);
    RESTRICT(io_functions);
    luaL_getmetatable(L, LUA_FILEHANDLE);
    lua_getfield(L, -1, "__index");
    RESTRICT(methods);
    hide(L);
  }
  lua_pushliteral(L, "");
  lua_getmetatable(L, -1);
  hide(L);
  lua_pop(L, 1);
  lua_pushglobaltable(L);
  RESTRICT(globals);
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  RESTRICT(globals);
  neap__bounded_string_open(L);
  neap__bounded_table_open(L);
}

/* ====================================================== } */
