/*
** modules.c - where `require` finds Neap's own modules: after everything
** that Lua's own searchers find, so that a program's modules go first.
**
** A module is NAME.lua in one of the folders, or NAME.so (luaopen_NAME). The
** parts of a module that is in several files, neap.NAME.PART, are
** NAME/PART.lua or luaopen_NAME_PART in NAME.so: a program with files
** NAME/PART.lua of its own does not get between them. The searcher says
** nothing when it finds none: the message of a failed require stays Lua's.
**
** The library's half of asyncio is asyncio.lua in one of these folders. It
** is loaded when a script first asks the core's table for a name that the
** core has not: a program that needs none of it pays nothing.
*/
#include "modules.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <lualib.h>

#include "../lua/bindings.h"
#include "sandbox.h"

static const char loadlib_key = 0; /* package.loadlib, in the registry */

/* Pushes "FOLDER/NAME.EXTENSION" if such a file can be read; `len` and
   `name_len` tell how much of the first two counts. */
static const char *find(lua_State *L, const char *folder, size_t len,
                        const char *name, size_t name_len,
                        const char *extension) {
  const char *file;
  FILE *f;
  lua_pushlstring(L, folder, len);
  lua_pushlstring(L, name, name_len);
  file = lua_pushfstring(L, "%s/%s.%s", lua_tostring(L, -2),
                         lua_tostring(L, -1), extension);
  lua_replace(L, -3);
  lua_pop(L, 1);
  f = fopen(file, "r");
  if (f == NULL) {
    if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
      luaL_error(L, "cannot open '%s': %s", file, strerror(errno));
    lua_pop(L, 1);
    return NULL;
  }
  (void)fclose(f); /* opened for reading only: nothing can be lost */
  return file;
}

/* Pushes the loader of a C module: package.loadlib(file, "luaopen_NAME");
   pushes nothing and returns 0 when the file has no such function. */
static int load_c(lua_State *L, const char *file, const char *name) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &loadlib_key);
  lua_pushstring(L, file);
  lua_pushfstring(L, "luaopen_%s", luaL_gsub(L, name, "/", "_"));
  lua_remove(L, -2);
  lua_call(L, 2, 3);
  if (lua_isnil(L, -3)) {
    if (strcmp(luaL_optstring(L, -1, ""), "init") == 0) {
      lua_pop(L, 3);
      return 0;
    }
    luaL_error(L, "error loading module '%s' from file '%s':\n\t%s", name, file,
               lua_tostring(L, -2));
  }
  lua_pop(L, 2);
  return 1;
}

/* A file that is read for lua_load. */
typedef struct neap__reader {
  FILE *f;
  char buffer[BUFSIZ];
} neap__reader;

static const char *read_piece(lua_State *L, void *ud, size_t *size) {
  neap__reader *reader = (neap__reader *)ud;
  (void)L;
  *size = fread(reader->buffer, 1, sizeof reader->buffer, reader->f);
  return *size > 0 ? reader->buffer : NULL;
}

/* As luaL_loadfile, but the chunk is called "[NAME.lua]": so the core knows
   the library's functions (neap__usage). */
static int load_lua(lua_State *L, const char *file, const char *name) {
  neap__reader reader;
  int status, bad;
  lua_pushfstring(L, "=[%s.lua]", name); /* while nothing is open */
  reader.f = fopen(file, "r");
  if (reader.f == NULL) {
    lua_pushfstring(L, "cannot open it: %s", strerror(errno));
    return LUA_ERRFILE;
  }
  status = lua_load(L, read_piece, &reader, lua_tostring(L, -1), "t");
  bad = ferror(reader.f);
  (void)fclose(reader.f); /* opened for reading only: nothing can be lost */
  if (bad && status == LUA_OK) {
    lua_pushliteral(L, "cannot read it");
    return LUA_ERRFILE;
  }
  return status;
}

/* What the module NAME or NAME/PART needs. One that is not known here may
   have C that can do anything: that needs NEAP_CAN_NATIVE. */
static unsigned needs(const char *name, int *known) {
  static const struct {
    const char *name;
    unsigned needs;
  } modules[] = {
      {"module", 0},
      {"json", 0},
      {"fs", NEAP_CAN_FS},
      {"http", NEAP_CAN_NET},
      {"net", NEAP_CAN_NET},
      {"process", NEAP_CAN_PROCESS},
      {"signal", NEAP_CAN_PROCESS},
      {"stream", 0},
      {"path", 0},
      {"tls", NEAP_CAN_NET},
      {"time", NEAP_CAN_PROCESS}};
  size_t i, len = strcspn(name, "/");
  for (i = 0; i < sizeof modules / sizeof *modules; i++) {
    *known = strlen(modules[i].name) == len &&
             memcmp(modules[i].name, name, len) == 0;
    if (*known)
      return modules[i].needs;
  }
  return NEAP_CAN_NATIVE;
}

