/*
** access.c - what the host reads and writes of scripts: globals, tables,
** descriptions of values (neap.h). All in protected mode, and without Lua.
*/
#include <math.h>
#include <string.h>

#include "embed.h"

/* {======================================================
** Functions of the host's, in protected mode
** ======================================================= */

/* What one of them works on: what it is given, then what it gives. */
typedef struct access {
  neap_vm *vm;
  const char *path;
  neap_value table, key, value;
  char *buffer;
  size_t size;
  int found;
  int status; /* a NEAP_E code, and in words */
  const char *message;
} access;

static access *access_of(lua_State *L) {
  return (access *)lua_touserdata(L, 1);
}

static int run(access *a, lua_CFunction f) {
  int status = neap__check(a->vm);
  if (status == NEAP_OK)
    status = neap__protect(a->vm, f, a);
  if (a->status != NEAP_OK)
    status = neap__fail(a->vm, a->status, a->message, NULL);
  return status;
}

/* Notes what is wrong; returns 0, as the Lua functions below then do. */
static int wrong(access *a, int status, const char *message) {
  a->status = status;
  a->message = message;
  return 0;
}

static int push(access *a, lua_State *L, const neap_value *value) {
  return neap__value_push(a->vm, L, value) ||
         wrong(a, NEAP_EINVAL, "the value is borrowed no longer");
}

static int push_table(access *a, lua_State *L) {
  return push(a, L, &a->table) &&
         (lua_istable(L, -1) || wrong(a, NEAP_EINVAL, "the value is no table"));
}

/* What the function gives is at the top. */
static int give(access *a, lua_State *L) {
  if (!neap__value_get(a->vm, L, -1, &a->value))
    (void)wrong(a, NEAP_ENOMEM, NULL);
  return 0;
}

/* ====================================================== } */

/* {======================================================
** Globals
** ======================================================= */

/* Whether it has names, and none that is empty. */
static int is_path(const char *path) {
  size_t n;
  while ((n = strcspn(path, ".")) > 0) {
    if (path[n] == '\0')
      return 1;
    path += n + 1;
  }
  return 0;
}

static int bad_path(access *a) {
  return wrong(a, NEAP_EINVAL, "the path is empty, or leads through something "
                               "that is no table");
}

static int get_global(lua_State *L) {
  access *a = access_of(L);
  const char *path = a->path;
  size_t n;
  if (!is_path(path))
    return bad_path(a);
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
  do {
    if (lua_isnil(L, -1))
      return 0; /* nil, too, is what is not there */
    if (!lua_istable(L, -1))
      return bad_path(a);
    n = strcspn(path, ".");
    lua_pushlstring(L, path, n);
    lua_rawget(L, -2);
    lua_replace(L, -2);
    path += n + 1;
  } while (path[-1] != '\0');
  return give(a, L);
}

int neap__global_set(lua_State *L, const char *path) {
  int value = lua_gettop(L);
  size_t n;
  if (!is_path(path))
    return 0;
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
  while (path[n = strcspn(path, ".")] != '\0') {
    lua_pushlstring(L, path, n);
    lua_pushvalue(L, -1);
    if (lua_rawget(L, -3) == LUA_TNIL) { /* make it */
      lua_pop(L, 1);
      lua_newtable(L);
      lua_pushvalue(L, -1);
      lua_insert(L, -3);
      lua_rawset(L, -4);
    }
    else if (lua_istable(L, -1))
      lua_replace(L, -2);
    else
      return 0;
    lua_replace(L, -2);
    path += n + 1;
  }
  lua_pushstring(L, path);
  lua_pushvalue(L, value);
  lua_rawset(L, -3);
  return 1;
}

static int set_global(lua_State *L) {
  access *a = access_of(L);
  if (push(a, L, &a->value) && !neap__global_set(L, a->path))
    return bad_path(a);
  return 0;
}

NEAP_API int neap_get(neap_vm *vm, const char *path, neap_value *value) {
  access a = {.vm = vm, .path = path};
  int status = run(&a, get_global);
  *value = a.value;
  return status;
}

