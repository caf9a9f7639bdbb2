/*
** value.c - values of Lua in C: borrowed ones on the shelf, retained ones in
** the registry; globals, tables, descriptions (neap.h).
**
** A value on the shelf takes two slots, itself and above it a serial number,
** which no other value of the VM has or will have. What C holds of it has the
** number, too, or, of a string, the address of its bytes: so one that is used
** for too long is found out. Negative is the number of the second value of a
** pair that neap_table_next gave. The numbers of retained ones stand in an
** array, by reference; 0: given back.
*/
#include <math.h>
#include <string.h>

#include "embed.h"

/* So many slots of the shelf are free at any time, to look at values. */
#define SPARE 6

void neap__values_init(lua_State *L) {
  neap_vm *vm = neap__vm(L);
  vm->shelf = lua_newthread(L);
  (void)luaL_ref(L, LUA_REGISTRYINDEX);
  /* those of another VM, which is 2^8 bytes away at least, have others */
  vm->shelf_serial = (uint64_t)((uintptr_t)vm >> 8) << 22;
}

/* {======================================================
** Between C and Lua
** ======================================================= */

static neap_type type_of(lua_State *L, int index) {
  switch (lua_type(L, index)) {
  case LUA_TNIL:
    return NEAP_NIL;
  case LUA_TBOOLEAN:
    return NEAP_BOOLEAN;
  case LUA_TNUMBER:
    return lua_isinteger(L, index) ? NEAP_INTEGER : NEAP_NUMBER;
  case LUA_TSTRING:
    return NEAP_STRING;
  case LUA_TTABLE:
    return NEAP_TABLE;
  case LUA_TFUNCTION:
    return NEAP_FUNCTION;
  default:
    return neap__is_hosted(L, index) ? NEAP_OBJECT : NEAP_OTHER;
  }
}

/* The value at the top of L; a string or reference still needs its place. */
static neap_value value_at_top(lua_State *L) {
  neap_value v = neap_nil();
  v.type = type_of(L, -1);
  switch (v.type) {
  case NEAP_BOOLEAN:
    v.as.boolean = lua_toboolean(L, -1);
    break;
  case NEAP_INTEGER:
    v.as.integer = lua_tointeger(L, -1);
    break;
  case NEAP_NUMBER:
    v.as.number = lua_tonumber(L, -1);
    break;
  case NEAP_STRING:
    v.as.string.data = lua_tolstring(L, -1, &v.as.string.size);
    break;
  default:
    break;
  }
  return v;
}

/* Moves the value at the top of L, which `*value` is, to the shelf. False: no
   room; it is popped and `*value` nil. Raises nothing. */
static int shelve(neap_vm *vm, lua_State *L, neap_value *value,
                  lua_Integer serial) {
  lua_State *shelf = vm->shelf;
  if (!lua_checkstack(shelf, 2 + SPARE)) {
    lua_pop(L, 1);
    *value = neap_nil();
    return 0;
  }
  lua_xmove(L, shelf, 1);
  value->ref = -lua_gettop(shelf);
  lua_pushinteger(shelf, serial);
  vm->shelved += 2;
  if (value->type > NEAP_STRING)
    value->as.serial = (uint64_t)serial;
  return 1;
}

int neap__value_pop(neap_vm *vm, lua_State *L, neap_value *value) {
  if (lua_isinteger(L, -1)) {
    *value = neap_integer(lua_tointeger(L, -1));
    lua_pop(L, 1);
    return 1;
  }
  *value = value_at_top(L);
  if (value->type >= NEAP_STRING)
    return shelve(vm, L, value, (lua_Integer)++vm->shelf_serial);
  lua_pop(L, 1);
  return 1;
}

/* Pushes a borrowed or retained value. False, with nothing pushed: it holds no
   longer. Raises nothing. */
static int fetch(neap_vm *vm, lua_State *L, const neap_value *value) {
  lua_State *shelf = vm->shelf;
  uint64_t serial;
  if (value->ref > 0) {
    if ((uint32_t)value->ref >= vm->retained_size)
      return 0;
    serial = vm->retained[value->ref];
    if (serial == 0 ||
        (value->type != NEAP_STRING && serial != value->as.serial))
      return 0;
    lua_rawgeti(L, LUA_REGISTRYINDEX, value->ref);
  }
  else {
    if (value->ref == 0 || /* forged */
        value->ref <= -lua_gettop(shelf)) /* its number stands above it */
      return 0;
    serial = (uint64_t)lua_tointeger(shelf, 1 - value->ref);
    if (value->type != NEAP_STRING && serial != value->as.serial)
      return 0;
    lua_pushvalue(shelf, -value->ref);
    if (L != shelf)
      lua_xmove(shelf, L, 1);
  }
  if (value->type != NEAP_STRING ||
      (lua_type(L, -1) == LUA_TSTRING &&
       lua_tostring(L, -1) == value->as.string.data))
    return 1;
  lua_pop(L, 1);
  return 0;
}