/* Puts the loader of the module NAME or NAME/PART in the folders of upvalue
   1, and its file, on top of the stack, and gives 2; or 0 when there is
   none; or, with why on top, 1 when the script may not have it. */
static int load(lua_State *L, const char *name) {
  const char *folder = lua_tostring(L, lua_upvalueindex(1)), *file;
  int known;
  unsigned needed = needs(name, &known);
  int granted = neap_can(neap__vm(L), needed);
  if (known && !granted) {
    lua_pushfstring(L, "the capability %s, which it needs, is not granted",
                    neap__capability_name(needed));
    return 1;
  }
  for (;;) {
    size_t len = strcspn(folder, ";");
    if ((file = find(L, folder, len, name, strlen(name), "lua")) != NULL) {
      if (load_lua(L, file, name) != LUA_OK)
        return luaL_error(L, "error loading module '%s' from file '%s':\n\t%s",
                          name, file, lua_tostring(L, -1));
      lua_pushstring(L, file);
      return 2;
    }
    file = find(L, folder, len, name, strcspn(name, "/"), "so");
    if (file != NULL && granted && load_c(L, file, name)) {
      lua_pushstring(L, file);
      return 2;
    }
    if (folder[len] == '\0')
      return 0;
    folder += len + 1;
  }
}

/* Lua: the searcher; upvalue: the folders. NAME, or neap.NAME.PART, without a
   '/': no way leads out of the folders. The parts of asyncio are no modules. */
static int search(lua_State *L) {
  static const char own[] = "neap.", asyncio[] = "asyncio.";
  const char *name = luaL_checkstring(L, 1), *part;
  if (strchr(name, '/') != NULL)
    return 0;
  if (strncmp(name, own, sizeof own - 1) != 0)
    return strchr(name, '.') != NULL ? 0 : load(L, name);
  name += sizeof own - 1;
  part = strchr(name, '.');
  if (part == NULL || part == name || part[1] == '\0' ||
      strchr(part + 1, '.') != NULL ||
      strncmp(name, asyncio, sizeof asyncio - 1) == 0)
    return 0;
  return load(L, luaL_gsub(L, name, ".", "/"));
}

/* Lua: the searcher before Lua's own for modules in C: for modules that open
   the system's module of their name, and make it fit in. */
static int search_adapted(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  return strcmp(name, "luv") == 0 ? load(L, name) : 0;
}

/* Lua: the loader of a part of asyncio; upvalue: the folders */
static int load_part(lua_State *L) {
  const char *name = lua_pushfstring(L, "asyncio/%s", luaL_checkstring(L, 1));
  if (load(L, name) == 0)
    return luaL_error(L, "asyncio: the installation lacks '%s.lua'", name);
  lua_pop(L, 1);
  return 1;
}

/* Lua: runs asyncio.lua for the table asyncio; upvalue: the folders. Gives
   whether there is one. */
static int load_library(lua_State *L) {
  if (load(L, "asyncio") == 0)
    return 0;
  lua_pop(L, 1);
  lua_pushvalue(L, 1);
  neap__library_functions(L);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushcclosure(L, load_part, 1);
  lua_setfield(L, -2, "load_part");
  lua_call(L, 2, 0);
  lua_pushboolean(L, 1);
  return 1;
}

/* Lua: asyncio's first __index(asyncio, name); upvalue: the folders.
   asyncio.lua puts its own in this one's place; until that succeeds, each
   use tries again. */
