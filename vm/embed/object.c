/*
** object.c - host objects: C data with methods (neap.h).
**
** An object is a userdata with its class and the host's pointer, which is
** NULL when it has ended. The metatable of a class is made when its first
** object is, and stands in the registry at the address of the class.
*/
#include <stdio.h>
#include <string.h>

#include "embed.h"

static const char mark = 0; /* its address is in our userdata alone */

typedef struct hosted {
  const char *mark;
  const neap_class *type;
  void *object; /* NULL: it was revoked, or is not yet made */
} hosted;

static hosted *hosted_at(lua_State *L, int index) {
  hosted *h = (hosted *)lua_touserdata(L, index);
  return h != NULL && lua_rawlen(L, index) >= sizeof *h && h->mark == &mark
             ? h
             : NULL;
}

int neap__is_hosted(lua_State *L, int index) {
  return hosted_at(L, index) != NULL;
}

void *neap__hosted_get(lua_State *L, int index, const neap_class *type) {
  hosted *h = hosted_at(L, index);
  return h != NULL && h->type == type ? h->object : NULL;
}

const char *neap__type_name(lua_State *L, int index) {
  hosted *h = hosted_at(L, index);
  neap__object *o = neap__object_at(L, index);
  return h != NULL   ? h->type->name
         : o != NULL ? o->type->name
                     : luaL_typename(L, index);
}

void neap__hosted_fault(lua_State *L, int index, const neap_class *type,
                        char *buffer, size_t size) {
  hosted *h = hosted_at(L, index);
  if (h != NULL && h->type == type)
    snprintf(buffer, size, "this %s is gone", type->name);
  else
    snprintf(buffer, size, "%s expected, got %s", type->name,
             neap__type_name(L, index));
}

/* Finalizes it; false when it was before. */
static int end(hosted *h) {
  void *object = h->object;
  h->object = NULL;
  if (object != NULL && h->type->finalize != NULL)
    h->type->finalize(object);
  return object != NULL;
}

/* {======================================================
** Classes
** ======================================================= */

/* Upvalues of a method. */
enum { UP_CLASS = 1, UP_METHOD, UP_METHODS };

/* Lua: a method; its object is the first argument */
static int call(lua_State *L) {
  const neap_class *type =
      (const neap_class *)lua_touserdata(L, lua_upvalueindex(UP_CLASS));
  const neap_method *method =
      (const neap_method *)lua_touserdata(L, lua_upvalueindex(UP_METHOD));
  void *object = neap__hosted_get(L, 1, type);
  if (object == NULL) {
    char fault[256];
    neap__hosted_fault(L, 1, type, fault, sizeof fault);
    return luaL_error(L, "calling '%s' on bad self (%s)", method->name, fault);
  }
  return neap__native_call(L, neap__vm(L), method->name, 1, method->call,
                           object);
}

/* Lua: the __index of a class that has its own: for all but its methods */
static int call_index(lua_State *L) {
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(UP_METHODS)) != LUA_TNIL)
    return 1;
  lua_pop(L, 1);
  return call(L);
}

/* Lua: the finalizer */
static int collect(lua_State *L) {
  (void)end(hosted_at(L, 1));
  return 0;
}

/* Pushes a method; the table of methods is at the top. */
static void push_method(lua_State *L, const neap_class *type,
                        const neap_method *method) {
  lua_CFunction f = strcmp(method->name, "__index") == 0 ? call_index : call;
  lua_pushlightuserdata(L, (void *)(uintptr_t)type);
  lua_pushlightuserdata(L, (void *)(uintptr_t)method);
  lua_pushvalue(L, -3);
  lua_pushcclosure(L, f, 3);
  if (method->async) {
    lua_pushfstring(L, "%s.%s", type->name, method->name);
    neap__async_named(L);
  }
}

static int is_metamethod(const neap_method *method) {
  return strncmp(method->name, "__", 2) == 0;
}

static void push_metatable(lua_State *L, const neap_class *type) {
  const neap_method *m;
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, type) == LUA_TTABLE)
    return;
  lua_pop(L, 1);
  lua_newtable(L);
  lua_newtable(L); /* its methods */
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, "__index");
  for (m = type->methods; m != NULL && m->name != NULL; m++) {
    push_method(L, type, m);
    lua_setfield(L, is_metamethod(m) ? -3 : -2, m->name);
  }
  lua_pop(L, 1);
  lua_pushstring(L, type->name);
  lua_setfield(L, -2, "__name");
  lua_pushboolean(L, 0); /* scripts cannot reach the metatable */
  lua_setfield(L, -2, "__metatable");
  lua_pushcfunction(L, collect);
  lua_setfield(L, -2, "__gc");
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, type);
}

static int is_class(const neap_class *type) {
  const neap_method *m;
  for (m = type->methods; m != NULL && m->name != NULL; m++) {
    if (m->call == NULL || strcmp(m->name, "__gc") == 0)
      return 0;
  }
  return 1;
}

/* ====================================================== } */

/* {======================================================
** Objects
** ======================================================= */

/* An object to be made. */
typedef struct making {
  neap_vm *vm;
  const neap_class *type;
  void *object;
  neap_value value;
  int status;
} making;

static int make(lua_State *L) {
  making *m = (making *)lua_touserdata(L, 1);
  hosted *h = (hosted *)lua_newuserdatauv(L, sizeof *h, 0);
  h->mark = &mark;
  h->type = m->type;
  h->object = NULL; /* what is not whole is not finalized */
  push_metatable(L, m->type);
  lua_setmetatable(L, -2);
  if (neap__value_get(m->vm, L, -1, &m->value))
    h->object = m->object;
  else
    m->status = NEAP_ENOMEM;
  return 0;
}

NEAP_API int neap_object_new(neap_vm *vm, const neap_class *type, void *object,
                             neap_value *value) {
  making m = {.vm = vm, .type = type, .object = object};
  int status = neap__check(vm);
  if (status == NEAP_OK && (object == NULL || !is_class(type)))
    status = neap__fail(vm, NEAP_EINVAL, NULL, NULL);
  if (status == NEAP_OK)
    status = neap__protect(vm, make, &m);
  if (status == NEAP_OK && m.status != NEAP_OK)
    status = neap__fail(vm, m.status, NULL, NULL);
  *value = m.value;
  return status;
}

/* The object that a value is, or NULL. */
static hosted *hosted_of(neap_vm *vm, const neap_value *value) {
  hosted *h;
  if (value->type != NEAP_OBJECT ||
      !neap__reference_push(vm, vm->shelf, value))
    return NULL;
  h = hosted_at(vm->shelf, -1);
  lua_pop(vm->shelf, 1);
  return h;
}

NEAP_API void *neap_object_get(neap_vm *vm, const neap_value *value,
                               const neap_class *type) {
  hosted *h = neap__check(vm) == NEAP_OK ? hosted_of(vm, value) : NULL;
  return h != NULL && h->type == type ? h->object : NULL;
}

NEAP_API int neap_revoke(neap_vm *vm, const neap_value *value) {
  int status = neap__check(vm);
  hosted *h;
  if (status != NEAP_OK)
    return status;
  h = hosted_of(vm, value);
  if (h == NULL)
    return neap__fail(vm, NEAP_EINVAL, "the value is no object", NULL);
  return end(h) ? NEAP_OK : neap__fail(vm, NEAP_EALREADY, NULL, NULL);
}

/* ====================================================== } */
