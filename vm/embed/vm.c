/*
** vm.c - the life of a VM (neap.h): configuration, birth, death.
*/
#include <stdlib.h>
#include <string.h>

#include "../lua/bindings.h"
#include "embed.h"
#include "modules.h"
#include "warn.h"

static const char vm_key = 0; /* the VM, in the registry */

NEAP_API void neap_config_init(neap_config *config) {
  memset(config, 0, sizeof *config);
}

/* Where Neap's own modules are. */
static const char *module_path(const neap_config *config) {
  const char *path = config->module_path;
  if (path == NULL && !config->ignore_env)
    path = getenv("NEAP_PATH");
  return path != NULL ? path : NEAP_MODULES;
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
  neap__libraries_open(L, config->capabilities);
  neap__open(L);
  neap__modules_open(L, module_path(config));
  neap__values_init(L);
  neap__sandbox_open(L, config->capabilities);
  neap__output_open(L);
  return 0;
}

/* {======================================================
** Birth
** ======================================================= */

static int is_valid(const neap_config *config) {
  return (config->capabilities & ~(unsigned)NEAP_CAN_ALL) == 0 &&
         neap__limits_valid(&config->limits);
}

static void set_up(neap_vm *vm, const neap_config *config) {
  vm->alloc_ud = config->alloc_ud;
  vm->capabilities = config->capabilities;
  vm->thread = &neap__here;
  vm->loop = config->loop;
  vm->plain = config->loop == NULL ? vm->thread : NULL;
  vm->report = config->report;
  vm->report_ud = config->report_ud;
  vm->output = config->output;
  vm->output_ud = config->output_ud;
  vm->host_wakeup = config->wakeup;
  vm->host_wakeup_ud = config->wakeup_ud;
  vm->debug = config->debug != 0;
  vm->task_limit = config->limits.tasks;
  vm->output_limit = config->limits.output;
}

/* Makes the Lua state, with what gives it memory. */
static int open_state(neap_vm *vm, const neap_config *config) {
  lua_Alloc alloc = config->alloc != NULL ? config->alloc : neap__memory_alloc;
  void *ud = config->alloc != NULL ? config->alloc_ud : (void *)&vm->memory;
  int status = neap__limits_open(vm, config, alloc, ud);
  if (status != NEAP_OK)
    return status;
  vm->main = vm->limits != NULL
                 ? lua_newstate(neap__limits_alloc, vm->limits)
                 : lua_newstate(alloc, ud);
  if (vm->main == NULL)
    return NEAP_ENOMEM;
  *neap__extra(vm->main) = (uintptr_t)vm;
  vm->running = vm->main;
  neap__interrupt_reset(vm, vm->main); /* there may be a hook for all */
  neap__warn_init(vm);
  (void)lua_gc(vm->main, LUA_GCSTOP); /* all that comes now, stays */
  lua_pushcfunction(vm->main, open_libraries);
  lua_pushlightuserdata(vm->main, (void *)(uintptr_t)config);
  status = lua_pcall(vm->main, 1, 0, 0);
  (void)lua_gc(vm->main, LUA_GCRESTART);
  return status == LUA_OK ? NEAP_OK : NEAP_ENOMEM;
}

NEAP_API int neap_new(neap_vm **out, const neap_config *config) {
  neap_config defaults;
  lua_Alloc alloc;
  neap_vm *vm;
  int status;
  *out = NULL;
  if (config == NULL) {
    neap_config_init(&defaults);
    config = &defaults;
  }
  if (!is_valid(config))
    return NEAP_EINVAL;
  alloc = config->alloc != NULL ? config->alloc : neap__malloc;
  vm = (neap_vm *)alloc(config->alloc_ud, NULL, 0, sizeof *vm);
  if (vm == NULL)
    return NEAP_ENOMEM;
  memset(vm, 0, sizeof *vm);
  vm->alloc = alloc;
  set_up(vm, config);
  status = open_state(vm, config);
  if (status == NEAP_OK)
    *out = vm;
  else
    (void)neap_close(vm, NULL, NULL);
  return status;
}

/* ====================================================== } */

/* {======================================================
** Limits and figures
** ======================================================= */

NEAP_API int neap_limits_set(neap_vm *vm, const neap_limits *limits) {
  int status = neap__check(vm);
  if (status == NEAP_OK && neap__limits_set(vm, limits) != NEAP_OK)
    status = neap__fail(vm, NEAP_EINVAL, NULL, NULL);
  return status;
}