static int complete(lua_State *L) {
  int status;
  lua_settop(L, 2);
  lua_getmetatable(L, 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushcclosure(L, load_library, 1);
  lua_pushnil(L); /* asyncio.lua cannot come back here */
  lua_setmetatable(L, 1);
  lua_pushvalue(L, 1);
  status = lua_pcall(L, 1, 1, 0);
  if (status != LUA_OK || !lua_toboolean(L, -1)) {
    lua_pushvalue(L, 3);
    lua_setmetatable(L, 1);
    return status == LUA_OK ? 0 : lua_error(L);
  }
  lua_settop(L, 2);
  lua_gettable(L, 1);
  return 1;
}

/* {======================================================
** In a sandbox
** ======================================================= */

enum { PACKAGE = 1, SEARCHPATH }; /* upvalues of search_text */

/* Lua: the searcher along the script's package.path. Lua's own would take
   binary chunks. */
static int search_text(lua_State *L) {
  const char *name = luaL_checkstring(L, 1), *file;
  if (!neap_can(neap__vm(L), NEAP_CAN_FS)) {
    lua_pushliteral(L, "the capability fs was taken away");
    return 1;
  }
  lua_pushvalue(L, lua_upvalueindex(SEARCHPATH));
  lua_pushvalue(L, 1);
  lua_getfield(L, lua_upvalueindex(PACKAGE), "path");
  lua_call(L, 2, 2);
  if (lua_isnil(L, -2))
    return 1; /* the message says where there is none */
  file = lua_tostring(L, -2);
  if (luaL_loadfilex(L, file, "t") != LUA_OK)
    return luaL_error(L, "error loading module '%s' from file '%s':\n\t%s",
                      name, file, lua_tostring(L, -1));
  lua_pushstring(L, file);
  return 2;
}

/* Lua: a searcher of Lua's own for modules in C, the upvalue */
static int search_native(lua_State *L) {
  if (!neap_can(neap__vm(L), NEAP_CAN_NATIVE))
    return 0;
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

/* Places in package.searchers; between them stand those for modules in C. */
enum { ADAPTED = 3, OURS = 6 };

void neap__modules_restrict(lua_State *L, unsigned granted) {
  int top = lua_gettop(L), loaded = top + 1, original = top + 2,
      searchers = top + 3, package = top + 4, i;
  lua_Integer n = 1; /* preloaded modules stay */
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, loaded, LUA_LOADLIBNAME);
  lua_getfield(L, original, "searchers");
  lua_newtable(L);
  if (granted & NEAP_CAN_FS) {
    lua_getfield(L, original, "path");
    lua_setfield(L, package, "path");
    lua_pushvalue(L, package);
    lua_getfield(L, original, "searchpath");
    lua_pushcclosure(L, search_text, SEARCHPATH);
    lua_rawseti(L, searchers, ++n);
  }
  if (granted & NEAP_CAN_NATIVE) {
    lua_getfield(L, original, "loadlib");
    neap__gate(L, NEAP_CAN_NATIVE);
    lua_setfield(L, package, "loadlib");
    for (i = ADAPTED; i < OURS; i++) { /* n < i: the next one is not yet read */
      if (lua_rawgeti(L, searchers, i) == LUA_TNIL)
        break; /* there are none of ours */
      lua_pushcclosure(L, search_native, 1);
      lua_rawseti(L, searchers, ++n);
    }
  }
  lua_rawgeti(L, searchers, OURS); /* or nil */
  lua_rawseti(L, searchers, ++n);
  for (i = (int)n + 1; i <= OURS; i++) {
    lua_pushnil(L);
    lua_rawseti(L, searchers, i);
  }
  lua_pushvalue(L, package);
  lua_setfield(L, loaded, LUA_LOADLIBNAME);
  lua_pushvalue(L, package);
  lua_setglobal(L, LUA_LOADLIBNAME);
  lua_settop(L, top);
}

/* ====================================================== } */

/* Puts a searcher into the list at the top. */
static void set_searcher(lua_State *L, const char *path, lua_CFunction f,
                         int place) {
  lua_pushstring(L, path);
  lua_pushcclosure(L, f, 1);
  lua_rawseti(L, -2, place);
}

void neap__modules_open(lua_State *L, const char *path) {
  int i;
  if (path == NULL || *path == '\0')
    return;
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, "package");
  lua_getfield(L, -1, "loadlib");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &loadlib_key);
  lua_getfield(L, -1, "searchers");
  for (i = OURS - 1; i > ADAPTED; i--) {
    lua_rawgeti(L, -1, i - 1);
    lua_rawseti(L, -2, i);
  }
  set_searcher(L, path, search_adapted, ADAPTED);
  set_searcher(L, path, search, OURS);
  lua_pop(L, 2);
  lua_getfield(L, -1, "asyncio");
  lua_createtable(L, 0, 2);
  lua_pushstring(L, path);
  lua_pushcclosure(L, complete, 1);
  lua_setfield(L, -2, "__index");
  lua_pushboolean(L, 0); /* `complete` is for no other table */
  lua_setfield(L, -2, "__metatable");
  lua_setmetatable(L, -2);
  lua_pop(L, 2);
}
