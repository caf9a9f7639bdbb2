/*
** folder.c - neap.repl.folder: the names in a folder, for completion, at once:
** a key is pressed, and no task is there to wait.
*/
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "../module/module.h"

MODULE_API int luaopen_repl_folder(lua_State *L);

#define LOOKS 100000 /* names that are looked at */

/* A userdata, so that an error of Lua's leaves no folder open. */
typedef struct repl__folder {
  DIR *dir; /* NULL: closed */
} repl__folder;

static int folder_gc(lua_State *L) {
  repl__folder *folder = (repl__folder *)lua_touserdata(L, 1);
  if (folder->dir != NULL)
    (void)closedir(folder->dir);
  folder->dir = NULL;
  return 0;
}

static int is_folder(repl__folder *folder, const struct dirent *entry) {
  struct stat st;
  if (entry->d_type != DT_LNK && entry->d_type != DT_UNKNOWN)
    return entry->d_type == DT_DIR;
  return fstatat(dirfd(folder->dir), entry->d_name, &st, 0) == 0 &&
         S_ISDIR(st.st_mode);
}

/* Is it one that is asked for? Not "." and "..", and hidden ones only when
   their point is. */
static int is_match(const char *name, const char *prefix, size_t len) {
  if (strncmp(name, prefix, len) != 0)
    return 0;
  if (name[0] != '.')
    return 1;
  return len > 0 && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* Lua: list(path, prefix, limit) -> at most so many names in the folder that
   begin like this, those of folders with a '/' behind them; in no order. None
   where the folder cannot be read. */
static int list(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  size_t len;
  const char *prefix = luaL_checklstring(L, 2, &len);
  lua_Integer limit = luaL_checkinteger(L, 3), count = 0;
  repl__folder *folder =
      (repl__folder *)lua_newuserdatauv(L, sizeof *folder, 0);
  struct dirent *entry;
  long looks = 0;
  folder->dir = NULL;
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_setmetatable(L, -2);
  lua_newtable(L);
  folder->dir = opendir(path);
  if (folder->dir == NULL)
    return 1;
  while (count < limit && looks++ < LOOKS &&
         (entry = readdir(folder->dir)) != NULL) {
    if (!is_match(entry->d_name, prefix, len))
      continue;
    lua_pushfstring(L, is_folder(folder, entry) ? "%s/" : "%s", entry->d_name);
    lua_rawseti(L, -2, ++count);
  }
  (void)closedir(folder->dir); /* read only: nothing can be lost */
  folder->dir = NULL;
  return 1;
}

int luaopen_repl_folder(lua_State *L) {
  lua_createtable(L, 0, 1); /* the folder's metatable */
  lua_pushcfunction(L, folder_gc);
  lua_setfield(L, -2, "__gc");
  lua_pushcclosure(L, list, 1);
  return 1;
}