NEAP_API int neap_set(neap_vm *vm, const char *path, const neap_value *value) {
  access a = {.vm = vm, .path = path, .value = *value};
  return run(&a, set_global);
}

/* ====================================================== } */

/* {======================================================
** Tables
** ======================================================= */

static int table_new(lua_State *L) {
  lua_newtable(L);
  return give(access_of(L), L);
}

static int table_get(lua_State *L) {
  access *a = access_of(L);
  if (!push_table(a, L) || !push(a, L, &a->key))
    return 0;
  lua_rawget(L, -2);
  return give(a, L);
}

static int table_set(lua_State *L) {
  access *a = access_of(L);
  if (!push_table(a, L) || !push(a, L, &a->key))
    return 0;
  if (lua_isnil(L, -1) ||
      (lua_type(L, -1) == LUA_TNUMBER && isnan(lua_tonumber(L, -1))))
    return wrong(a, NEAP_EINVAL, "a key is neither nil nor NaN");
  if (push(a, L, &a->value))
    lua_rawset(L, -3);
  return 0;
}

/*
** A pair is put on the shelf in place of the one before: a table of any size
** can be gone through in a few slots.
*/
static int table_next(lua_State *L) {
  access *a = access_of(L);
  int top;
  if (!push_table(a, L) || !push(a, L, &a->key))
    return 0;
  top = neap__pair_before(a->vm, L, &a->key);
  (void)wrong(a, NEAP_EINVAL, "the key is none of the table");
  a->found = lua_next(L, -2); /* raises an error when it is */
  (void)wrong(a, NEAP_OK, NULL);
  neap__scope_close(a->vm, top);
  a->key = neap_nil();
  if (!a->found)
    return 0;
  if (!neap__pair_pop(a->vm, L, &a->key, &a->value))
    return wrong(a, NEAP_ENOMEM, NULL);
  return 0;
}

NEAP_API int neap_table_new(neap_vm *vm, neap_value *table) {
  access a = {.vm = vm};
  int status = run(&a, table_new);
  *table = a.value;
  return status;
}

NEAP_API int neap_table_get(neap_vm *vm, const neap_value *table,
                            const neap_value *key, neap_value *value) {
  access a = {.vm = vm, .table = *table, .key = *key};
  int status = run(&a, table_get);
  *value = a.value;
  return status;
}

NEAP_API int neap_table_set(neap_vm *vm, const neap_value *table,
                            const neap_value *key, const neap_value *value) {
  access a = {.vm = vm, .table = *table, .key = *key, .value = *value};
  return run(&a, table_set);
}

NEAP_API int neap_table_next(neap_vm *vm, const neap_value *table,
                             neap_value *key, neap_value *value) {
  access a = {.vm = vm, .table = *table, .key = *key};
  int status = run(&a, table_next);
  *value = a.value;
  if (status != NEAP_OK)
    return status;
  *key = a.key;
  return a.found;
}

/* ====================================================== } */

/* {======================================================
** Descriptions
** ======================================================= */

static void copy(const access *a, const char *text, size_t len) {
  if (a->size > 0) {
    if (len >= a->size)
      len = a->size - 1;
    memcpy(a->buffer, text, len);
    a->buffer[len] = '\0';
  }
}

static int describe(lua_State *L) {
  access *a = access_of(L);
  if (push(a, L, &a->value)) {
    size_t len;
    const char *text;
    neap__repr(L, -1, a->size);
    text = lua_tolstring(L, -1, &len);
    copy(a, text, len);
  }
  return 0;
}

NEAP_API const char *neap_describe(neap_vm *vm, const neap_value *value,
                                   char *buffer, size_t size) {
  access a = {.vm = vm, .value = *value, .buffer = buffer, .size = size};
  int status = run(&a, describe);
  if (status != NEAP_OK) {
    const char *text = neap_strerror(status);
    copy(&a, text, strlen(text));
  }
  return buffer;
}

/* ====================================================== } */
