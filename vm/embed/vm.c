/*
** vm.c - the life of a VM (neap.h): configuration, birth, death.
*/
#include <string.h>

#include <lualib.h>

#include "../lua/bindings.h"
#include "modules.h"
#include "warn.h"

static const char vm_key = 0; /* the VM, in the registry */

NEAP_API void neap_config_init(neap_config *config) {
  memset(config, 0, sizeof *config);
}

/* Lua: the configuration, light userdata. Everything that can raise. */
static int open_libraries(lua_State *L) {
  const neap_config *config = (const neap_config *)lua_touserdata(L, 1);
  lua_pushlightuserdata(L, neap__vm(L));
  lua_rawsetp(L, LUA_REGISTRYINDEX, &vm_key);
  if (config->ignore_env) {
    lua_pushboolean(L, 1);
    lua_setfield(L, LUA_REGISTRYINDEX, "LUA_NOENV");
  }
  luaL_openlibs(L);
  neap__open(L);
  neap__modules_open(L, config->module_path);
  return 0;
}

/* Frees a VM, also one that is not whole. */
static void destroy(neap_vm *vm) {
  if (vm->main != NULL)
    lua_close(vm->main); /* finalizers may report, warn, and even run */
  neap__memory_free(&vm->memory);
  neap__timers_free(vm);
  neap__anchor_free(vm);
  if (vm->warning != NULL)
    (void)neap__alloc(vm, vm->warning, vm->warning_size, 0);
  neap__loop_close(vm);
  (void)neap__alloc(vm, vm, sizeof *vm, 0);
}

NEAP_API int neap_new(neap_vm **out, const neap_config *config) {
  neap_config defaults;
  lua_Alloc alloc;
  neap_vm *vm;
  *out = NULL;
  if (config == NULL) {
    neap_config_init(&defaults);
    config = &defaults;
  }
  alloc = config->alloc != NULL ? config->alloc : neap__malloc;
  vm = (neap_vm *)alloc(config->alloc_ud, NULL, 0, sizeof *vm);
  if (vm == NULL)
    return NEAP_ENOMEM;
  memset(vm, 0, sizeof *vm);
  vm->alloc = alloc;
  vm->alloc_ud = config->alloc_ud;
  vm->main = config->alloc != NULL
                 ? lua_newstate(alloc, config->alloc_ud)
                 : lua_newstate(neap__memory_alloc, &vm->memory);
  if (vm->main == NULL)
    goto err;
  *neap__extra(vm->main) = (uintptr_t)vm;
  vm->running = vm->main;
  neap__warn_init(vm);
  vm->loop = config->loop;
  vm->report = config->report;
  vm->report_ud = config->report_ud;
  vm->debug = config->debug != 0;
  lua_pushcfunction(vm->main, open_libraries);
  lua_pushlightuserdata(vm->main, (void *)(uintptr_t)config);
  if (lua_pcall(vm->main, 1, 0, 0) != LUA_OK)
    goto err;
  *out = vm;
  return 0;
err:
  destroy(vm);
  return NEAP_ENOMEM;
}

NEAP_API int neap_close(neap_vm *vm) {
  if (vm == NULL)
    return 0;
  if (vm->L != NULL)
    return NEAP_EBUSY;
  destroy(vm);
  return 0;
}

NEAP_API lua_State *neap_lua(neap_vm *vm) { return vm->main; }

NEAP_API neap_vm *neap_from_lua(lua_State *L) {
  neap_vm *vm;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &vm_key);
  vm = (neap_vm *)lua_touserdata(L, -1);
  lua_pop(L, 1);
  return vm;
}

NEAP_API const char *neap_strerror(int code) {
  switch (code) {
#define TEXT(name, value, text)                                                \
  case value:                                                                  \
    return text;
    NEAP_ERROR_MAP(TEXT)
#undef TEXT
  case 0:
    return "success";
  default:
    return "unknown error";
  }
}

NEAP_API const char *neap_version(void) { return NEAP_VERSION; }
