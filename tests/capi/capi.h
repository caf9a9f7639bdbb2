/*
** capi.h - what the C tests share: cmocka, an allocator that counts and
** can fail, a list of what the VM reported, and ways to run Lua.
**
** Every file beside this one is a program of its own, which ends with
** `return cmocka_run_group_tests(...)`.
*/
#ifndef CAPI_H
#define CAPI_H

/* cmocka.h wants these four before it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lauxlib.h>
#include <lua.h>

#include "neap.h"

/* {======================================================
** Memory
** ======================================================= */

typedef struct heap {
  size_t blocks;  /* blocks in use */
  long countdown; /* requests to grant before they fail; < 0: never fail */
  int in_a_row;   /* so many requests fail; 0: all that follow */
  int failures;   /* requests that failed */
} heap;

/* Whether the request that comes now fails. */
static inline int heap_refuses(heap *h) {
  if (h->countdown < 0)
    return 0;
  if (h->countdown > 0) {
    h->countdown--;
    return 0;
  }
  if (++h->failures == h->in_a_row)
    h->countdown = -1;
  return 1;
}

/* A lua_Alloc; `ud` is a heap. */
static inline void *heap_alloc(void *ud, void *block, size_t old_size,
                               size_t size) {
  heap *h = ud;
  void *result;
  if (size == 0) {
    h->blocks -= block != NULL;
    free(block);
    return NULL;
  }
  /* Lua relies on a block that shrinks: only growth can fail */
  if ((block == NULL || size > old_size) && heap_refuses(h))
    return NULL;
  result = realloc(block, size);
  if (result != NULL)
    h->blocks += block == NULL;
  return result;
}

/* ====================================================== } */

/* {======================================================
** Reports
** ======================================================= */

typedef struct reports {
  int count;
  char last[1024]; /* the text of the last one, perhaps cut */
} reports;

/* A neap_report_fn; `ud` is a reports. */
static inline void reports_add(void *ud, const char *text, size_t len) {
  reports *r = ud;
  r->count++;
  assert_int_equal(strlen(text), len);
  assert_true(len > 0 && text[len - 1] != '\n');
  snprintf(r->last, sizeof r->last, "%s", text);
}

/* ====================================================== } */

/* {======================================================
** Running Lua
** ======================================================= */

/* Where the library's Lua files are, for config.module_path, wherever the
   program was called: it is BUILD/tests/FOLDER/NAME. */
static inline const char *own_modules(void) {
  static _Thread_local char path[PATH_MAX];
  ssize_t len = readlink("/proc/self/exe", path, sizeof path - 16);
  assert_true(len > 0);
  path[len] = '\0';
  for (int i = 0; i < 3; i++)
    *strrchr(path, '/') = '\0';
  return strcat(path, "/stdlib");
}

/* A VM with the configuration, or with all that there is. */
static inline neap_vm *new_vm(const neap_config *config) {
  neap_config all;
  neap_vm *vm = NULL;
  if (config == NULL) {
    neap_config_init(&all);
    all.capabilities = NEAP_CAN_ALL;
    config = &all;
  }
  assert_int_equal(neap_new(&vm, config), NEAP_OK);
  assert_non_null(vm);
  return vm;
}

/* A VM with these capabilities, whose memory is that of a heap. */
static inline neap_vm *counted_vm(heap *memory, unsigned capabilities) {
  neap_config config;
  neap_config_init(&config);
  config.capabilities = capabilities;
  config.alloc = heap_alloc;
  config.alloc_ud = memory;
  return new_vm(&config);
}

/* One whose diagnostics go to `said`. */
static inline neap_vm *reporting_vm(reports *said, unsigned capabilities) {
  neap_config config;
  neap_config_init(&config);
  config.capabilities = capabilities;
  config.report = reports_add;
  config.report_ud = said;
  memset(said, 0, sizeof *said);
  return new_vm(&config);
}

/* One on a loop of the host's. */
static inline neap_vm *vm_on(uv_loop_t *loop, unsigned capabilities) {
  neap_config config;
  neap_config_init(&config);
  config.capabilities = capabilities;
  config.loop = loop;
  return new_vm(&config);
}

/* The loop is new, too. */
static inline neap_vm *new_vm_on(uv_loop_t *loop) {
  assert_int_equal(uv_loop_init(loop), 0);
  return vm_on(loop, NEAP_CAN_ALL);
}

