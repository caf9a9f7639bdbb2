/*
** value.c - values of Lua in C: borrowed ones on the shelf, retained ones in
** the registry (neap.h).
**
** A value on the shelf takes two slots, itself and above it a serial number,
** which no other value of the VM has or will have. What C holds of it has the
** number, too, or, of a string, the address of its bytes: so one that is used
** for too long is found out. Negative is the number of the second value of a
** pair that neap_table_next gave. The numbers of retained ones stand in an
** array, by reference.
*/
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
  case LUA_TNONE:
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

/* The value at the index; a string or reference still needs its place. */
static neap_value value_at(lua_State *L, int index) {
  neap_value v = neap_nil();
  v.type = type_of(L, index);
  switch (v.type) {
  case NEAP_BOOLEAN:
    v.as.boolean = lua_toboolean(L, index);
    break;
  case NEAP_INTEGER:
    v.as.integer = lua_tointeger(L, index);
    break;
  case NEAP_NUMBER:
    v.as.number = lua_tonumber(L, index);
    break;
  case NEAP_STRING:
    v.as.string.data = lua_tolstring(L, index, &v.as.string.size);
    break;
  default:
    break;
  }
  return v;
}

/* Puts the value at the index, which `*value` is, on the shelf. False: no
   room; `*value` is nil. Raises nothing. */
static int shelve(neap_vm *vm, lua_State *L, int index, neap_value *value,
                  lua_Integer serial) {
  lua_State *shelf = vm->shelf;
  if (!lua_checkstack(shelf, 2 + SPARE)) {
    *value = neap_nil();
    return 0;
  }
  lua_pushvalue(L, index);
  lua_xmove(L, shelf, 1);
  value->ref = -lua_gettop(shelf);
  lua_pushinteger(shelf, serial);
  vm->shelved += 2;
  if (value->type > NEAP_STRING)
    value->as.serial = (uint64_t)serial;
  return 1;
}

int neap__kept_get(neap_vm *vm, lua_State *L, int index, neap_value *value) {
  *value = value_at(L, index);
  return value->type < NEAP_STRING ||
         shelve(vm, L, index, value, (lua_Integer)++vm->shelf_serial);
}

int neap__reference_push(neap_vm *vm, lua_State *L, const neap_value *value) {
  lua_State *shelf = vm->shelf;
  uint64_t serial;
  if (value->ref > 0) {
    if (!neap__retained_push(vm, L, value))
      return 0;
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

/* Whether it is a string made in C. */
static int is_text(const neap_value *value) {
  return value->type == NEAP_STRING && value->ref == 0;
}

int neap__value_push(neap_vm *vm, lua_State *L, const neap_value *value) {
  if (neap__plain_push(L, value))
    return 1;
  if (!is_text(value))
    return neap__reference_push(vm, L, value);
  lua_pushlstring(L, value->as.string.data, value->as.string.size);
  return 1;
}

/* Lua: the value, light userdata */
static int push_text(lua_State *L) {
  const neap_value *value = (const neap_value *)lua_touserdata(L, 1);
  lua_pushlstring(L, value->as.string.data, value->as.string.size);
  return 1;
}

int neap__kept_pass(neap_vm *vm, lua_State *L, const neap_value *value) {
  int status;
  if (!is_text(value))
    return neap__reference_push(vm, L, value)
               ? NEAP_OK
               : neap__fail(vm, NEAP_EINVAL, "the value is borrowed no longer",
                            NULL);
  lua_pushcfunction(L, push_text);
  lua_pushlightuserdata(L, (void *)(uintptr_t)value);
  status = neap__own_pcall(vm, L, 1, 1);
  return status == LUA_OK ? NEAP_OK : neap__fail_lua(vm, L, status);
}

int neap__pair_pop(neap_vm *vm, lua_State *L, neap_value *key,
                   neap_value *value) {
  int scope = neap__scope_open(vm), kept;
  lua_Integer serial = (lua_Integer)(vm->shelf_serial += 2);
  *key = value_at(L, -2);
  *value = value_at(L, -1);
  kept = shelve(vm, L, -2, key, serial - 1) &&
         shelve(vm, L, -1, value, -serial);
  if (!kept) {
    neap__scope_close(vm, scope);
    *key = *value = neap_nil();
  }
  lua_pop(L, 2);
  return kept;
}

void neap__scope_clear(neap_vm *vm, int scope) {
  lua_settop(vm->shelf, scope);
  vm->shelved = scope;
}

int neap__has_frames(lua_State *L) {
  lua_Debug ar;
  return lua_getstack(L, 0, &ar);
}

int neap__pair_before(neap_vm *vm, lua_State *L, const neap_value *key) {
  lua_State *shelf = vm->shelf;
  int top = lua_gettop(shelf), same;
  if (top < 4 || key->ref != -(top - 3) || lua_tointeger(shelf, top) >= 0)
    return top;
  lua_pushvalue(shelf, top - 3);
  lua_xmove(shelf, L, 1);
  same = lua_rawequal(L, -1, -2);
  lua_pop(L, 1);
  return same ? top - 4 : top;
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
  for (; size < larger; size++)
    serials[size] = NEAP__FREE_PLACE;
  vm->retained = serials;
  vm->retained_size = larger;
  return 1;
}

/* Lua: the value, light userdata, which holds */
static int retain(lua_State *L) {
  neap_value *value = (neap_value *)lua_touserdata(L, 1);
  neap_vm *vm = neap__vm(L);
  int ref;
  (void)neap__reference_push(vm, L, value);
  ref = luaL_ref(L, LUA_REGISTRYINDEX);
  if (!reserve(vm, (uint32_t)ref)) {
    luaL_unref(L, LUA_REGISTRYINDEX, ref);
    return luaL_error(L, "not enough memory");
  }
  vm->retained[ref] = ++vm->shelf_serial;
  value->ref = ref;
  if (value->type != NEAP_STRING)
    value->as.serial = vm->shelf_serial;
  return 0;
}

/* Whether C can have a value of its own like this one. */
static int is_plain(const neap_value *value) {
  return value->type < NEAP_STRING || is_text(value);
}

/* Whether a reference, or a string that Lua has, does. */
static int holds(neap_vm *vm, const neap_value *value) {
  if (!neap__reference_push(vm, vm->shelf, value))
    return 0;
  lua_pop(vm->shelf, 1);
  return 1;
}

NEAP_API int neap_retain(neap_vm *vm, neap_value *value) {
  int status = neap__check(vm);
  if (status != NEAP_OK || is_plain(value))
    return status;
  if (!holds(vm, value))
    return neap__fail(vm, NEAP_EINVAL, "the value is borrowed no longer",
                      NULL);
  return neap__protect(vm, retain, value);
}

NEAP_API int neap_release(neap_vm *vm, neap_value *value) {
  int status = neap__check(vm);
  if (status != NEAP_OK || is_plain(value) || value->ref < 0)
    return status;
  if (!holds(vm, value))
    return neap__fail(vm, NEAP_EINVAL, "the value was given back before",
                      NULL);
  vm->retained[value->ref] = NEAP__FREE_PLACE;
  luaL_unref(vm->shelf, LUA_REGISTRYINDEX, value->ref); /* fields that exist */
  *value = neap_nil();
  return NEAP_OK;
}

/* ====================================================== } */