int neap__value_push(neap_vm *vm, lua_State *L, const neap_value *value) {
  switch (value->type) {
  case NEAP_NIL:
    lua_pushnil(L);
    return 1;
  case NEAP_BOOLEAN:
    lua_pushboolean(L, value->as.boolean);
    return 1;
  case NEAP_INTEGER:
    lua_pushinteger(L, value->as.integer);
    return 1;
  case NEAP_NUMBER:
    lua_pushnumber(L, value->as.number);
    return 1;
  default:
    if (value->type == NEAP_STRING && value->ref == 0) { /* made in C */
      lua_pushlstring(L, value->as.string.data, value->as.string.size);
      return 1;
    }
    return fetch(vm, L, value);
  }
}

/* ====================================================== } */

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

/* Pops what the function gives. */
static int give(access *a, lua_State *L) {
  if (!neap__value_pop(a->vm, L, &a->value))
    (void)wrong(a, NEAP_ENOMEM, NULL);
  return 0;
}

/* ====================================================== } */

/* {======================================================
** Retaining
** ======================================================= */

/* Room for the serial number of a reference. */
static int reserve(neap_vm *vm, uint32_t ref) {
  uint32_t size = vm->retained_size, larger = size == 0 ? 64 : size;
  uint64_t *serials;
  while (larger <= ref)
    larger *= 2;
  if (ref < size)
    return 1;
  serials = (uint64_t *)neap__alloc(vm, vm->retained, size * sizeof *serials,
                                    larger * sizeof *serials);
  if (serials == NULL)
    return 0;
  memset(serials + size, 0, (larger - size) * sizeof *serials);
  vm->retained = serials;
  vm->retained_size = larger;
  return 1;
}


static int retain(lua_State *L) {
  access *a = access_of(L);
  neap_vm *vm = a->vm;
  if (!push(a, L, &a->value))
    return 0;
  a->value.ref = luaL_ref(L, LUA_REGISTRYINDEX);
  if (!reserve(vm, (uint32_t)a->value.ref)) {
    luaL_unref(L, LUA_REGISTRYINDEX, a->value.ref);
    return luaL_error(L, "not enough memory");
  }
  vm->retained[a->value.ref] = ++vm->shelf_serial;
  if (a->value.type != NEAP_STRING)
    a->value.as.serial = vm->shelf_serial;
  return 0;
}

/* Whether C can have a value of its own like this one. */
static int is_plain(const neap_value *value) {
  return value->type < NEAP_STRING ||
         (value->type == NEAP_STRING && value->ref == 0);
}

NEAP_API int neap_retain(neap_vm *vm, neap_value *value) {
  access a = {.vm = vm, .value = *value};
  int status = is_plain(value) ? neap__check(vm) : run(&a, retain);
  if (status == NEAP_OK)
    *value = a.value;
  return status;
}

NEAP_API int neap_release(neap_vm *vm, neap_value *value) {
  int status = neap__check(vm);
  if (status != NEAP_OK || is_plain(value) || value->ref < 0)
    return status;
  if (!fetch(vm, vm->shelf, value))
    return neap__fail(vm, NEAP_EINVAL, "the value was given back before",
                      NULL);
  lua_pop(vm->shelf, 1);
  vm->retained[value->ref] = 0;
  luaL_unref(vm->shelf, LUA_REGISTRYINDEX, value->ref); /* fields that exist */
  *value = neap_nil();
  return NEAP_OK;
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

/* Where the pair that the shelf ends with begins, if the key at the top of L
   is given as it was then; else where the shelf ends. */
static int pair_before(access *a, lua_State *L) {
  lua_State *shelf = a->vm->shelf;
  int top = lua_gettop(shelf), same;
  if (top < 4 || a->key.ref != -(top - 3) || lua_tointeger(shelf, top) >= 0)
    return top;
  lua_pushvalue(shelf, top - 3);
  lua_xmove(shelf, L, 1);
  same = lua_rawequal(L, -1, -2);
  lua_pop(L, 1);
  return same ? top - 4 : top;
}

/*
** A pair is put on the shelf even when it is plain, in place of the one
** before: a table of any size can be gone through in a few slots.
*/
static int table_next(lua_State *L) {
  access *a = access_of(L);
  lua_Integer serial = (lua_Integer)(a->vm->shelf_serial += 2);
  int top;
  if (!push_table(a, L) || !push(a, L, &a->key))
    return 0;
  top = pair_before(a, L);
  (void)wrong(a, NEAP_EINVAL, "the key is none of the table");
  a->found = lua_next(L, -2); /* raises an error when it is */
  (void)wrong(a, NEAP_OK, NULL);
  neap__scope_close(a->vm, top);
  a->key = neap_nil();
  if (!a->found)
    return 0;
  a->value = value_at_top(L);
  lua_insert(L, -2);
  a->key = value_at_top(L);
  if (!shelve(a->vm, L, &a->key, serial - 1) ||
      !shelve(a->vm, L, &a->value, -serial)) {
    neap__scope_close(a->vm, top);
    return wrong(a, NEAP_ENOMEM, NULL);
  }
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
