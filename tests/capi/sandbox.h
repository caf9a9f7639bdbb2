/*
** sandbox.h - what the tests of sandboxes share: VMs with some capabilities,
** and chunks of Lua that have to run in them without an error. These find:
**    refused(text, f, ...)  f(...) raises an error with this text in it
**    collect()              collects all garbage
**    in_task(f)             runs f as a task, and what is left after it
**    folder                 an empty folder, its name
**    binary                 a binary chunk, which sets the global `ran`
** and, for require, `preloaded` and `loaded`, which are the host's.
*/
#ifndef SANDBOX_H
#define SANDBOX_H

#include <sys/stat.h>

#include "capi.h"

#define NONE 0
#define FS NEAP_CAN_FS
#define NET NEAP_CAN_NET
#define PROCESS NEAP_CAN_PROCESS
#define ENV NEAP_CAN_ENV
#define NATIVE NEAP_CAN_NATIVE
#define DEBUG NEAP_CAN_DEBUG
#define LOAD NEAP_CAN_LOAD

static const char prelude[] =
    "function refused(text, f, ...)\n"
    "  local ok, err = pcall(f, ...)\n"
    "  assert(not ok, 'it was allowed')\n"
    "  err = tostring(err)\n"
    "  assert(err:find(text, 1, true), err)\n"
    "end\n"
    "function collect() for _ = 1, 3 do collectgarbage() end end\n"
    "function in_task(f) return run(async(f)()) end\n";

/* {======================================================
** VMs and folders
** ======================================================= */

/* The folder of one test, and Neap's own modules. */
static char folder[64];
static char module_path[2 * PATH_MAX];

static inline int make_folder(void **state) {
  (void)state;
  snprintf(folder, sizeof folder, "/tmp/neap-sandbox-XXXXXX");
  if (mkdtemp(folder) == NULL)
    return -1;
  snprintf(module_path, sizeof module_path, "%s;%s", own_modules(),
           folder);
  return 0;
}

static inline int remove_folder(void **state) {
  char command[128];
  (void)state;
  snprintf(command, sizeof command, "rm -r %s", folder);
  return system(command);
}

/* Writes a file of the folder. */
static inline void write_file(const char *name, const char *text) {
  char path[PATH_MAX];
  FILE *file;
  snprintf(path, sizeof path, "%s/%s", folder, name);
  file = fopen(path, "w");
  assert_non_null(file);
  fputs(text, file);
  assert_int_equal(fclose(file), 0);
}

/* Fills in a configuration for a sandbox. */
static inline void configure(neap_config *config, unsigned capabilities) {
  neap_config_init(config);
  config->capabilities = capabilities;
  config->module_path = module_path;
}

/* A lua_Writer; `ud` is a luaL_Buffer. */
static inline int add_piece(lua_State *L, const void *piece, size_t size,
                            void *ud) {
  (void)L;
  luaL_addlstring(ud, piece, size);
  return 0;
}

/* Lua: the loader of a preloaded module */
static inline int load_preloaded(lua_State *L) {
  lua_pushliteral(L, "from the host");
  return 1;
}

/* A VM with what chunks find. */
static inline neap_vm *open_sandbox(const neap_config *config) {
  neap_vm *vm = new_vm(config);
  lua_State *L = neap_lua(vm);
  luaL_Buffer b;
  lua_pushstring(L, folder);
  lua_setglobal(L, "folder");
  luaL_buffinit(L, &b); /* small enough to need no stack slot */
  assert_int_equal(luaL_loadstring(L, "ran = true"), LUA_OK);
  assert_int_equal(lua_dump(L, add_piece, &b, 1), 0);
  luaL_pushresult(&b);
  lua_setglobal(L, "binary");
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, load_preloaded);
  lua_setfield(L, -2, "preloaded");
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_pushliteral(L, "by the host");
  lua_setfield(L, -2, "loaded");
  lua_settop(L, 0);
  run_lua(vm, prelude);
  return vm;
}

typedef struct chunk {
  const char *what; /* it shows */
  unsigned capabilities;
  const char *code;
} chunk;

static inline void run_chunks(const chunk *list, size_t n) {
  int failed = 0;
  for (size_t i = 0; i < n; i++) {
    neap_config config;
    neap_vm *vm;
    lua_State *L;
    configure(&config, list[i].capabilities);
    vm = open_sandbox(&config);
    L = neap_lua(vm);
    if (luaL_loadbuffer(L, list[i].code, strlen(list[i].code), "=chunk") ||
        lua_pcall(L, 0, 0, 0)) {
      print_error("%s: %s\n", list[i].what, luaL_tolstring(L, -1, NULL));
      failed++;
    }
    close_vm(vm);
  }
  assert_int_equal(failed, 0);
}

/* A test with a folder of its own. */
#define TEST(name) \
  cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

#define RUN_CHUNKS(list) run_chunks(list, sizeof list / sizeof *list)

/* ====================================================== } */

#endif