NEAP_API int neap_stats(neap_vm *vm, neap_statistics *stats) {
  int kilobytes, status = neap__check(vm);
  memset(stats, 0, sizeof *stats);
  if (status != NEAP_OK)
    return status;
  kilobytes = lua_gc(vm->main, LUA_GCCOUNT);
  if (kilobytes >= 0) /* else a finalizer runs, in which Lua does not tell */
    stats->memory = (size_t)kilobytes * 1024 +
                    (size_t)lua_gc(vm->main, LUA_GCCOUNTB);
  stats->tasks = vm->tasks_alive;
  stats->tasks_ended = vm->task_count - vm->tasks_alive;
  stats->output = vm->output_count;
  neap__limits_stats(vm, stats);
  return NEAP_OK;
}

/* ====================================================== } */

/* {======================================================
** Death
**
** First all that could still call back in, then Lua, then the handles and
** the work of other threads, which need the loop; the VM's own block last,
** as the ends of these count in it.
** ======================================================= */

static void free_vm(neap_vm *vm) {
  void (*closed)(void *ud) = vm->closed;
  void *ud = vm->closed_ud;
  (void)neap__alloc(vm, vm, sizeof *vm, 0);
  if (closed != NULL)
    closed(ud);
}

void neap__close_step(neap_vm *vm) {
  if (!vm->closing || vm->pollers != NULL || vm->loop_refs > 0 ||
      neap__has_own_loop(vm))
    return;
  free_vm(vm);
}

NEAP_API void neap_loop_retain(neap_vm *vm) { vm->loop_refs++; }

NEAP_API void neap_loop_release(neap_vm *vm) {
  vm->loop_refs--;
  neap__close_step(vm);
}

/* Frees what Lua has, and all that goes with it. Finalizers may run, warn,
   report. */
static void close_state(neap_vm *vm) {
  neap__spawned_free(vm);
  if (vm->main != NULL)
    lua_close(vm->main);
  neap__memory_free(&vm->memory);
  neap__timers_free(vm);
  neap__pool_free(vm);
  neap__failure_free(vm);
  if (vm->retained != NULL)
    (void)neap__alloc(vm, vm->retained,
                      vm->retained_size * sizeof *vm->retained, 0);
  neap__limits_close(vm);
  if (vm->warning != NULL)
    (void)neap__alloc(vm, vm->warning, vm->warning_size, 0);
}

static void let_go(uv_handle_t *handle, void *unused) {
  (void)unused;
  uv_unref(handle);
}

/* Runs the VM's own loop until all that ends by itself has: handles that are
   being closed, work on threads, which knows the loop, a module's, too. */
static void finish_loop(neap_vm *vm) {
  uv_walk(vm->loop, let_go, NULL); /* what a module has not closed */
  while (uv_run(vm->loop, UV_RUN_DEFAULT) != 0)
    ; /* somebody has called uv_stop */
  (void)uv_loop_close(vm->loop); /* busy: a module left its own */
  vm->loop = NULL;
}

/* Ends all tasks; the host is told. */
static void end_tasks(neap_vm *vm) {
  neap__enter(vm);
  neap__vm_kill(vm, NEAP_ECLOSED);
  neap__leave(vm);
  neap__ready_finish(vm);
  if (vm->tasks != NULL) { /* without memory not all have come to their end */
    neap__tasks_report(vm, vm->main);
    neap__tasks_abandon(vm, vm->main);
    neap__ready_finish(vm);
  }
  neap__gathers_abandon(vm); /* of futures that nobody settles */
}

NEAP_API int neap_close(neap_vm *vm, void (*closed)(void *ud), void *ud) {
  int status;
  if (vm == NULL) {
    if (closed != NULL)
      closed(ud);
    return NEAP_OK;
  }
  status = neap__check(vm);
  if (status != NEAP_OK)
    return status;
  if (vm->L != NULL)
    return neap__fail(vm, NEAP_EBUSY, NULL, NULL);
  neap__port_close(vm);
  if (vm->shelf != NULL) /* it is whole */
    end_tasks(vm);
  vm->closing = 1;
  vm->closed = closed;
  vm->closed_ud = ud;
  close_state(vm);
  if (vm->pollers != NULL)
    neap__loop_close(vm, neap__close_step);
  if (neap__has_own_loop(vm))
    finish_loop(vm);
  neap__close_step(vm);
  return NEAP_OK;
}

/* ====================================================== } */

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