static inline void close_vm(neap_vm *vm) {
  assert_int_equal(neap_close(vm, NULL, NULL), NEAP_OK);
}

/* The VMs on it are closed: their handles go, and the loop can be closed. */
static inline void close_loop(uv_loop_t *loop) {
  assert_int_equal(uv_run(loop, UV_RUN_DEFAULT), 0);
  assert_int_equal(uv_loop_close(loop), 0);
}

/* How many descriptors the process has. */
static inline int descriptors(void) {
  DIR *folder = opendir("/proc/self/fd");
  int n = 0;
  assert_non_null(folder);
  while (readdir(folder) != NULL)
    n++;
  assert_int_equal(closedir(folder), 0);
  return n;
}

static inline void count_handle(uv_handle_t *handle, void *ud) {
  int *count = ud;
  (void)handle;
  ++*count;
}

/* For neap_close of the only VM on a loop: nothing of it is left there. */
static inline void alone_on_loop(void *ud) {
  uv_loop_t *loop = *(uv_loop_t **)ud;
  int handles = 0;
  uv_walk(loop, count_handle, &handles);
  assert_int_equal(handles, 0);
  assert_false(uv_loop_alive(loop));
  *(uv_loop_t **)ud = NULL;
}

/* Closes the only VM on a loop, and then that: whatever was under way, nothing
   of it comes after the close. */
static inline void close_vm_and_loop(neap_vm *vm, uv_loop_t *loop) {
  uv_loop_t *left = loop;
  assert_int_equal(neap_close(vm, alone_on_loop, &left), NEAP_OK);
  while (left != NULL)
    uv_run(loop, UV_RUN_ONCE);
  assert_int_equal(uv_loop_close(loop), 0);
}

/* Runs a chunk that has to succeed. */
static inline void run_lua(neap_vm *vm, const char *code) {
  lua_State *L = neap_lua(vm);
  if (luaL_dostring(L, code) != LUA_OK)
    fail_msg("%s", luaL_tolstring(L, -1, NULL));
  lua_settop(L, 0);
}

/* Runs a chunk that has to fail; the error is left on the stack. */
static inline void run_lua_failing(neap_vm *vm, const char *code) {
  assert_int_not_equal(luaL_dostring(neap_lua(vm), code), LUA_OK);
}

/* Compiles a chunk that has to compile. */
static inline neap_value load_text(neap_vm *vm, const char *name,
                                   const char *code) {
  neap_value function;
  if (neap_load(vm, name, code, strlen(code), &function) != NEAP_OK)
    fail_msg("does not compile: %s", code);
  return function;
}

static inline void assert_contains(const char *text, const char *part) {
  if (text == NULL || strstr(text, part) == NULL)
    fail_msg("no \"%s\" in: %s", part, text != NULL ? text : "(null)");
}

/* Whether a global is true. */
static inline int global_is_true(neap_vm *vm, const char *name) {
  neap_value value;
  assert_int_equal(neap_get(vm, name, &value), NEAP_OK);
  return value.type != NEAP_NIL &&
         (value.type != NEAP_BOOLEAN || value.as.boolean);
}

/*
** Calls `use` again and again in one VM, each time with the failure one
** request later, until there is none: it gives NEAP_OK or NEAP_ENOMEM, and
** NEAP_OK when memory is back. Lua's code `before` runs before each call; more
** than `least` of them have to fail.
*/
static inline void fail_each_request(int (*use)(neap_vm *vm),
                                     const char *before, int least) {
  for (int in_a_row = 0; in_a_row <= 2; in_a_row += 2) {
    heap memory = {0, -1, in_a_row, 0};
    neap_vm *vm = counted_vm(&memory, 0);
    int failed = 0;
    for (long n = 0;; n++) {
      int status;
      run_lua(vm, before);
      memory.countdown = n;
      memory.failures = 0;
      status = use(vm);
      memory.countdown = -1;
      if (status != NEAP_OK) {
        failed++;
        assert_int_equal(status, NEAP_ENOMEM);
      }
      assert_int_equal(use(vm), NEAP_OK);
      if (memory.failures == 0)
        break;
    }
    assert_true(failed > least);
    close_vm(vm);
    assert_int_equal(memory.blocks, 0);
  }
}

/* ====================================================== } */

#endif
